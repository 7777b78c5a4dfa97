"""The settings of an objective that a tuning varies, and the values that they may take."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optical_sweeps.errors import UserError
from optical_sweeps.settings import nested, settings

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

TUNED_SECTIONS = ("objective.", "training.")
FIXED_KEYS = ("training.epochs", "training.batch_size")
"""Keys of these sections that every trial shares, since they change how many pairs or steps a trial has."""

Value = str | int | float | bool
"""A value that a trial gives to a key."""


@settings("search_space")
class Interval:
    """All numbers from `low` to `high`.

    Args:
        log: draw on a logarithmic scale, which needs a `low` above 0.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise UserError(f"search_space: low is {self.low:g}, but high is {self.high:g}; raise high")
        if self.log and self.low <= 0:
            raise UserError(f"search_space: low is {self.low:g}, but log=true needs a number above 0")

    def distribution(self) -> "BaseDistribution":
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log)


@settings("search_space")
class Choice:
    """One of some values."""

    values: list[Value]

    def __post_init__(self) -> None:
        if not self.values:
            raise UserError("search_space: values is empty; list at least one")

    def distribution(self) -> "BaseDistribution":
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)


@dataclass(frozen=True)
class SearchSpace:
    """What a tuning varies for one objective.

    Args:
        objective: name of the option of the group `objective`.
        parameters: dotted config key -> the values it may take.
    """

    objective: str
    parameters: Mapping[str, Interval | Choice]

    @classmethod
    def from_config(cls, objective: str, spaces: Mapping[str, object]) -> "SearchSpace":
        """The space of an objective in the section `search_space`.

        Raises:
            UserError: the objective has no space, or one that would change the budget of a trial.
        """
        space = spaces.get(objective)
        if not isinstance(space, Mapping) or not space:
            raise UserError(
                f"search_space.{objective}: no search space; add conf/search_space/{objective}.yaml, or remove "
                f"{objective} from tuning.objectives"
            )
        parameters = dict(_leaves(space, "", f"search_space.{objective}"))
        for key in parameters:
            if not key.startswith(TUNED_SECTIONS) or key in FIXED_KEYS:
                raise UserError(
                    f"search_space.{objective}.{key}: trials may only vary keys of objective and training that "
                    f"leave the budget alone, so not {', '.join(FIXED_KEYS)}; remove it"
                )
        return cls(objective, parameters)

    def may_set(self, key: str, value: object) -> bool:
        """Whether a stored trial may give this value to this key.

        Ranges may have changed since the trial was drawn, so any number is accepted, but no text that the space
        does not list.
        """
        values = self.parameters.get(key)
        if isinstance(value, str):
            return isinstance(values, Choice) and value in values.values
        return values is not None and isinstance(value, int | float)

    def distributions(self) -> dict[str, "BaseDistribution"]:
        """The space as Optuna's distributions."""
        return {key: values.distribution() for key, values in self.parameters.items()}


def _leaves(space: Mapping[str, object], prefix: str, path: str) -> Iterator[tuple[str, Interval | Choice]]:
    for name, value in space.items():
        key, where = f"{prefix}{name}", f"{path}.{name}"
        if not isinstance(value, Mapping):
            raise UserError(
                f"{where}: {value!r} is no range; write {{low: 0.1, high: 1}} or {{values: [1, 2]}}"
            )
        if "values" in value:
            yield key, nested(Choice, where, value)
        elif "low" in value or "high" in value:
            yield key, nested(Interval, where, {k: _as_float(v) for k, v in value.items()})
        else:
            yield from _leaves(value, f"{key}.", where)


def _as_float(value: object) -> object:
    """Whole numbers of a config as floats, which an interval has."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def override(key: str, value: Value) -> str:
    """`key=value` in Hydra's grammar.

    >>> override("training.learning_rate", 0.001), override("objective.symmetric", True)
    ('training.learning_rate=0.001', 'objective.symmetric=true')
    """
    return f"{key}={str(value).lower() if isinstance(value, bool) else value}"


def nested_values(values: Mapping[str, Value]) -> dict[str, object]:
    """Values by dotted key as a nested mapping.

    >>> nested_values({"training.learning_rate": 0.1, "objective.centre": "both"})
    {'training': {'learning_rate': 0.1}, 'objective': {'centre': 'both'}}
    """
    tree: dict[str, object] = {}
    for key, value in values.items():
        *parents, last = key.split(".")
        branch = tree
        for parent in parents:
            child = branch.setdefault(parent, {})
            assert isinstance(child, dict)
            branch = child
        branch[last] = value
    return tree


def shown(values: Mapping[str, Value]) -> Sequence[str]:
    """`key=value` with four significant digits, for people."""
    return [
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in values.items()
    ]
