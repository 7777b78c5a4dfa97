"""Sections in W&B's terms: a workspace and a report, whose specifications depend on their content alone.

The library (`wandb-workspaces`) gives panels and sets of runs random ids and passes filters through a text that
cannot hold every name; here ids are derived, and filters handed over as they are.
"""

import hashlib
import json
import unicodedata
import warnings
from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.dashboards.logged import OBJECTIVE, Logged
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

MOST_RUNS = 100
"""Runs in a panel; more are drawn slowly and told apart by nobody."""

MARK = "Made by optical-sweeps dashboard, which writes it anew each time: edit a copy."
"""Stands in the report, for people and to find it again."""

COLUMNS, WIDTH, HEIGHT = 3, 8, 7
"""Panels in a row of a report, and a panel's size in its grid of 24 columns."""


def library() -> Any:
    """The parts of `wandb-workspaces` that are used.

    Raises:
        UserError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it uses what its own validation library means to remove
            import wandb_workspaces.expr as expr
            import wandb_workspaces.reports.v2 as reports
            import wandb_workspaces.workspaces as workspaces
            from wandb_workspaces._graphql import execute_graphql
            from wandb_workspaces.workspaces import internal
    except ImportError as error:
        raise UserError(
            "dashboard: wandb-workspaces is not installed; pip install 'optical-sweeps[dashboards]'"
        ) from error
    return SimpleNamespace(
        expr=expr, reports=reports, workspaces=workspaces, internal=internal, execute_graphql=execute_graphql
    )


def title_of(logged: Logged) -> str:
    """Of the workspace and the report; by it the report is found again."""
    return f"{f'Sweep {logged.group}' if logged.group else 'All sweeps'}: {logged.measure}"[:128]


def workspace_name(logged: Logged) -> str:
    """Part of the workspace's address, the same at every call.

    W&B's own are eleven letters and digits.
    """
    return _identifier(title_of(logged))[:11]


def _without_symbols(title: str) -> str:
    """What the library takes for a workspace's name: it refuses emoji, and all that counts as a symbol.

    >>> _without_symbols("Sweep ratio=0.5: nDCG@10")
    'Sweep ratio-0.5: nDCG@10'
    """
    return "".join("-" if unicodedata.category(letter)[0] in "SC" else letter for letter in title)


def workspace(logged: Logged, entity: str) -> Any:
    """A `wandb_workspaces` workspace, not saved."""
    of = library()
    made = of.workspaces.Workspace(
        entity=entity,
        project=logged.project,
        name=_without_symbols(title_of(logged)),
        sections=[
            of.workspaces.Section(
                name=section.title,
                is_open=section.opened,
                panels=_panels(of.reports, section, logged),
                layout_settings=of.workspaces.SectionLayoutSettings(columns=COLUMNS, rows=2),
                panel_settings=of.workspaces.SectionPanelSettings(x_axis=STEP),
            )
            for section in sections(logged)
        ],
        settings=of.workspaces.WorkspaceSettings(x_axis=STEP, max_runs=MOST_RUNS),
        runset_settings=of.workspaces.RunsetSettings(
            pinned_columns=["run:displayName", *_columns(logged)],
            order=[
                of.expr.Ordering(of.expr.Summary(metric), ascending=False) for metric in _finals(logged)[:1]
            ],
        ),
    )
    _filter(made, of.expr, logged)
    made._internal_name = of.internal._url_query_str_to_internal_name(workspace_name(logged))
    made._internal_runset_id = _identifier("runs", title_of(logged))
    return made


def report(logged: Logged, entity: str, *, on_service: bool = False) -> Any:
    """A `wandb_workspaces` report, not saved.

    Args:
        on_service: let the library ask the service for the project's number, which a saved report needs.
    """
    of = library()
    blocks = [of.reports.TableOfContents()]
    for section in sections(logged):
        blocks += [of.reports.H2(text=section.title), of.reports.P(text=section.text)]
        each = section.of == "each" and len(logged.objectives) > 1
        for objective in logged.objectives if each else (None,):
            if objective:
                blocks.append(of.reports.H3(text=objective.rpartition(".")[2]))
            runs = _runset(of, logged, entity if on_service else "", section, objective)
            panels = _panels(of.reports, section, logged, objective)
            blocks.append(of.reports.PanelGrid(runsets=[runs], panels=_placed(of.reports, panels)))
    return of.reports.Report(
        entity=entity,
        project=logged.project,
        title=title_of(logged),
        description=MARK,
        blocks=blocks,
        width="fluid",
    )


def specifications(logged: Logged) -> dict[str, Any]:
    """What `save` would send, without network: as W&B stores it, except for the project's number."""
    view = workspace(logged, logged.entity or "")._to_model()
    page = report(logged, logged.entity or "")._to_model()
    return {
        "project": logged.project,
        "entity": logged.entity,
        "group": logged.group,
        "workspace": {"title": view.display_name, "name": view.name, "spec": _plain(view.spec)},
        "report": {
            "title": page.display_name,
            "description": page.description,
            "spec": _plain(page.spec),
        },
    }


def _plain(spec: Any) -> dict[str, Any]:
    """As the library sends it."""
    found: dict[str, Any] = json.loads(spec.model_dump_json(by_alias=True, exclude_none=True))
    return found


def _panels(of: ModuleType, section: Section, logged: Logged, objective: str | None = None) -> list[Any]:
    made = []
    for panel in section.panels:
        new = _panel(of, panel)
        new._id = _identifier(title_of(logged), section.title, panel.title, objective or "")
        made.append(new)
    return made


def _panel(of: ModuleType, panel: Panel) -> Any:
    match panel:
        case Lines(title, metric, logarithmic):
            return of.LinePlot(
                title=title,
                x=STEP,
                y=[metric],
                log_y=logarithmic or None,
                groupby=of.Config(OBJECTIVE),
                groupby_aggfunc="mean",
                groupby_rangefunc="stderr",
                max_runs_to_show=MOST_RUNS,
            )
        case Scatter(title, setting, metric):
            return of.ScatterPlot(title=title, x=of.Config(setting), y=of.SummaryMetric(metric))
        case Bars(title, metrics):
            return of.BarPlot(
                title=title,
                metrics=list(metrics),
                groupby=of.Config(OBJECTIVE),
                groupby_aggfunc="mean",
                groupby_rangefunc="stderr",
                max_runs_to_show=MOST_RUNS,
            )
        case Parallel(title, settings, metrics):
            columns = [
                of.ParallelCoordinatesPlotColumn(metric=of.Config(key), display_name=label)
                for label, key in settings.items()
            ]
            columns += [of.ParallelCoordinatesPlotColumn(metric=of.SummaryMetric(name)) for name in metrics]
            return of.ParallelCoordinatesPlot(title=title, columns=columns)
        case Differences():
            return of.RunComparer(diff_only="split")


def _placed(of: ModuleType, panels: Sequence[Any]) -> list[Any]:
    """Row by row; wide ones alone."""
    x, y = 0, 0
    for panel in panels:
        wide = isinstance(panel, of.ParallelCoordinatesPlot | of.RunComparer)
        if x and (wide or x + WIDTH > COLUMNS * WIDTH):
            x, y = 0, y + HEIGHT
        width, height = (COLUMNS * WIDTH, 2 * HEIGHT) if wide else (WIDTH, HEIGHT)
        panel.layout = of.Layout(x=x, y=y, w=width, h=height)
        x, y = (0, y + height) if wide else (x + width, y)
    return list(panels)


def _runset(of: Any, logged: Logged, entity: str, section: Section, objective: str | None) -> Any:
    columns = _columns(logged)
    runs = of.reports.Runset(
        entity=entity,
        project=logged.project if entity else "",
        name=logged.group or "all sweeps",
        pinned_columns=["run:displayName", *columns],
        order=[of.reports.OrderBy(of.reports.SummaryMetric(metric)) for metric in _finals(logged)[:1]],
    )
    runs._id = _identifier("runs", title_of(logged), section.title, objective or "")
    _filter(runs, of.expr, logged, objective)
    return runs


def _filter(runs: Any, expr: Any, logged: Logged, objective: str | None = None) -> None:
    """Only runs of this sweep (and objective).

    The library writes filters as text and reads them back, which changes names with `=`, `<`, `>` or quotes.
    """
    wanted = []
    if logged.group:
        wanted.append(expr.Metric("Group") == logged.group)
    if objective:
        section, _, rest = OBJECTIVE.partition(".")
        wanted.append(expr.Config(f"{section}.value.{rest}") == objective)
    tree = expr._filter_items_to_filters_tree([expr.And(*wanted)] if wanted else [])
    runs._stashed_filters_v2 = expr.filters_tree_to_v2(tree)
    runs._stashed_filter_string = ""


def _columns(logged: Logged) -> list[str]:
    """Of the table of runs: what was set, and what came of it."""
    return [*map(_config_column, logged.settings), *(f"summary:{metric}" for metric in _finals(logged))]


def _config_column(key: str) -> str:
    """The service keeps each section of the config as a value.

    >>> _config_column("mixture.ratio"), _config_column("seed")
    ('config:mixture.value.ratio', 'config:seed.value')
    """
    section, dot, rest = key.partition(".")
    return f"config:{section}.value{dot}{rest}"


def _finals(logged: Logged) -> list[str]:
    """The measure on the test split, all languages first; on dev where there is no test yet."""
    slices = (*logged.groups, *logged.languages)
    return logged.scores("test", *slices) or logged.scores("dev", *slices)


def _identifier(*parts: str) -> str:
    """Twelve letters and digits, as W&B gives its panels.

    >>> _identifier("a", "b") == _identifier("a", "b") != _identifier("ab")
    True
    """
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
