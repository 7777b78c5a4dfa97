"""Saves a dashboard to W&B's service: each sweep has one workspace and one report, which later saves
replace."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.dashboards.logged_sweep import LoggedSweep
from optical_sweeps.tracking.dashboards.views import MARK, execute_graphql, report, title_of, workspace
from optical_sweeps.tracking.wandb_api import errors_for_users, public_api

if TYPE_CHECKING:
    import wandb

WORKSPACE = """
    query Workspace($entity: String, $project: String, $view: String) {
        project(name: $project, entityName: $entity) {
            allViews(viewType: "project-view", viewName: $view) { edges { node { id name } } }
        }
    }
"""


@dataclass(frozen=True)
class SavedDashboard:
    """Addresses of a saved dashboard.

    Args:
        workspace, report: their addresses.
        replaced: whether both existed before.
    """

    workspace: str
    report: str
    replaced: bool


def save(sweep: LoggedSweep, *, timeout: float = 60.0) -> SavedDashboard:
    """Save workspace and report, replacing those that an earlier call saved.

    The workspace is identified by its name, which is derived from the sweep's name, and the report by its
    title.

    Raises:
        UserError: not logged in, a refused key, a service that does not answer, or no such project.
    """
    with errors_for_users(f"{sweep.entity}/{sweep.project}" if sweep.entity else sweep.project):
        api = public_api(timeout)
        entity = sweep.entity or api.default_entity or ""
        if not any(project.name == sweep.project for project in api.projects(entity)):
            raise UserError(
                f"W&B project {entity}/{sweep.project}: does not exist yet; synchronise the sweep first "
                "(optical-sweeps sweep sync SWEEP)"
            )
        space, page = workspace(sweep, entity), report(sweep, entity, on_service=True)
        space._internal_id = _workspace_id(api, sweep, entity, space._internal_name)
        page.id = _report_id(api, entity, sweep)
        replaced = bool(space._internal_id and page.id)
        space.save()
        page.save()
        return SavedDashboard(space.url, page.url, replaced)


def _workspace_id(api: "wandb.Api", sweep: LoggedSweep, entity: str, name: str) -> str:
    """The id of the workspace of this name, or an empty string."""
    answer = execute_graphql(api, WORKSPACE, {"entity": entity, "project": sweep.project, "view": name})
    edges = answer["project"]["allViews"]["edges"]
    return next((str(edge["node"]["id"]) for edge in edges if edge["node"]["name"] == name), "")


def _report_id(api: "wandb.Api", entity: str, sweep: LoggedSweep) -> str:
    """The id of the report of this title that this program saved, or an empty string."""
    title = title_of(sweep)
    reports = (page for page in api.reports(f"{entity}/{sweep.project}") if page.display_name == title)
    return next((str(page.id) for page in reports if page.description == MARK), "")
