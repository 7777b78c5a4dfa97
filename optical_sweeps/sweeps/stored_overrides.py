"""Checks of what a grid file stores: overrides and the config's name, which may be somebody else's.

Hydra composes the overrides of a grid again in `sweep retry` and in Slurm tasks. An override of Hydra's own
section can name any function to call, an interpolation can read the environment, and a group's option that
leaves the folder of configs can load any YAML file. No grid needs these, so no grid may have them.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from optical_sweeps.errors import UserError

_CONFIG_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_NAME = r"[A-Za-z_$0-9][A-Za-z_$0-9-]*"
_KEY = re.compile(
    rf"(\+\+|\+|~)?(?P<path>{_NAME}([./]{_NAME})*)(@(?P<package>{_NAME}(\.{_NAME})*)?(:{_NAME}(\.{_NAME})*)?)?"
)


def config_name(name: object) -> str:
    """The name of a root config, which stays inside the folders of configs.

    Raises:
        ValueError: it is absolute, or leads out of the folder.
    """
    if not isinstance(name, str) or not _CONFIG_NAME.fullmatch(name):
        raise ValueError(f"the config {name!r} is not a name")
    return name


def check_overrides(overrides: Sequence[str]) -> None:
    """Refuse overrides that can do more than set values and choose options of groups.

    Raises:
        UserError: it sets a key of Hydra's section, resolves more than another key of the config, or chooses an
            option outside the folder of configs; the override is named.
    """
    for text in overrides:
        if reason := _problem(text):
            raise UserError(f"{text}: {reason}")


@lru_cache(maxsize=4096)
def _problem(text: str) -> str | None:
    key, _, value = text.partition("=")
    match = _KEY.fullmatch(key.strip())
    if match is None:
        return "a grid stores overrides of the form key=value; correct it"
    names = re.split(r"[./@:]", key.lstrip("+~"))
    if "hydra" in names or "_hydra_" in names:
        return "a grid cannot store settings of Hydra itself; give them on the command line of the sweep"
    if any(":" in each.partition("${")[2] for each in (value, value.replace("\\", ""))):
        return "a grid cannot store an interpolation by a resolver, such as ${oc.env:HOME}; write its value"
    if "." not in match["path"] and ".." in value:
        return "an option of a group cannot lead out of the folder of configs; write a path without '..'"
    return None
