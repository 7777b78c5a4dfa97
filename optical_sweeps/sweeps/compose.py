"""Configs of many grid points: composed as Hydra does, with the work that points share done once.

Hydra takes about a tenth of a second a point. But points that make the same group choices differ in the values
of some leaves alone: one of them is composed by Hydra and is the frame of the others, whose values are put in
its place. Where this is not certain to give what Hydra gives, Hydra composes the point.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from omegaconf import AnyNode, DictConfig, ListConfig

from optical_sweeps.runs.spec.run_spec import resolved

Compose = Callable[[Sequence[str]], DictConfig]
"""Hydra's own: overrides to a composed config."""

_KEY = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_NUMBER = re.compile(rf"({_KEY})=(-?(?:0|[1-9]\d*)(\.\d+)?)", re.ASCII)
_REFERENCE = re.compile(rf"\$\{{({_KEY})\}}", re.ASCII)
_ENVIRONMENT = re.compile(r"\$\{oc\.env:\w+(?:,[\w./ -]*)?\}", re.ASCII)


@dataclass(frozen=True, eq=False)
class Section:
    """The resolved value of one key at the top of a config; equal text, equal value."""

    value: Any

    @cached_property
    def text(self) -> str:
        return json.dumps(self.value)


Sections = Mapping[str, Section]
"""A resolved config without Hydra's part; points with equal values of a key may share its section."""


def plain(sections: Sections) -> dict[str, Any]:
    """The resolved config; to be read, not changed."""
    return {name: section.value for name, section in sections.items()}


class Composer:
    """Resolved configs of points, given by their overrides.

    Args:
        compose: Hydra's own composition.
    """

    def __init__(self, compose: Compose) -> None:
        self._compose = compose
        self._assignments: dict[str, _Assignment | None] = {}
        self._frames: dict[tuple[tuple[str, ...], tuple[str, ...]], _Frame | None] = {}
        self._groups: set[str] = set()

    def __call__(self, overrides: Sequence[str]) -> Sections:
        """The point's config.

        Raises:
            HydraException, OmegaConfBaseException: Hydra cannot compose it.
            UserError: a mandatory value is missing or an interpolation cannot be resolved.
        """
        choices, values = self._apart(overrides)
        kind = (choices, tuple(values))
        if kind not in self._frames:
            return self._framed(overrides)
        frame = self._frames[kind]
        if frame is None:
            return _sections(resolved(self._compose(overrides)))
        return frame.filled(values)

    def _apart(self, overrides: Sequence[str]) -> tuple[tuple[str, ...], "dict[str, _Assignment]"]:
        """What only Hydra understands, and the values given to keys."""
        choices, values = [], {}
        for text in overrides:
            assignment = self._assignment(text)
            if assignment is None or assignment.key in self._groups or assignment.key in values:
                choices.append(text)
            else:
                values[assignment.key] = assignment
        return tuple(choices), values

    def _framed(self, overrides: Sequence[str]) -> Sections:
        """Have the first point of its kind composed by Hydra, as the frame of the others."""
        config = self._compose(overrides)
        # Hydra alone tells a group's choice from a key's value
        for group in map(str, config.hydra.runtime.choices):
            self._groups |= {group, group.partition("@")[0]}
        choices, values = self._apart(overrides)
        sections = _sections(resolved(config))
        clash = _may_clash(choices, values, self._groups)
        frame = None if clash else _Frame.of(config, sections, list(values))
        self._frames[choices, tuple(values)] = frame
        return sections

    def _assignment(self, text: str) -> "_Assignment | None":
        if text not in self._assignments:
            self._assignments[text] = _read(text)
        return self._assignments[text]


@dataclass(frozen=True)
class _Assignment:
    """`key=value`, and nothing that is more than that."""

    text: str
    key: str
    value: Any


@dataclass(frozen=True)
class _Frame:
    """A composed config and the leaves of it that points set.

    Args:
        places: for every key at the top, where in its value which swept keys' values go; none: as it is.
    """

    sections: Sections
    places: Mapping[str, tuple[tuple[tuple[str, ...], str], ...]]
    filled_before: dict[tuple[str, ...], Section] = field(default_factory=dict)

    @classmethod
    def of(cls, config: DictConfig, sections: Sections, keys: Sequence[str]) -> "_Frame | None":
        """None where setting those keys might do more than change those leaves."""
        copies = _copies(config, keys)
        if copies is None or not all(_is_plain_leaf(config, key) for key in keys):
            return None
        places: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        for leaf, key in {**copies, **{key: key for key in keys}}.items():
            top, *path = leaf.split(".")
            places.setdefault(top, []).append((tuple(path), key))
        return cls(sections, {top: tuple(of_top) for top, of_top in places.items()})

    def filled(self, values: Mapping[str, _Assignment]) -> Sections:
        filled = dict(self.sections)
        for top, places in self.places.items():
            # by text, since 1 == 1.0 == True
            used = (top, *(values[key].text for _, key in places))
            section = self.filled_before.get(used)
            if section is None:
                value = self.sections[top].value
                for path, key in places:
                    value = _with(value, path, values[key].value)
                section = self.filled_before[used] = Section(value)
            filled[top] = section
        return filled


def _sections(config: Mapping[str, Any]) -> Sections:
    return {name: Section(value) for name, value in config.items()}


def _with(tree: Any, path: tuple[str, ...], value: Any) -> Any:
    """The tree with another value at the path; what does not lie on the path is shared."""
    return {**tree, path[0]: _with(tree[path[0]], path[1:], value)} if path else value


def _read(text: str) -> _Assignment | None:
    """None for what is not plainly a value for a key: sweeps, +, ++, ~, packages, lists, interpolations."""
    if number := _NUMBER.fullmatch(text):  # most are: Hydra's parser takes a millisecond
        key, digits, fraction = number.groups()
        return _assigned(text, key, float(digits) if fraction else int(digits))
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import OverrideType
    from hydra.errors import HydraException

    try:
        (override,) = OverridesParser.create().parse_overrides([text])
        value = override.value()
    except HydraException:
        return None  # Hydra says what is wrong with it
    if override.type != OverrideType.CHANGE or override.package is not None or override.is_sweep_override():
        return None
    if not (value is None or isinstance(value, bool | int | float | str)):
        return None
    if isinstance(value, str) and (value == "???" or any(sign in value for sign in "$\\")):
        return None
    return _assigned(text, override.key_or_group, value)


def _assigned(text: str, key: str, value: Any) -> _Assignment | None:
    known = re.fullmatch(_KEY, key, re.ASCII) and key.partition(".")[0] != "hydra"
    return _Assignment(text, key, value) if known else None


def _may_clash(choices: Iterable[str], keys: Iterable[str], groups: set[str]) -> bool:
    """Whether an override that is no choice of a group may touch a swept key, so that their order counts."""
    for text in choices:
        key, _, value = text.partition("=")
        key = key.lstrip("+~")
        # a mapping given to a group's key is merged into what was chosen, like any value
        if (key in groups or key.partition("@")[0] in groups) and "{" not in value:
            continue
        if not re.fullmatch(_KEY, key, re.ASCII) or any(_overlap(key, other) for other in keys):
            return True
    return False


def _overlap(one: str, other: str) -> bool:
    """Whether one key is the other or lies within it; items of a list lie within the list."""
    one, other = f"{one}.".replace("[", "."), f"{other}.".replace("[", ".")
    return one.startswith(other) or other.startswith(one)


def _is_plain_leaf(config: DictConfig, key: str) -> bool:
    """Whether the key is an untyped value in plain mappings: setting it changes it, and nothing else."""
    node: Any = config
    *parents, last = key.split(".")
    for name in parents:
        node = node._get_node(name)
        if type(node) is not DictConfig or node._is_interpolation() or node._metadata.object_type is not dict:
            return False
    leaf = node._get_node(last)
    return type(leaf) is AnyNode and not leaf._is_interpolation() and not leaf._get_flag("readonly")


def _copies(config: DictConfig, keys: Sequence[str]) -> dict[str, str] | None:
    """The leaves that repeat a swept key's value, by interpolation, and that key.

    None where a swept value may come into anything else than by `${key}` alone.
    """
    references: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    for name in config:
        if name != "hydra":
            texts |= _interpolations(config._get_node(name), str(name))
    for leaf, text in texts.items():
        rest = _ENVIRONMENT.sub("", _REFERENCE.sub("", text))
        references[leaf] = _REFERENCE.findall(text)
        if "$" in rest or "\\" in rest or any(_overlap(key, "hydra") for key in references[leaf]):
            return None  # a resolver, a relative path, an escape: whatever these do, Hydra does it
    varying = _reached(references, keys)
    if any("[" in leaf for leaf in varying):
        return None
    copies = dict.fromkeys(keys, "")
    found: dict[str, str] = {}
    for leaf in varying:
        origin = leaf
        for _ in references:
            if origin in copies:
                break
            if origin not in texts or texts[origin] != f"${{{references[origin][0]}}}":
                return None
            origin = references[origin][0]
        if origin not in copies:
            return None
        found[leaf] = origin
    return found


def _reached(references: Mapping[str, Sequence[str]], keys: Sequence[str]) -> list[str]:
    """The interpolations that a swept key's value can come into, directly or through others."""
    reached: list[str] = []
    while True:
        sources = (*keys, *reached)
        more = [
            leaf
            for leaf, targets in references.items()
            if leaf not in reached and any(_overlap(target, source) for target in targets for source in sources)
        ]
        if not more:
            return reached
        reached += more


def _interpolations(node: Any, path: str) -> dict[str, str]:
    """Every node below that is an interpolation, by its path, as it is written."""
    if node._is_interpolation():
        written: str = node._value()
        return {path: written}
    found: dict[str, str] = {}
    if isinstance(node, DictConfig) and not (node._is_none() or node._is_missing()):
        for key in node:
            found |= _interpolations(node._get_node(key), f"{path}.{key!s}")
    elif isinstance(node, ListConfig) and not (node._is_none() or node._is_missing()):
        for number in range(len(node)):
            found |= _interpolations(node._get_node(number), f"{path}[{number}]")
    return found


def hydra_composition(loader: Any, master: DictConfig) -> Compose:
    """Composition as Hydra's launchers do it, under the master config of a multirun."""

    def compose(overrides: Sequence[str]) -> DictConfig:
        config: DictConfig = loader.load_sweep_config(master, list(overrides))
        return config

    return compose
