"""The sections as a W&B workspace and a W&B report, whose specifications only depend on their content.

The library `wandb-workspaces` gives panels and run sets random ids, and writes filters as text, which cannot
express every name. Here ids are derived from the content, and filters are passed on unchanged.
"""

import hashlib
import json
import unicodedata
import warnings
from collections.abc import Sequence

from pydantic import BaseModel

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.dashboards.logged_sweep import OBJECTIVE, LoggedSweep
from optical_sweeps.tracking.dashboards.sections import (
    Bars,
    Differences,
    Lines,
    Panel,
    Parallel,
    Scatter,
    Section,
    sections,
)
from optical_sweeps.tracking.run_log import STEP

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library uses deprecated features of pydantic
        import wandb_workspaces.expr as expr
        import wandb_workspaces.reports.v2.interface as reports
        import wandb_workspaces.workspaces as workspaces
        from wandb_workspaces._graphql import execute_graphql
        from wandb_workspaces.workspaces import internal
except ImportError as error:
    raise UserError(
        "dashboard: wandb-workspaces is not installed; pip install 'optical-sweeps[dashboards]'"
    ) from error

__all__ = ["MARK", "execute_graphql", "report", "specifications", "title_of", "workspace"]

MOST_RUNS = 100
"""Runs in a panel; more are slow to draw and cannot be distinguished."""

MARK = "Made by optical-sweeps dashboard, which overwrites it each time: edit a copy."
"""Description of the report, for readers and to identify it later."""

COLUMNS, WIDTH, HEIGHT = 3, 8, 7
"""Panels per row of a report, and the size of a panel in its grid of 24 columns."""


PlotPanel = (
    reports.LinePlot
    | reports.ScatterPlot
    | reports.BarPlot
    | reports.ParallelCoordinatesPlot
    | reports.RunComparer
)


def title_of(sweep: LoggedSweep) -> str:
    """Title of the workspace and the report; it identifies the report."""
    return f"{f'Sweep {sweep.group}' if sweep.group else 'All sweeps'}: {sweep.measure}"[:128]


def workspace_name(sweep: LoggedSweep) -> str:
    """Part of the workspace's address, eleven letters and digits like W&B's, the same on every call."""
    return _identifier(title_of(sweep))[:11]


def _without_symbols(title: str) -> str:
    """The title as the library accepts it for a workspace: it refuses emoji and other symbols.

    >>> _without_symbols("Sweep ratio=0.5: nDCG@10")
    'Sweep ratio-0.5: nDCG@10'
    """
    return "".join("-" if unicodedata.category(letter)[0] in "SC" else letter for letter in title)


def workspace(sweep: LoggedSweep, entity: str) -> workspaces.Workspace:
    """The workspace, not saved yet."""
    space = workspaces.Workspace(
        entity=entity,
        project=sweep.project,
        name=_without_symbols(title_of(sweep)),
        sections=[
            workspaces.Section(
                name=section.title,
                is_open=section.opened,
                panels=[*_plots(section, sweep)],
                layout_settings=workspaces.SectionLayoutSettings(columns=COLUMNS, rows=2),
                panel_settings=workspaces.SectionPanelSettings(x_axis=STEP),
            )
            for section in sections(sweep)
        ],
        settings=workspaces.WorkspaceSettings(x_axis=STEP, max_runs=MOST_RUNS),
        runset_settings=workspaces.RunsetSettings(
            pinned_columns=["run:displayName", *_columns(sweep)],
            order=[expr.Ordering(expr.Summary(metric), ascending=False) for metric in _finals(sweep)[:1]],
        ),
    )
    _filter(space, sweep)
    space._internal_name = internal._url_query_str_to_internal_name(workspace_name(sweep))
    space._internal_runset_id = _identifier("runs", title_of(sweep))
    return space


def report(sweep: LoggedSweep, entity: str, *, on_service: bool = False) -> reports.Report:
    """The report, not saved yet.

    Args:
        on_service: let the library request the project's number, which a saved report needs.
    """
    blocks: list[reports.BlockTypes] = [reports.TableOfContents()]
    for section in sections(sweep):
        blocks += [reports.H2(text=section.title), reports.P(text=section.text)]
        each = section.runs == "each" and len(sweep.objectives) > 1
        for objective in sweep.objectives if each else (None,):
            if objective:
                blocks.append(reports.H3(text=objective.rpartition(".")[2]))
            runs = _runset(sweep, entity if on_service else "", section, objective)
            plots = _plots(section, sweep, objective)
            blocks.append(reports.PanelGrid(runsets=[runs], panels=[*_placed(plots)]))
    return reports.Report(
        entity=entity,
        project=sweep.project,
        title=title_of(sweep),
        description=MARK,
        blocks=blocks,
        width="fluid",
    )


def specifications(sweep: LoggedSweep) -> dict[str, object]:
    """What `save` would send, without network access: as W&B stores it, except for the project's number."""
    view = workspace(sweep, sweep.entity or "")._to_model()
    page = report(sweep, sweep.entity or "")._to_model()
    return {
        "project": sweep.project,
        "entity": sweep.entity,
        "group": sweep.group,
        "workspace": {"title": view.display_name, "name": view.name, "spec": _plain(view.spec)},
        "report": {
            "title": page.display_name,
            "description": page.description,
            "spec": _plain(page.spec),
        },
    }


def _plain(spec: BaseModel) -> object:
    """A specification as the library sends it."""
    return json.loads(spec.model_dump_json(by_alias=True, exclude_none=True))


def _plots(section: Section, sweep: LoggedSweep, objective: str | None = None) -> list[PlotPanel]:
    plots = []
    for panel in section.panels:
        plot = _plot(panel)
        plot._id = _identifier(title_of(sweep), section.title, panel.title, objective or "")
        plots.append(plot)
    return plots


def _plot(panel: Panel) -> PlotPanel:
    match panel:
        case Lines(title, metric, logarithmic):
            return reports.LinePlot(
                title=title,
                x=STEP,
                y=[metric],
                log_y=logarithmic or None,
                groupby=reports.Config(OBJECTIVE),
                groupby_aggfunc="mean",
                groupby_rangefunc="stderr",
                max_runs_to_show=MOST_RUNS,
            )
        case Scatter(title, setting, metric):
            return reports.ScatterPlot(title=title, x=reports.Config(setting), y=reports.SummaryMetric(metric))
        case Bars(title, metrics):
            return reports.BarPlot(
                title=title,
                metrics=list(metrics),
                groupby=reports.Config(OBJECTIVE),
                groupby_aggfunc="mean",
                groupby_rangefunc="stderr",
                max_runs_to_show=MOST_RUNS,
            )
        case Parallel(title, settings, metrics):
            columns = [
                reports.ParallelCoordinatesPlotColumn(metric=reports.Config(key), display_name=label)
                for label, key in settings.items()
            ]
            columns += [
                reports.ParallelCoordinatesPlotColumn(metric=reports.SummaryMetric(name)) for name in metrics
            ]
            return reports.ParallelCoordinatesPlot(title=title, columns=columns)
        case Differences():
            return reports.RunComparer(diff_only="split")


def _placed(panels: Sequence[PlotPanel]) -> list[PlotPanel]:
    """Place panels row by row; a wide panel fills a row."""
    x, y = 0, 0
    for panel in panels:
        wide = isinstance(panel, reports.ParallelCoordinatesPlot | reports.RunComparer)
        if x and (wide or x + WIDTH > COLUMNS * WIDTH):
            x, y = 0, y + HEIGHT
        width, height = (COLUMNS * WIDTH, 2 * HEIGHT) if wide else (WIDTH, HEIGHT)
        panel.layout = reports.Layout(x=x, y=y, w=width, h=height)
        x, y = (0, y + height) if wide else (x + width, y)
    return list(panels)


def _runset(sweep: LoggedSweep, entity: str, section: Section, objective: str | None) -> reports.Runset:
    columns = _columns(sweep)
    runs = reports.Runset(
        entity=entity,
        project=sweep.project if entity else "",
        name=sweep.group or "all sweeps",
        pinned_columns=["run:displayName", *columns],
        order=[reports.OrderBy(reports.SummaryMetric(metric)) for metric in _finals(sweep)[:1]],
    )
    runs._id = _identifier("runs", title_of(sweep), section.title, objective or "")
    _filter(runs, sweep, objective)
    return runs


def _filter(
    runs: reports.Runset | workspaces.Workspace, sweep: LoggedSweep, objective: str | None = None
) -> None:
    """Only show runs of this sweep (and objective).

    The library writes filters as text and parses it again, which changes names with `=`, `<`, `>` or quotes.
    """
    wanted = []
    if sweep.group:
        wanted.append(expr.Metric("Group") == sweep.group)
    if objective:
        section, _, rest = OBJECTIVE.partition(".")
        wanted.append(expr.Config(f"{section}.value.{rest}") == objective)
    tree = expr._filter_items_to_filters_tree([expr.And(*wanted)] if wanted else [])
    runs._stashed_filters_v2 = expr.filters_tree_to_v2(tree)
    runs._stashed_filter_string = ""


def _columns(sweep: LoggedSweep) -> list[str]:
    """Columns of the table of runs: settings and final values."""
    return [*map(_config_column, sweep.settings), *(f"summary:{metric}" for metric in _finals(sweep))]


def _config_column(key: str) -> str:
    """The column of a config key; the service stores each section of the config as a value.

    >>> _config_column("mixture.ratio"), _config_column("seed")
    ('config:mixture.value.ratio', 'config:seed.value')
    """
    section, dot, rest = key.partition(".")
    return f"config:{section}.value{dot}{rest}"


def _finals(sweep: LoggedSweep) -> list[str]:
    """The measure on the test split, groups first; on dev if there is no test score yet."""
    slices = (*sweep.groups, *sweep.languages)
    return sweep.scores("test", *slices) or sweep.scores("dev", *slices)


def _identifier(*parts: str) -> str:
    """Twelve letters and digits, like the ids that W&B gives to panels.

    >>> _identifier("a", "b") == _identifier("a", "b") != _identifier("ab")
    True
    """
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
