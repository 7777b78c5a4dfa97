"""A dashboard put on W&B's service: one workspace and one report a sweep, however often it is saved."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.dashboards.logged import Logged
from optical_sweeps.tracking.dashboards.views import MARK, library, report, title_of, workspace
from optical_sweeps.tracking.service import errors_for_users, public_api

WORKSPACE = """
    query Workspace($entity: String, $project: String, $view: String) {
        project(name: $project, entityName: $entity) {
            allViews(viewType: "project-view", viewName: $view) { edges { node { id name } } }
        }
    }
"""


@dataclass(frozen=True)
class Saved:
    """Where it is.

    Args:
        workspace, report: addresses.
        renewed: it stood there before.
    """

    workspace: str
    report: str
    renewed: bool


def save(logged: Logged, *, timeout: float = 60.0) -> Saved:
    """Save workspace and report; those that an earlier call saved are written anew.

    The workspace is known by its name, which is derived from the sweep's; the report by its title.

    Raises:
        UserError: not logged in, a refused key, a service that does not answer, no such project there.
    """
    of = library()
    path = f"{logged.entity}/{logged.project}" if logged.entity else logged.project
    with errors_for_users(path):
        api = public_api(timeout)
        entity = logged.entity or api.default_entity
        if not _has_project(api, entity, logged.project):
            raise UserError(
                f"W&B project {entity}/{logged.project}: not there yet; synchronise the sweep first "
                "(optical-sweeps sweep sync SWEEP)"
            )
        space, page = workspace(logged, entity), report(logged, entity, on_service=True)
        space._internal_id = _workspace_id(of.execute_graphql, api, logged, entity, space._internal_name)
        page.id = _report_id(api, entity, logged)
        renewed = bool(space._internal_id and page.id)
        space.save()
        page.save()
        return Saved(space.url, page.url, renewed)


def _has_project(api: Any, entity: str, project: str) -> bool:
    return any(found.name == project for found in api.projects(entity))


def _workspace_id(ask: Callable[..., Any], api: Any, logged: Logged, entity: str, name: str) -> str:
    """Of the workspace of this name; empty where there is none."""
    found = ask(api, WORKSPACE, {"entity": entity, "project": logged.project, "view": name})
    edges = found["project"]["allViews"]["edges"]
    return next((str(edge["node"]["id"]) for edge in edges if edge["node"]["name"] == name), "")


def _report_id(api: Any, entity: str, logged: Logged) -> str:
    """Of the report of this title that was made here; empty where there is none."""
    wanted = title_of(logged)
    found = (page for page in api.reports(f"{entity}/{logged.project}") if page.display_name == wanted)
    return next((str(page.id) for page in found if page.description == MARK), "")
