"""The root of GraphQL: queries and mutations on the server's state, named as the client names them."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.wandb_server.filters import matches
from tests.support.wandb_server.state import (
    ENTITY,
    ArtifactState,
    FileState,
    ProjectState,
    RunState,
    connection,
    new_id,
    now,
)

FEATURES: tuple[str, ...] = ()
"""Optional abilities of a server that this one has."""


class Store:
    """All projects, and every file by its id."""

    def __init__(self, links: Callable[[str], str]) -> None:
        self.links = links
        self.projects: dict[tuple[str, str], ProjectState] = {}
        self.files: dict[str, FileState] = {}

    def project(self, entity: str | None, name: str | None) -> ProjectState:
        """The project, made when it is first named."""
        key = (entity or ENTITY, name or "uncategorized")
        if key not in self.projects:
            self.projects[key] = ProjectState(key[1], key[0], self.links, self.files)
        return self.projects[key]

    def run(self, entity: str | None, project: str, name: str) -> RunState | None:
        return self.project(entity, project).all_runs.get(name)

    def artifact(self, artifact_id: str) -> ArtifactState:
        everything = (artifact for project in self.projects.values() for artifact in project.artifacts)
        return next(artifact for artifact in everything if artifact.id == artifact_id)


class ProjectView:
    """A project as queries see it."""

    def __init__(self, project: ProjectState) -> None:
        self._project = project

    def __getattr__(self, name: str) -> Any:
        return getattr(self._project, name, None)

    def run(self, name: str) -> RunState | None:
        return self._project.all_runs.get(name)

    def bucket(self, name: str, missingOk: bool = True) -> RunState | None:
        return self._project.all_runs.get(name)

    def runCount(self, filters: str | None = None) -> int:
        return len(self._matching(filters))

    def runs(
        self,
        filters: str | None = None,
        after: str | None = None,
        first: int | None = None,
        order: str | None = None,
    ) -> dict[str, Any]:
        found = self._matching(filters)
        found.sort(key=lambda run: run.createdAt, reverse=(order or "").startswith("-"))
        return connection(found, first, after)

    def allViews(
        self,
        viewType: str = "runs",
        viewName: str | None = None,
        userName: str | None = None,
        after: str | None = None,
        first: int | None = None,
    ) -> dict[str, Any]:
        of_type = [view for view in self._project.views.values() if view["type"] == viewType]
        return connection([view for view in of_type if viewName in (None, view["name"])], first, after)

    def artifactType(self, name: str) -> dict[str, Any] | None:
        return None

    def artifactCollection(self, name: str) -> dict[str, Any]:
        return {
            "__typename": "ArtifactSequence",
            "name": name,
            "artifactMembership": lambda aliasName: self._version(name, aliasName),
        }

    def artifactCollectionMembership(self, name: str) -> dict[str, Any] | None:
        collection, _, alias = name.partition(":")
        found = self._version(collection, alias)
        if found is None:
            return None
        return {
            "__typename": "ArtifactCollectionMembership",
            "id": f"{found.id}-membership",
            "versionIndex": found.versionIndex,
            "createdAt": found.createdAt,
            "aliases": found.aliases,
            "artifactCollection": found.artifactSequence,
            "artifact": found,
        }

    def _version(self, collection: str, alias: str) -> ArtifactState | None:
        versions = [
            artifact
            for artifact in self._project.artifacts
            if artifact.collection == collection and artifact.is_committed
        ]
        named = [artifact for artifact in versions if f"v{artifact.versionIndex}" == alias]
        return (named or versions or [None])[-1]

    def _matching(self, filters: str | None) -> list[RunState]:
        condition: Mapping[str, Any] = json.loads(filters or "{}") or {}
        return [run for run in self._project.all_runs.values() if matches(run.facts(), condition)]


class Operations:
    """Fields of the root types."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # ----------------------------------------------------------------------------------- queries

    def viewer(self) -> dict[str, Any]:
        return {
            "id": "viewer",
            "entity": ENTITY,
            "username": ENTITY,
            "email": "tester@example.org",
            "flags": "{}",
            "admin": False,
            "teams": {"edges": []},
            "apiKeys": {"edges": []},
        }

    def serverInfo(self) -> dict[str, Any]:
        return {"features": [{"name": name, "isEnabled": True} for name in FEATURES]}

    def entity(self, name: str) -> dict[str, Any]:
        organization = {"coreWeaveOrganizationId": None}
        return {"id": name, "name": name, "organization": organization, "xxhashDigestsEnabled": False}

    def project(self, name: str | None = None, entityName: str | None = None) -> ProjectView | None:
        """Null for a project that nobody has logged to."""
        project = self._store.projects.get((entityName or ENTITY, name or ""))
        return ProjectView(project) if project else None

    def model(self, name: str | None = None, entityName: str | None = None) -> ProjectView:
        return ProjectView(self._store.project(entityName, name))

    def models(
        self, entityName: str | None = None, after: str | None = None, first: int | None = None, **_: Any
    ) -> dict[str, Any]:
        """The projects of a user or team."""
        mine = [
            project for (entity, _), project in self._store.projects.items() if entity == (entityName or ENTITY)
        ]
        return {"__typename": "ProjectConnection", **connection(mine, first, after)}

    def artifact(self, id: str) -> ArtifactState:
        return self._store.artifact(id)

    # ---------------------------------------------------------------------------------- mutations

    def upsertBucket(self, input: dict[str, Any]) -> dict[str, Any]:
        run, inserted = self._upserted(input)
        for given, own in (("displayName", "displayName"), ("groupName", "group"), ("jobType", "jobType")):
            if input.get(given):
                setattr(run, own, input[given])
        if input.get("tags") is not None:
            run.tags = list(input["tags"])
        if input.get("config"):
            run.raw_config = json.loads(input["config"])
        if input.get("summaryMetrics"):
            run.summary = json.loads(input["summaryMetrics"])
        run.state = "running"
        run.heartbeatAt = now()
        return {"bucket": run, "inserted": inserted}

    def _upserted(self, input: dict[str, Any]) -> tuple[RunState, bool]:
        for project in self._store.projects.values():
            for run in project.all_runs.values():
                if input.get("id") == run.id:
                    return run, False
        project = self._store.project(input.get("entityName"), input.get("modelName"))
        name = input["name"]
        inserted = name not in project.all_runs
        return project.all_runs.setdefault(name, RunState(project, name, displayName=name)), inserted

    def createRunFiles(self, input: dict[str, Any]) -> dict[str, Any]:
        run = self._store.run(input.get("entityName"), input["projectName"], input["runName"])
        assert run is not None
        files = [run.new_file(name) for name in input["files"]]
        return {"runID": run.id, "uploadHeaders": [], "files": files}

    def markRunFilesUploaded(self, input: dict[str, Any]) -> dict[str, bool]:
        return {"success": True}

    def createArtifact(self, input: dict[str, Any]) -> dict[str, Any]:
        project = self._store.project(input["entityName"], input["projectName"])
        name = input["artifactCollectionName"]
        versions = [artifact for artifact in project.artifacts if artifact.collection == name]
        same = [artifact for artifact in versions if artifact.digest == input["digest"]]
        artifact = same[0] if same else ArtifactState(project, name, input["artifactTypeName"], input["digest"])
        if not same:
            artifact.versionIndex = len(versions)
            artifact.description, artifact.metadata = input.get("description"), input.get("metadata")
            project.artifacts.append(artifact)
        run = project.all_runs.get(input.get("runName") or "")
        if run and artifact not in run.artifacts_logged:
            run.artifacts_logged.append(artifact)
        return {"artifact": artifact}

    def createArtifactManifest(self, input: dict[str, Any]) -> dict[str, Any]:
        artifact = self._store.artifact(input["artifactID"])
        artifact.manifest = self._new_file(input["name"], artifact)
        return {"artifactManifest": {"id": f"{artifact.id}-manifest", "file": artifact.manifest}}

    def createArtifactFiles(self, input: dict[str, Any]) -> dict[str, Any]:
        files = []
        for wanted in input["artifactFiles"]:
            artifact = self._store.artifact(wanted["artifactID"])
            file = self._new_file(wanted["name"], artifact)
            artifact.contents[wanted["name"]] = file
            files.append(file)
        return {"files": connection(files, len(files), None)}

    def commitArtifact(self, input: dict[str, Any]) -> dict[str, Any]:
        artifact = self._store.artifact(input["artifactID"])
        artifact.state = "COMMITTED"
        return {"artifact": artifact}

    def updateArtifact(self, input: dict[str, Any]) -> dict[str, Any]:
        return {"artifact": self._store.artifact(input["artifactID"])}

    def deleteFiles(self, input: dict[str, Any]) -> dict[str, bool]:
        for file in input["files"]:
            self._store.files.pop(file, None)
        return {"success": True}

    def upsertView(self, input: dict[str, Any]) -> dict[str, Any]:
        """Workspaces and reports; what was sent stays in `ProjectState.views`. Only an id names a known one."""
        project = self._store.project(input.get("entityName"), input.get("projectName"))
        given = {key: value for key, value in input.items() if value is not None}
        known = project.views.get(given.get("id", ""), {"createdAt": now()})
        view = {"id": new_id("View"), **known, **given, "updatedAt": now(), "project": project}
        project.views[view["id"]] = view
        return {"view": view, "inserted": "id" not in given}

    def _new_file(self, name: str, artifact: ArtifactState) -> FileState:
        file = FileState(name, self._store.links, artifact=artifact)
        self._store.files[file.id] = file
        return file
