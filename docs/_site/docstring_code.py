"""A Griffe extension: examples and formulas of docstrings as Markdown shows them."""

import re

import griffe


class DocstringCode(griffe.Extension):
    """Put `>>>` examples into code blocks, and escape `<` of formulas such as `<P, C>`."""

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(docstring: str) -> str:
    """The docstring with fenced examples.

    >>> as_markdown("min <P, C>\\n\\n>>> 1 + 1\\n2\\n\\nMore.")
    'min &lt;P, C>\\n\\n```pycon\\n>>> 1 + 1\\n2\\n```\\n\\nMore.'
    """
    lines: list[str] = []
    inside = False
    for line in docstring.splitlines():
        text = line.lstrip()
        indent = line[: len(line) - len(text)]
        if not inside and text.startswith(">>> "):
            lines.append(f"{indent}```pycon")
            inside = True
        elif inside and not text:
            lines.append("```")
            inside = False
        lines.append(line if inside else re.sub(r"`[^`]*`|<", _escaped, line))
    return "\n".join([*lines, "```"] if inside else lines)


def _escaped(match: re.Match[str]) -> str:
    return "&lt;" if match[0] == "<" else match[0]
