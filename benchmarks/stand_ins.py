"""Stand-ins for packages that only validate settings and annotate shapes, for a machine without them.

`benchmarks/gpu.py` calls `install`. Settings are then plain dataclasses: values are not validated.
"""

import dataclasses
import importlib
import sys
import types
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class _Anything:
    """Accepts every call and every subscript."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def __class_getitem__(cls, _: object) -> object:
        return object


def install() -> list[str]:
    """Stand in for missing packages; returns their names."""
    return [name for name, build in _BUILT.items() if _missing(name) and _put(name, build())]


def _missing(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return True
    return False


def _put(name: str, contents: dict[str, object]) -> bool:
    for path, values in {name: contents, **_SUBMODULES.get(name, {})}.items():
        module = types.ModuleType(path)
        module.__dict__.update(values)
        module.__path__ = []  # type: ignore[attr-defined]
        sys.modules[path] = module
    return True


def _dataclass(_class: type[T] | None = None, *, config: object = None, **options: bool) -> object:
    """`pydantic.dataclasses.dataclass`, without validation."""

    def decorate(cls: type[T]) -> type[T]:
        return dataclasses.dataclass(**options)(cls)  # type: ignore[call-overload, no-any-return]

    return decorate if _class is None else decorate(_class)


class _ShapeAnnotations(dict[str, object]):
    """`from jaxtyping import Float32, ...`: any name."""

    NAMES = ("Bool", "Float", "Float32", "Float64", "Int", "Int8", "Int16", "Int32", "Int64", "Num", "Shaped")
    MORE = ("UInt8", "UInt16", "UInt32", "UInt64", "Integer", "Real", "Array", "Complex")

    def __init__(self) -> None:
        super().__init__(dict.fromkeys((*self.NAMES, *self.MORE), _Anything))


_BUILT: dict[str, Callable[[], dict[str, object]]] = {
    "pydantic": lambda: {
        "ConfigDict": dict,
        "Field": lambda default=dataclasses.MISSING, **_: dataclasses.field(default=default),
        "ValidationError": type("ValidationError", (Exception,), {}),
        "BeforeValidator": _Anything,
        "AfterValidator": _Anything,
        "AllowInfNan": _Anything,
        "BaseModel": _Anything,
    },
    "pydantic_core": lambda: {"ErrorDetails": dict},
    "annotated_types": lambda: dict.fromkeys(("Ge", "Gt", "Le", "Lt", "MinLen", "Len"), _Anything),
    "jaxtyping": _ShapeAnnotations,
    "langcodes": lambda: {"Language": _Anything},
}
_SUBMODULES: dict[str, dict[str, dict[str, object]]] = {
    "langcodes": {
        "langcodes.data_dicts": {"LIKELY_SUBTAGS": {}},
        "langcodes.tag_parser": {"LanguageTagError": ValueError},
    },
    "pydantic": {"pydantic.dataclasses": {"dataclass": _dataclass}},
}
