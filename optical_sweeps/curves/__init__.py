"""From scores to tidy tables, curves with intervals, laws, claims and figures (docs/howto/curves.md).

A library: it needs no torch, Lightning, Hydra or W&B. Scores may come from anywhere: a `Study` takes a table
with one row per run and query. A run is any object with the attributes of `LoggedRun`.

>>> import pandas
>>> from optical_sweeps.curves import Study
>>> rows = [(f"{r} {s}", "mine", r, s, "ar", q, r) for r in (0.0, 1.0) for s in (0, 1) for q in "12"]
>>> names = ["run", "objective", "ratio", "seed", "language", "query_id", "value"]
>>> table = pandas.DataFrame(rows, columns=names).assign(split="test", measure="nDCG@10")
>>> study = Study(table, groups={"low": ("ar",)})
>>> study.curve("mine", "group:low").mean.tolist()
[0.0, 1.0]
"""

from typing import TYPE_CHECKING

from optical_sweeps.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from optical_sweeps.curves.claims.claims_tables import claims_table, crossings_table
    from optical_sweeps.curves.claims.crossings import Crossing, Crossings, find_crossings
    from optical_sweeps.curves.claims.pairwise_claims import Claim, claims_of_study
    from optical_sweeps.curves.figures.contrast_figures import difference_figure, gap_figure
    from optical_sweeps.curves.figures.curve_figures import (
        gain_figure,
        group_figure,
        language_figure,
        save_all_figures,
    )
    from optical_sweeps.curves.figures.figure_style import save_figure
    from optical_sweeps.curves.laws.equations import LAWS, Law
    from optical_sweeps.curves.laws.fitted_curve import FittedCurve, fit_curve
    from optical_sweeps.curves.laws.law_fit import Fit, fit_law
    from optical_sweeps.curves.laws.law_selection import Choice, choose_law
    from optical_sweeps.curves.laws.law_tables import choices_table, fits_table
    from optical_sweeps.curves.statistics.strata import Stratum, strata
    from optical_sweeps.curves.statistics.study import Curve, Study
    from optical_sweeps.curves.statistics.study_tables import markdown_table, results_table
    from optical_sweeps.curves.tables.paper_table import PaperTable
    from optical_sweeps.curves.tables.result_tables import (
        LoggedRun,
        language_groups,
        per_query_table,
        result_table,
    )
else:
    __getattr__ = lazy_exports(
        __name__,
        {
            "claims_table": "optical_sweeps.curves.claims.claims_tables",
            "crossings_table": "optical_sweeps.curves.claims.claims_tables",
            "Crossing": "optical_sweeps.curves.claims.crossings",
            "Crossings": "optical_sweeps.curves.claims.crossings",
            "find_crossings": "optical_sweeps.curves.claims.crossings",
            "Claim": "optical_sweeps.curves.claims.pairwise_claims",
            "claims_of_study": "optical_sweeps.curves.claims.pairwise_claims",
            "difference_figure": "optical_sweeps.curves.figures.contrast_figures",
            "gap_figure": "optical_sweeps.curves.figures.contrast_figures",
            "gain_figure": "optical_sweeps.curves.figures.curve_figures",
            "group_figure": "optical_sweeps.curves.figures.curve_figures",
            "language_figure": "optical_sweeps.curves.figures.curve_figures",
            "save_all_figures": "optical_sweeps.curves.figures.curve_figures",
            "save_figure": "optical_sweeps.curves.figures.figure_style",
            "LAWS": "optical_sweeps.curves.laws.equations",
            "Law": "optical_sweeps.curves.laws.equations",
            "FittedCurve": "optical_sweeps.curves.laws.fitted_curve",
            "fit_curve": "optical_sweeps.curves.laws.fitted_curve",
            "Fit": "optical_sweeps.curves.laws.law_fit",
            "fit_law": "optical_sweeps.curves.laws.law_fit",
            "Choice": "optical_sweeps.curves.laws.law_selection",
            "choose_law": "optical_sweeps.curves.laws.law_selection",
            "choices_table": "optical_sweeps.curves.laws.law_tables",
            "fits_table": "optical_sweeps.curves.laws.law_tables",
            "Stratum": "optical_sweeps.curves.statistics.strata",
            "strata": "optical_sweeps.curves.statistics.strata",
            "Curve": "optical_sweeps.curves.statistics.study",
            "Study": "optical_sweeps.curves.statistics.study",
            "markdown_table": "optical_sweeps.curves.statistics.study_tables",
            "results_table": "optical_sweeps.curves.statistics.study_tables",
            "PaperTable": "optical_sweeps.curves.tables.paper_table",
            "LoggedRun": "optical_sweeps.curves.tables.result_tables",
            "language_groups": "optical_sweeps.curves.tables.result_tables",
            "per_query_table": "optical_sweeps.curves.tables.result_tables",
            "result_table": "optical_sweeps.curves.tables.result_tables",
        },
    )

__all__ = [
    "LAWS",
    "Choice",
    "Claim",
    "Crossing",
    "Crossings",
    "Curve",
    "Fit",
    "FittedCurve",
    "Law",
    "LoggedRun",
    "PaperTable",
    "Stratum",
    "Study",
    "choices_table",
    "choose_law",
    "claims_of_study",
    "claims_table",
    "crossings_table",
    "difference_figure",
    "find_crossings",
    "fit_curve",
    "fit_law",
    "fits_table",
    "gain_figure",
    "gap_figure",
    "group_figure",
    "language_figure",
    "language_groups",
    "markdown_table",
    "per_query_table",
    "result_table",
    "results_table",
    "save_all_figures",
    "save_figure",
    "strata",
]
