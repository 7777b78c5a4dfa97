"""Settings to objects: what a config's `_target_` names, with errors that name its key."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any

from optical_sweeps.errors import UserError, first_line

OWN = "optical_sweeps."


def build(name: str, settings: Mapping[str, Any]) -> Any:
    """The object that one group of a resolved config describes.

    Raises:
        UserError: a value is of the wrong type, out of range, or unknown; the key is named.
    """
    try:
        # A class of ours is called directly: Hydra's instantiate takes a millisecond, and a grid has thousands.
        return _constructed(settings) if _is_ours(settings) else _instantiated(settings)
    except Exception as error:
        causes = _causes(error)
        for cause in causes:
            if isinstance(cause, UserError):
                raise cause from None
        raise UserError(f"{name}: {first_line(causes[-1])}") from error


def _is_ours(value: Any, top: bool = True) -> bool:
    """Whether only classes of this package are named, and none of Hydra's special keys used."""
    if isinstance(value, Mapping):
        target = value.get("_target_")
        if target is None:
            return not top and _are_ours(value)
        known = isinstance(target, str) and target.startswith(OWN) and _class(target) is not None
        return known and _are_ours(value)
    if isinstance(value, list):
        return all(_is_ours(child, top=False) for child in value)
    return not (isinstance(value, str) and "${" in value)


def _are_ours(members: Mapping[Any, Any]) -> bool:
    special = ("_args_", "_convert_", "_recursive_", "_partial_")
    return not any(key in members for key in special) and all(
        _is_ours(child, top=False) for key, child in members.items() if key != "_target_"
    )


def _constructed(value: Any) -> Any:
    if isinstance(value, Mapping):
        members = {key: _constructed(child) for key, child in value.items() if key != "_target_"}
        return _class(value["_target_"])(**members) if "_target_" in value else members
    return [_constructed(child) for child in value] if isinstance(value, list) else value


@lru_cache(maxsize=256)
def _class(target: str) -> Any:
    """The class of that path; none where there is no such, which Hydra then says."""
    module, _, name = target.rpartition(".")
    try:
        found = getattr(import_module(module), name, None)
    except ImportError:
        return None
    return found if isinstance(found, type) else None


def _instantiated(settings: Mapping[str, Any]) -> Any:
    from hydra.utils import instantiate

    make: Callable[..., Any] = instantiate
    return make(settings, _convert_="all")


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    return chain
