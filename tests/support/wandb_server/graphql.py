"""As much of GraphQL as the client's queries use: they are executed against plain objects.

A field is an attribute, a key, or a method that is called with the field's arguments. Unknown fields are null.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

TOKEN = re.compile(
    r"""[\s,]+ | \#[^\n]* |
    (?P<token> \.\.\. | [{}()\[\]:!=@$] | "(?:[^"\\]|\\.)*" |
               -?\d+(?:\.\d+)?(?:[eE][+-]?\d+)? | [_A-Za-z]\w* )""",
    re.VERBOSE,
)
CONSTANTS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True)
class Variable:
    name: str


@dataclass
class Field:
    """One selection; without a name it is a fragment: of that `fragment`, or inline."""

    name: str = ""
    alias: str = ""
    fragment: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    directives: dict[str, dict[str, Any]] = field(default_factory=dict)
    selections: "list[Field] | None" = None


@dataclass
class Document:
    """An operation and the fragments it uses."""

    name: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)
    selections: list[Field] = field(default_factory=list)
    fragments: dict[str, list[Field]] = field(default_factory=dict)


def parse(text: str) -> Document:
    """Read a document with one operation."""
    return _Parser(text).document()


def execute(document: Document, root: Any, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The operation's data."""
    return _Execution(document, {**document.defaults, **variables}).select(root, document.selections)


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = [match["token"] for match in TOKEN.finditer(text) if match["token"]]
        self.at = 0

    def document(self) -> Document:
        document = Document()
        while self.at < len(self.tokens):
            kind = self.take() if self.peek() != "{" else "query"
            name = self.take() if self.peek() not in "({" else ""
            if kind == "fragment":
                self.take("on")
                self.take()
                document.fragments[name] = self.selections()
            else:
                document.name = name
                document.defaults = self.variables() if self.peek() == "(" else {}
                document.selections = self.selections()
        return document

    def peek(self) -> str:
        return self.tokens[self.at]

    def take(self, wanted: str | None = None) -> str:
        token = self.tokens[self.at]
        assert wanted in (None, token), f"{wanted} expected in place of {token}"
        self.at += 1
        return token

    def until(self, end: str) -> Iterator[None]:
        while self.peek() != end:
            yield
        self.take(end)

    def variables(self) -> dict[str, Any]:
        """Defaults of an operation's variables."""
        defaults = {}
        self.take("(")
        for _ in self.until(")"):
            self.take("$")
            name = self.take()
            self.take(":")
            while self.peek() not in ("$", ")", "="):
                self.take()
            if self.peek() == "=":
                self.take("=")
                defaults[name] = self.value()
        return defaults

    def selections(self) -> list[Field]:
        self.take("{")
        return [self.selection() for _ in self.until("}")]

    def selection(self) -> Field:
        if self.peek() == "...":
            return self.fragment()
        name = alias = self.take()
        if self.peek() == ":":
            self.take(":")
            name = self.take()
        arguments = self.arguments()
        directives = self.directives()
        inner = self.selections() if self.peek() == "{" else None
        return Field(name, alias, arguments=arguments, directives=directives, selections=inner)

    def fragment(self) -> Field:
        self.take("...")
        if self.peek() not in ("on", "{", "@"):
            return Field(fragment=self.take(), directives=self.directives())
        if self.peek() == "on":
            self.take()
            self.take()
        return Field(directives=self.directives(), selections=self.selections())

    def arguments(self) -> dict[str, Any]:
        if self.peek() != "(":
            return {}
        self.take("(")
        return dict(self.pair() for _ in self.until(")"))

    def pair(self) -> tuple[str, Any]:
        name = self.take()
        self.take(":")
        return name, self.value()

    def directives(self) -> dict[str, dict[str, Any]]:
        found = {}
        while self.peek() == "@":
            self.take()
            name = self.take()
            found[name] = self.arguments()
        return found

    def value(self) -> Any:
        token = self.take()
        if token == "$":
            return Variable(self.take())
        if token == "[":
            return [self.value() for _ in self.until("]")]
        if token == "{":
            return dict(self.pair() for _ in self.until("}"))
        if token.startswith('"'):
            return token[1:-1].encode().decode("unicode_escape")
        if re.match(r"-?\d", token):
            return float(token) if re.search(r"[.eE]", token) else int(token)
        return CONSTANTS.get(token, token)


class _Execution:
    def __init__(self, document: Document, variables: Mapping[str, Any]) -> None:
        self.fragments, self.variables = document.fragments, variables

    def select(self, value: Any, selections: list[Field]) -> dict[str, Any]:
        chosen: dict[str, Any] = {}
        for selection in selections:
            if not self.included(selection):
                continue
            if selection.name:
                chosen[selection.alias] = self.resolve(value, selection)
            else:
                inner = self.fragments[selection.fragment] if selection.fragment else selection.selections
                chosen |= self.select(value, inner or [])
        return chosen

    def included(self, selection: Field) -> bool:
        wanted = self.filled(selection.directives.get("include", {}).get("if", True))
        return bool(wanted) and not self.filled(selection.directives.get("skip", {}).get("if", False))

    def resolve(self, value: Any, selection: Field) -> Any:
        name = selection.name
        if name == "__typename":
            return _type_name(value)
        found = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
        if callable(found):
            found = found(**self.filled(selection.arguments))
        return self.complete(found, selection.selections)

    def complete(self, value: Any, selections: list[Field] | None) -> Any:
        if value is None or selections is None:
            return value
        if isinstance(value, list | tuple):
            return [self.complete(item, selections) for item in value]
        return self.select(value, selections)

    def filled(self, value: Any) -> Any:
        """A value with its variables replaced; arguments whose variable is absent are left out."""
        if isinstance(value, Variable):
            return self.variables.get(value.name)
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if isinstance(value, dict):
            absent = {
                key
                for key, item in value.items()
                if isinstance(item, Variable) and item.name not in self.variables
            }
            return {key: self.filled(item) for key, item in value.items() if key not in absent}
        return value


def _type_name(value: Any) -> str:
    """The name of an object's type, as the object says or its class is called."""
    if isinstance(value, Mapping):
        return str(value.get("__typename", ""))
    return type(value).__name__.removesuffix("State").removesuffix("View")
