"""Settings classes: validated dataclasses that a config describes, with errors that name the config's key.

A class decorated with `settings("training")` is a frozen dataclass whose values pydantic validates strictly:
`true` is not 1 and "5" is not 5. The field types of `optical_sweeps.checks` say what is allowed, and one
formatter turns whatever pydantic refuses into a `UserError` with the key, the value and the remedy.
`__post_init__` holds only the checks that compare several fields.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import field, fields
from functools import wraps
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails

from optical_sweeps.config_classes import SPECIAL_KEYS, check_group, config_class
from optical_sweeps.errors import RENAMED_KEYS, UserError, did_you_mean, first_line

T = TypeVar("T")

STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True, extra="forbid", allow_inf_nan=False)

_path: ContextVar[str | None] = ContextVar("path", default=None)
"""The config key of the object that `build` constructs."""


@dataclass_transform(frozen_default=True, field_specifiers=(field, Field))
def settings(
    key: str, *, frozen: bool = True, eq: bool = True, kw_only: bool = False
) -> Callable[[type[T]], type[T]]:
    """Make a class a validated dataclass.

    Args:
        key: where a config holds these settings, such as `training`, or empty at the top of a root config;
            `build` overrides it where they are nested elsewhere, such as at `teacher.training`.
        frozen: whether instances are immutable.
        eq: whether instances compare by value.
        kw_only: whether the fields are keyword-only, which a subclass with required fields needs.

    Constructing the class raises `UserError` for a value that a field does not allow.

    Example:
        >>> from optical_sweeps.checks import Count
        >>> @settings("training")
        ... class Steps:
        ...     epochs: Count = 1
        >>> Steps(epochs=0)
        Traceback (most recent call last):
        optical_sweeps.errors.UserError: training.epochs: 0 is not a whole number of at least 1; change it
    """

    def decorate(cls: type[T]) -> type[T]:
        validated: Any = dataclass(cls, frozen=frozen, eq=eq, kw_only=kw_only, config=STRICT)
        construct = validated.__init__

        @wraps(construct)
        def initialise(self: T, *positional: object, **named: object) -> None:
            with at_key(_path.get() or key):
                try:
                    construct(self, *positional, **named)
                except ValidationError as error:
                    raise UserError(_message(type(self), error.errors()[0])) from None

        validated.__init__ = initialise
        validated.__settings_key__ = key
        made: type[T] = validated
        return made

    return decorate


def key_of(name: str) -> str:
    """The config key of a field of the object under construction, for messages of `__post_init__`."""
    path = _path.get()
    return f"{path}.{name}" if path else name


def nested(kind: type[T], key: str, value: object) -> T:
    """The settings that a list or mapping inside other settings contains.

    Args:
        kind: the settings class.
        key: the config key of `value`.
        value: an instance of `kind`, or a mapping with its fields.

    Raises:
        UserError: `value` is no mapping, or a field does not allow its value.
    """
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise UserError(f"{key}: {value!r} is not a mapping of settings; write {{name: value}}")
    with at_key(key):
        return from_mapping(kind, value)


@contextmanager
def at_key(path: str | None) -> Iterator[None]:
    """Messages of errors within the block name this config key for the object under construction."""
    token = _path.set(path)
    try:
        yield
    finally:
        _path.reset(token)


def _message(cls: type, error: ErrorDetails) -> str:
    """One line for an error of pydantic's: key, value, and what is allowed."""
    name, *inner = error["loc"] or ("",)
    name = fields(cls)[name].name if isinstance(name, int) else name  # a positional argument
    key = ".".join([key_of(str(name)), *(str(part) for part in inner if isinstance(part, int))])
    known = [entry.name for entry in fields(cls) if entry.init]
    if error["type"] in ("missing", "missing_argument"):
        return f"{key}: no value; give one"
    if key in RENAMED_KEYS:
        return f"{key}: no such key; set {RENAMED_KEYS[key]}"
    if error["type"] == "unexpected_keyword_argument":
        paths = [key_of(each) for each in known]
        return f"{key}: no such key; the keys are {', '.join(known)}{did_you_mean(key, paths)}"
    if error["type"] == "value_error":
        return f"{key}: {error['ctx']['error']}"
    annotation = get_type_hints(cls, include_extras=True)[str(name)]
    return f"{key}: {error['input']!r} {_refusal(annotation)}"


def _refusal(annotation: object) -> str:
    """Why a value does not fit an annotation, and what to do."""
    base, constraints = _unwrapped(annotation)
    if get_origin(base) is Literal:
        return f"is not one of {', '.join(map(str, get_args(base)))}"
    if base is bool:
        return "is neither true nor false; change it"
    if base in (int, float):
        return f"is not a {'whole ' * (base is int)}number{_range(constraints, base is int)}; change it"
    name = getattr(base, "__name__", str(base))
    words = {
        "str": "is not a string; put it in quotes", "Path": "is not a path; change it",
        "dict": "is not a mapping; write it as {key: value}",
    }  # fmt: skip
    return words.get(name, f"is not of type {name}; change it")


def _unwrapped(annotation: object) -> tuple[object, list[object]]:
    """The type behind `Annotated` and `| None`, and its constraints."""
    if get_origin(annotation) is Annotated:
        base, *constraints = get_args(annotation)
        inner, more = _unwrapped(base)
        return inner, [*constraints, *more]
    if get_origin(annotation) in (Union, UnionType):
        some = [choice for choice in get_args(annotation) if choice is not NoneType]
        return _unwrapped(some[0]) if len(some) == 1 else (annotation, [])
    return annotation, []


def _range(constraints: list[object], whole: bool) -> str:
    """The range of numbers that constraints allow, such as ` in [0, 1]`."""
    bounds: dict[str, float] = {}
    for constraint in constraints:
        for name in ("ge", "gt", "le", "lt"):
            if (bound := getattr(constraint, name, None)) is not None:
                bounds[name] = bound
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if low is None:
        return ""
    if high is not None:
        return f" in {'[' if 'ge' in bounds else '('}{low:g}, {high:g}{']' if 'le' in bounds else ')'}"
    if "gt" in bounds:
        return f" above {low:g}"
    return f" of at least {low:g}" + ("" if whole else " and finite")


def from_root(cls: type[T], config: Mapping[str, object]) -> T:
    """The settings at the top of a resolved config that a class declares; other keys are ignored.

    Raises:
        UserError: a value is of the wrong type or out of range; its key is named.
    """
    names = [entry.name for entry in fields(cls) if entry.init]  # type: ignore[arg-type]
    return cls(**{name: config[name] for name in names if name in config})


def from_mapping(cls: Callable[..., T], values: Mapping[str, object]) -> T:
    """Construct a settings class from the values of a config; the class checks them."""
    return cls(**values)


def build_as(name: str, config: Mapping[str, object], kind: type[T]) -> T:
    """Like `build`, for an object of a known type.

    Raises:
        UserError: as `build`, or the object is of another type.
    """
    built = build(name, config)
    if not isinstance(built, kind):
        raise UserError(
            f"{name}._target_: {type(built).__name__} is not a {kind.__name__}; choose another class"
        )
    return built


def build(name: str, config: Mapping[str, object]) -> Any:
    """The object that one group of a resolved config describes.

    Only classes that `optical_sweeps.config_classes` accepts are constructed, with their declared fields, so a
    config from an untrusted file cannot run code. Unlike Hydra's `instantiate` it resolves no interpolation,
    names the key of a bad value at any depth, and takes 0.5 ms per run, not 50.

    Args:
        name: the group's key, such as `objective`.
        config: its values; `_target_` names the class.

    Raises:
        UserError: the class is not accepted, or a value is of the wrong type, out of range, or unknown; its key
            is named.
    """
    if "_target_" not in config:
        raise UserError(f"{name}._target_: no value; name a class")
    try:
        check_group(name, config_class(name, config["_target_"]))
        return _constructed(name, config)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{name}: {first_line(error)}") from error


def _constructed(path: str, value: object) -> object:
    if isinstance(value, list):
        return [_constructed(f"{path}.{number}", child) for number, child in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    for key in SPECIAL_KEYS:
        if key in value:
            raise UserError(f"{path}.{key}: Hydra's special keys are not supported; remove it")
    members = {key: _constructed(f"{path}.{key}", child) for key, child in value.items() if key != "_target_"}
    if "_target_" not in value:
        return members
    with at_key(path):
        return config_class(path, value["_target_"])(**members)
