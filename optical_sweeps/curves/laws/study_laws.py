"""The law of each curve of a study, chosen by held-out error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optical_sweeps.curves.laws.fitted_curve import FittedCurve, fit_curve
from optical_sweeps.curves.laws.law_selection import Choice, choose_law
from optical_sweeps.curves.laws.law_tables import choices_table, fits_table
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.tables.paper_table import PaperTable
from optical_sweeps.errors import UserError

CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "ratio": ("mixing",),
    "total": ("power", "power_offset", "saturating"),
}
"""Swept variable -> the laws whose inputs follow from it; `constant` always competes."""

REPLICATES = 400

Laws = Mapping[tuple[str, str], FittedCurve]
"""(objective, slice) -> the law of that curve."""


@dataclass(frozen=True, eq=False)
class StudyLaws:
    """Laws by (objective, slice).

    Args:
        undecided: why a curve has no law.
    """

    choices: Mapping[tuple[str, str], Choice]
    fitted: Laws
    undecided: Mapping[tuple[str, str], str]

    def determined(self) -> Laws:
        """The laws that the data determine, without constants, which are not a trend."""
        return {
            key: law for key, law in self.fitted.items() if law.fit.determined and law.law.name != "constant"
        }

    def explain_undecided(self) -> str:
        """The curves without a law, with the reasons; empty if every curve has one."""
        curves: dict[str, list[str]] = {}
        for (objective, slice), reason in self.undecided.items():
            curves.setdefault(reason, []).append(f"{objective} on {slice}")
        return " ".join(f"No law for {', '.join(names)}: {reason}." for reason, names in curves.items())

    def tables(self) -> tuple[PaperTable, PaperTable]:
        """The parameters of the chosen laws, and the contenders with their held-out errors."""
        return fits_table(list(self.fitted.values())), choices_table(self.choices)


def laws_of(study: Study, slices: Sequence[str], *, seed: int = 0) -> StudyLaws:
    """Choose and fit a law for every objective on every slice."""
    choices, fitted, undecided = {}, {}, {}
    for objective in study.objectives:
        for slice in slices:
            try:
                choice = choose_law(study, objective, slice, CANDIDATES.get(study.x, ()), seed=seed)
                law = fit_curve(study, objective, slice, choice.law, replicates=REPLICATES, seed=seed)
            except UserError as error:
                undecided[objective, slice] = str(error)
                continue
            choices[objective, slice], fitted[objective, slice] = choice, law
    return StudyLaws(choices, fitted, undecided)
