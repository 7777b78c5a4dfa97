"""The languages of a run, in the two groups that a sweep compares."""

from optical_sweeps.checks import Strings
from optical_sweeps.errors import UserError
from optical_sweeps.settings import settings


@settings("languages")
class Languages:
    """The two groups of languages whose shares of the training data a sweep varies.

    Raises:
        UserError: there is no language at all, or one is in both groups.
    """

    high: Strings
    low: Strings

    def __post_init__(self) -> None:
        if not self.all:
            raise UserError(
                "languages: both groups are empty; name languages in languages.high and languages.low"
            )
        if both := set(self.high) & set(self.low):
            raise UserError(f"languages: {', '.join(sorted(both))} in both languages.high and languages.low")

    @property
    def all(self) -> tuple[str, ...]:
        """Every language."""
        return self.high + self.low

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The groups that are not empty, by name; `all` is every language."""
        groups = {"high": self.high, "low": self.low, "all": self.all}
        return {name: languages for name, languages in groups.items() if languages}
