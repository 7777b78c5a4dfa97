"""What the server holds: runs with their history, files and artifacts. Attributes are named as in GraphQL."""

import base64
import hashlib
import io
import itertools
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

ENTITY = "tester"
NUMBERS = itertools.count(1)
"""Of everything that has an id."""


def now() -> str:
    """Seconds with six digits: two heartbeats never look the same."""
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e6):06d}Z"


def new_id(kind: str) -> str:
    return base64.b64encode(f"{kind}:{next(NUMBERS)}".encode()).decode()


def connection(nodes: list[Any], first: int | None, after: str | None) -> dict[str, Any]:
    """A page of nodes; the cursor is the number of nodes before it."""
    start = int(after or 0)
    page = nodes[start : start + (first or 50)]
    end = start + len(page)
    return {
        "edges": [{"node": node, "cursor": str(start + n + 1)} for n, node in enumerate(page)],
        "pageInfo": {"__typename": "PageInfo", "endCursor": str(end), "hasNextPage": end < len(nodes)},
        "totalCount": len(nodes),
    }


@dataclass
class FileState:
    """A run's file, or one of an artifact."""

    name: str
    links: Callable[[str], str]
    content: bytes | None = None
    id: str = field(default_factory=lambda: new_id("File"))
    updatedAt: str = field(default_factory=now)
    uploadHeaders: tuple[str, ...] = ()
    mimetype: str = "application/octet-stream"
    artifact: Any = None
    uploadMultipartUrls: Any = None

    @property
    def uploadUrl(self) -> str:
        return self.links(self.id)

    @property
    def directUrl(self) -> str:
        return self.links(self.id)

    @property
    def storagePath(self) -> str:
        return f"stored/{self.id}"

    def url(self, upload: bool = False) -> str:
        return self.links(self.id)

    @property
    def sizeBytes(self) -> str:
        return str(len(self.content or b""))

    @property
    def md5(self) -> str:
        return base64.b64encode(hashlib.md5(self.content or b"").digest()).decode()


@dataclass
class RunState:
    """One run."""

    project: "ProjectState"
    name: str
    id: str = field(default_factory=lambda: new_id("Run"))
    displayName: str = ""
    group: str = ""
    jobType: str = ""
    state: str = "running"
    tags: list[str] = field(default_factory=list)
    raw_config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history_lines: list[str] = field(default_factory=list)
    event_lines: list[str] = field(default_factory=list)
    log_lines: list[str] = field(default_factory=list)
    stored: dict[str, FileState] = field(default_factory=dict)
    exported: list[FileState] = field(default_factory=list)
    exported_lines: int = 0
    artifacts_logged: "list[ArtifactState]" = field(default_factory=list)
    createdAt: str = field(default_factory=now)
    heartbeatAt: str = field(default_factory=now)
    exit_code: int | None = None
    projectId: int = 1
    readOnly: bool = False
    description: str = ""
    notes: str = ""
    systemMetrics: str = "{}"

    def rows(self) -> list[dict[str, Any]]:
        """History as it was logged."""
        return [json.loads(line) for line in self.history_lines]

    def values(self, key: str) -> list[Any]:
        """A metric's values, in the order they were logged."""
        return [row[key] for row in self.rows() if key in row]

    def export_history(self) -> None:
        """Move all history so far into a Parquet file, as the service does with old rows."""
        import pandas

        rows = self.rows()[self.exported_lines :]
        buffer = io.BytesIO()
        pandas.DataFrame(rows).to_parquet(buffer)
        file = FileState("history.parquet", self.project.links, buffer.getvalue())
        self.project.files[file.id] = file
        self.exported.append(file)
        self.exported_lines += len(rows)

    # ------------------------------------------------------------------ what GraphQL asks for

    @property
    def user(self) -> dict[str, str]:
        return {"name": ENTITY, "username": ENTITY}

    @property
    def config(self) -> str:
        return json.dumps(self.raw_config)

    @property
    def plain_config(self) -> dict[str, Any]:
        return {key: item.get("value") for key, item in self.raw_config.items()}

    @property
    def summaryMetrics(self) -> str:
        """JSON knows no NaN: the service answers with its name."""
        return json.dumps(_without_nan(self.summary))

    @property
    def historyLineCount(self) -> int:
        return len(self.history_lines)

    @property
    def eventsLineCount(self) -> int:
        return len(self.event_lines)

    @property
    def logLineCount(self) -> int:
        return len(self.log_lines)

    @property
    def historyTail(self) -> str:
        return json.dumps(self.history_lines[-1:])

    @property
    def eventsTail(self) -> str:
        return json.dumps(self.event_lines[-1:])

    def wandbConfig(self, keys: list[str] | None = None) -> str:
        return json.dumps({"t": {}})

    @property
    def historyKeys(self) -> dict[str, Any]:
        keys = {key: {} for row in self.rows() for key in row}
        return {"lastStep": max((row["_step"] for row in self.rows()), default=-1), "keys": keys}

    def history(self, minStep: int = 0, maxStep: int = 2**62, samples: int = 500) -> list[str]:
        rows = [row for row in self.rows() if minStep <= row["_step"] < maxStep]
        return [json.dumps(_without_nan(row)) for row in _sampled(rows, samples)]

    def sampledHistory(self, specs: list[str]) -> list[list[dict[str, Any]]]:
        return [self._sampled_by(json.loads(spec)) for spec in specs]

    def _sampled_by(self, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
        low, high = spec.get("minStep", 0), spec.get("maxStep", 2**62)
        rows = [row for row in self.rows() if low <= row["_step"] <= high]
        chosen = [{key: row[key] for key in spec["keys"]} for row in rows if set(spec["keys"]) <= set(row)]
        return _sampled([_without_nan(row) for row in chosen], spec.get("samples", 500))

    def parquetHistory(self, liveKeys: list[str]) -> dict[str, Any]:
        live = self.rows()[self.exported_lines :]
        steps = [{"_step": row["_step"]} for row in live]
        return {"parquetUrls": [file.directUrl for file in self.exported], "liveData": steps}

    @property
    def fileCount(self) -> int:
        return len(self.stored)

    def files(
        self,
        names: list[str] | None = None,
        after: str | None = None,
        first: int | None = None,
        pattern: str | None = None,
    ) -> dict[str, Any]:
        like = re.compile(re.escape(pattern or "%").replace("%", ".*"))
        uploaded = [file for _, file in sorted(self.stored.items()) if file.content is not None]
        wanted = [file for file in uploaded if (not names or file.name in names) and like.fullmatch(file.name)]
        return connection(wanted, first, after)

    def outputArtifacts(self, after: str | None = None, first: int | None = None) -> dict[str, Any]:
        return connection(
            [artifact for artifact in self.artifacts_logged if artifact.is_committed], first, after
        )

    def facts(self) -> dict[str, Any]:
        """What filters see."""
        names = ("name", "displayName", "group", "jobType", "state", "tags", "createdAt", "heartbeatAt")
        return {
            **{name: getattr(self, name) for name in names},
            "config": self.plain_config,
            "summary": self.summary,
        }

    def new_file(self, name: str) -> FileState:
        """The entry of a file that is about to be uploaded (again)."""
        file = self.stored.get(name) or FileState(name, self.project.links)
        self.stored[name] = self.project.files[file.id] = file
        return file


@dataclass
class ArtifactState:
    """One version of an artifact."""

    project: "ProjectState"
    collection: str
    type: str
    digest: str
    id: str = field(default_factory=lambda: new_id("Artifact"))
    state: str = "PENDING"
    description: str | None = None
    metadata: str | None = None
    versionIndex: int = 0
    createdAt: str = field(default_factory=now)
    updatedAt: str = field(default_factory=now)
    manifest: FileState | None = None
    contents: dict[str, FileState] = field(default_factory=dict)
    ttlIsInherited: bool = True
    ttlDurationSeconds: int = -2
    historyStep: int | None = None
    digestAlgorithm: str = "MANIFEST_MD5"
    commitHash: str = ""

    @property
    def is_committed(self) -> bool:
        return self.state == "COMMITTED"

    @property
    def artifactType(self) -> dict[str, str]:
        return {"name": self.type}

    @property
    def artifactSequence(self) -> dict[str, Any]:
        versions = [
            other
            for other in self.project.artifacts
            if other.collection == self.collection and other.is_committed
        ]
        return {
            "__typename": "ArtifactSequence",
            "name": self.collection,
            "project": self.project,
            "latestArtifact": versions[-1] if versions else None,
        }

    @property
    def size(self) -> int:
        return sum(len(file.content or b"") for file in self.contents.values())

    @property
    def fileCount(self) -> int:
        return len(self.contents)

    @property
    def tags(self) -> list[Any]:
        return []

    @property
    def aliases(self) -> list[dict[str, Any]]:
        return [
            {
                "__typename": "ArtifactAlias",
                "id": f"{self.id}-latest",
                "alias": "latest",
                "artifactCollection": self.artifactSequence,
            }
        ]

    @property
    def currentManifest(self) -> dict[str, Any]:
        return {"id": f"{self.id}-manifest", "file": self.manifest}

    def files(self, after: str | None = None, first: int | None = None, **_: Any) -> dict[str, Any]:
        return connection([file for _, file in sorted(self.contents.items())], first, after)

    def filesByManifestEntries(self, entries: list[dict[str, Any]], **_: Any) -> dict[str, Any]:
        names = [entry["name"] for entry in entries]
        return connection([self.contents[name] for name in names], len(names), None)


@dataclass
class ProjectState:
    """Runs and artifacts of one project."""

    name: str
    entity_name: str
    links: Callable[[str], str]
    files: dict[str, FileState]
    id: str = field(default_factory=lambda: new_id("Project"))
    internalId: str = "1"
    readOnly: bool = False
    createdAt: str = field(default_factory=now)
    isBenchmark: bool = False
    all_runs: dict[str, RunState] = field(default_factory=dict)
    artifacts: list[ArtifactState] = field(default_factory=list)
    views: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def entity(self) -> dict[str, Any]:
        return {"id": new_id("Entity"), "name": self.entity_name}

    @property
    def entityName(self) -> str:
        return self.entity_name


def _sampled(rows: list[Any], samples: int) -> list[Any]:
    """At most so many, spread evenly: histories longer than that lose rows, as with the service."""
    if len(rows) <= samples:
        return rows
    return [rows[number * len(rows) // samples] for number in range(samples)]


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))):
        return {"inf": "Infinity", "-inf": "-Infinity"}.get(str(value), "NaN")
    return value
