"""The points of a grid: every combination of the swept values on a command line."""

import itertools
from collections.abc import Mapping, Sequence

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from optical_sweeps.errors import UserError
from optical_sweeps.sweeps.override_text import quoted_overrides


def expand(
    params: Mapping[str, object], arguments: Sequence[str], loader: ConfigLoaderImpl
) -> list[tuple[str, ...]]:
    """Every combination of the swept values; an argument replaces the parameter of the same key.

    Args:
        params: `hydra.sweeper.params`: key to values, as written on a command line.
        arguments: the command line's overrides.
        loader: Hydra's config loader, for `glob` over a group's options.

    Raises:
        UserError: a swept key has no list of values, as with `interval(0,1)`.
    """
    texts = [f"{key}={value}" for key, value in params.items()] + list(arguments)
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(quoted_overrides(texts))
    by_key = {override.get_key_element(): _values(override) for override in parsed}
    return list(itertools.product(*by_key.values()))


def swept_keys(points: Sequence[Sequence[str]]) -> list[str]:
    """The keys that take more than one value, in the order in which they are written."""
    values: dict[str, set[str]] = {}
    # a grid has many points but few distinct overrides
    for text in dict.fromkeys(itertools.chain.from_iterable(points)):
        values.setdefault(text.partition("=")[0], set()).add(text)
    return [key for key, texts in values.items() if len(texts) > 1]


def _values(override: Override) -> list[str]:
    key = override.get_key_element()
    if not override.is_sweep_override():
        text = override.input_line or ""
        return [text if override.is_delete() else f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        raise UserError(f"{override.input_line}: has no list of values; write them out, or use range(...)")
    return quoted_overrides([f"{key}={value}" for value in override.sweep_string_iterator()])
