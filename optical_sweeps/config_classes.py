"""The classes that a config may name: settings classes of this package, and those that the user allows.

A config can come from somebody else's folder: `record.json`, `grid.json`, an artifact's key. Building it must
not run code that its author chose. So `_target_` and `run_type` name a class of this package that is registered
by `settings` (or is a run), or a class that this process was told to accept by `allow_foreign_classes`.
"""

import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from optical_sweeps.errors import UserError

ALLOW_KEY = "allow_foreign_classes"
"""The key of a root config, on the user's own command line, that lists the foreign classes to accept."""
ALLOW_FLAG = "--allow-foreign-class"
PACKAGE = "optical_sweeps."
SPECIAL_KEYS = ("_args_", "_convert_", "_recursive_", "_partial_")
"""Keys with which Hydra's `instantiate` can be told to call anything in any way."""

_allowed: set[str] = set()


def allow_foreign_classes(names: object) -> None:
    """Accept these classes in every config of this process; importing their modules runs their code.

    Args:
        names: what the user's own config has under `allow_foreign_classes`, never what a stored record has.

    Raises:
        UserError: not a list of dotted paths.
    """
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{ALLOW_KEY}: {names!r} is not a list of classes; write it as [my_module.MyClass]")
    _allowed.update(names)


def refusal(key: str, name: str) -> UserError:
    """The error for a class that the user has not allowed."""
    return UserError(
        f"{key}: {name} is not a settings class of optical_sweeps, and building it would run its code; if you "
        f"trust it, add '{ALLOW_KEY}=[{name}]' or, for a command without a config, {ALLOW_FLAG} {name}"
    )


def check_allowed(names: Iterable[str], accepted: Iterable[str], where: str) -> None:
    """Refuse foreign classes that a stored config asks for and the user has not accepted again.

    Raises:
        UserError: naming the first of them and the flag that accepts it.
    """
    for name in names:
        if name not in accepted:
            raise refusal(f"{where}: {ALLOW_KEY}", name)


def config_class(path: str, target: object) -> Callable[..., object]:
    """The class that `<path>._target_` names.

    Raises:
        UserError: it is neither a settings class of this package nor an allowed foreign class.
    """
    key = f"{path}._target_"
    if not isinstance(target, str):
        raise UserError(f"{key}: {target!r} is not the name of a class; change it")
    if target in _allowed:
        return foreign_class(key, target)
    if not target.startswith(PACKAGE):
        raise refusal(key, target)
    found = package_class(target)
    if found is None:
        raise UserError(f"{key}: optical_sweeps has no class {target}; check the spelling")
    if not hasattr(found, "__settings_key__"):
        raise refusal(key, target)
    return found


def check_group(name: str, built: object) -> None:
    """Whether a settings class belongs to the group of a config that names it; foreign classes fit anywhere.

    Raises:
        UserError: it is registered for another group.
    """
    registered = getattr(built, "__settings_key__", None)
    if registered is not None and registered.rpartition(".")[2] != name.rpartition(".")[2]:
        known = getattr(built, "__name__", built)
        raise UserError(f"{name}._target_: {known} describes {registered or 'a command'}; choose another class")


def foreign_class(key: str, name: str) -> type:
    """A class that the user allows, imported from the Python path or the current folder.

    Raises:
        UserError: there is no such class.
    """
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.append(folder)  # a module beside the configs, as `python -m` finds it
    module, _, attribute = name.rpartition(".")
    try:
        value = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{key}: cannot import {name} ({error}); give the full path of a class") from error
    if not isinstance(value, type):
        raise UserError(f"{key}: {name} is not a class; name a class")
    return value


def is_allowed(name: str) -> bool:
    """Whether the user allows a foreign class."""
    return name in _allowed


@lru_cache(maxsize=256)
def package_class(name: str) -> type | None:
    """The class of this package with a dotted path; None if there is none.

    A module with a leading underscore is never imported: `__main__` would run a command.
    """
    module, _, attribute = name.rpartition(".")
    if not name.startswith(PACKAGE) or any(not part or part.startswith("_") for part in name.split(".")):
        return None
    try:
        value = getattr(import_module(module), attribute, None)
    except ImportError:
        return None
    return value if isinstance(value, type) else None
