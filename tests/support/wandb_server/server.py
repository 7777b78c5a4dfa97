"""The HTTP side: requests are named, checked, made to fail as told, and passed on to the state."""

import base64
import gzip
import json
import socket
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tests.support.wandb_server import graphql
from tests.support.wandb_server.faults import Fault, Faults
from tests.support.wandb_server.operations import Operations, Store
from tests.support.wandb_server.state import ENTITY, RunState, now

LINES = {
    "wandb-history.jsonl": "history_lines",
    "wandb-events.jsonl": "event_lines",
    "output.log": "log_lines",
}


class WandbServer:
    """Serves until the `with` block ends.

    Args:
        key: the key it accepts; any other is refused with 401.
    """

    def __init__(self, key: str = "f00dfeed" * 5) -> None:
        self.key = key
        self.store = Store(self._link)
        self.operations: Any = Operations(self.store)
        self.requests: list[str] = []
        """Names of all requests, in order."""
        self.errors: list[str] = []
        """Tracebacks of requests that this server could not handle; empty in a sound test."""
        self.faults = Faults()
        self.lock = threading.RLock()
        self.port = 0
        self._http: _Http | None = None
        self._armed: tuple[Fault, ...] = ()

    def __enter__(self) -> "WandbServer":
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """What makes the real client talk to this server."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": self.key}

    def up(self) -> None:
        """Listen; again on the port it had before."""
        self._http = _Http(("127.0.0.1", self.port), self)
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        """Stop listening and cut all connections; the state stays."""
        http, self._http = self._http, None
        if http is not None:
            http.shutdown()
            http.cut_connections()
            http.server_close()

    def inject(self, *faults: Fault) -> None:
        """Misbehave from now on."""
        for fault in faults:
            self.faults.add(fault)

    def heal(self) -> None:
        """Behave from now on."""
        self.faults.clear()

    def run(self, project: str, name: str, entity: str = ENTITY) -> RunState:
        """A run that was logged.

        Raises:
            KeyError: no such run.
        """
        with self.lock:
            found = self.store.run(entity, project, name)
            if found is None:
                raise KeyError(f"{entity}/{project}/{name}")
            return found

    def runs(self, project: str, entity: str = ENTITY) -> list[str]:
        """Names of the runs of a project."""
        with self.lock:
            return sorted(self.store.project(entity, project).all_runs)

    def arm(self, *faults: Fault) -> None:
        """Faults that a client's program sets off, when it asks for `/test/arm`."""
        self._armed = faults

    def told_by_program(self, path: str) -> int:
        """A client's program speaks to its test: `/test/rows`, `/test/arm`, `/test/down` (for two seconds)."""
        if path == "/test/arm":
            self.inject(*self._armed)
        if path == "/test/down":
            threading.Thread(target=self._down_for, args=(2.0,), daemon=True).start()
        return self.row_count()

    def _down_for(self, seconds: float) -> None:
        self.down()
        time.sleep(seconds)
        self.up()

    def row_count(self) -> int:
        """Rows of all runs."""
        with self.lock:
            projects = self.store.projects.values()
            return sum(len(run.history_lines) for project in projects for run in project.all_runs.values())

    def add_run(self, project: str, name: str, rows: Iterable[dict[str, Any]] = (), **facts: Any) -> RunState:
        """A run that no client logged: finished, with these rows; `config` and `summary` are plain."""
        with self.lock:
            owner = self.store.project(ENTITY, project)
            config = {key: {"value": value} for key, value in facts.pop("config", {}).items()}
            run = RunState(
                owner, name, raw_config=config, **{"state": "finished", "displayName": name, **facts}
            )
            run.history_lines = [json.dumps({"_step": step, **row}) for step, row in enumerate(rows)]
            owner.all_runs[name] = run
            return run

    def asked(self) -> Counter[str]:
        """How often each kind of request came since the last call of `forget_requests`."""
        with self.lock:
            return Counter(self.requests)

    def forget_requests(self) -> None:
        with self.lock:
            self.requests.clear()

    def _link(self, file_id: str) -> str:
        return f"{self.url}/storage/{quote(file_id, safe='')}"


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], server: WandbServer) -> None:
        self.wandb = server
        self.open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        for connection in list(self.open):
            _cut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections end in all ways here; nothing is printed."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def do_POST(self) -> None:
        self._serve()

    do_GET = do_PUT = do_HEAD = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""

    def _serve(self) -> None:
        wandb, body = self.server.wandb, self._body()
        path = urlsplit(self.path).path
        document = None
        if path == "/graphql":
            asked = json.loads(body)
            document = graphql.parse(asked["query"])
        name = self._name(path, document)
        with wandb.lock:
            wandb.requests.append(name)
        fault = Fault() if name == "test" else wandb.faults.meet(name) or Fault()
        time.sleep(fault.delay)
        if fault.disconnect == "before":
            _cut(self.connection)
            return
        if fault.status is not None:
            self._answer(fault.status, fault.body.encode(), dict(fault.headers))
            return
        if name == "telemetry":
            self._answer(200, b"")
            return
        if name == "test":
            self._answer(200, json.dumps(wandb.told_by_program(path)).encode())
            return
        if not path.startswith("/storage/") and not self._knows_key():
            self._answer(401, b'{"errors": [{"message": "invalid api key"}]}')
            return
        try:
            with wandb.lock:
                status, answer = self._obey(path, body, document)
        except Exception:  # the server's own fault: the test that meets it should say so
            wandb.errors.append(f"{name}: {traceback.format_exc()}")
            status, answer = 500, b"{}"
        if fault.disconnect == "after":
            _cut(self.connection)
            return
        self._answer(status, answer)

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _name(self, path: str, document: graphql.Document | None) -> str:
        if document is not None:
            return f"graphql:{document.name}"
        if path.endswith("/file_stream"):
            return "file_stream"
        if path.startswith("/sdk/otel/"):
            return "telemetry"
        if path.startswith("/test/"):
            return "test"
        if path in ("", "/"):
            return "root"
        return "upload" if self.command == "PUT" else "download"

    def _knows_key(self) -> bool:
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        user, _, key = base64.b64decode(value).decode().partition(":") if kind == "Basic" else ("", "", "")
        return (user, key) == ("api", self.server.wandb.key)

    def _obey(self, path: str, body: bytes, document: graphql.Document | None) -> tuple[int, bytes]:
        wandb = self.server.wandb
        if document is not None:
            variables = json.loads(body).get("variables") or {}
            data = graphql.execute(document, wandb.operations, variables)
            return 200, json.dumps({"data": data}).encode()
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts[0] == "files" and parts[-1] == "file_stream":
            run = wandb.store.run(*parts[1:4])
            if run is None:
                return 404, b"{}"
            stream(run, json.loads(body))
            return 200, b"{}"
        if parts[0] == "artifactsV2":  # .../artifact's id/digest/name
            return 200, wandb.store.artifact(parts[-3]).contents[parts[-1]].content or b""
        file = wandb.store.files.get(parts[-1]) if parts[0] == "storage" else None
        if file is None:
            return 404, b"{}"
        if self.command == "PUT":
            file.content, file.updatedAt = body, now()
            return 200, b""
        return 200, file.content or b""

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def stream(run: RunState, message: dict[str, Any]) -> None:
    """What a run streams: lines at offsets, its summary as a whole, and how it ended."""
    for name, part in (message.get("files") or {}).items():
        if name == "wandb-summary.json":
            run.summary = json.loads(part["content"][-1])
        elif name in LINES:
            lines = getattr(run, LINES[name])
            start = part["offset"]
            lines[start : start + len(part["content"])] = part["content"]
    if message.get("complete"):
        run.exit_code = message.get("exitcode")
        run.state = "finished" if run.exit_code == 0 else "failed"
    run.heartbeatAt = now()


def _cut(connection: socket.socket) -> None:
    """End a connection without a word."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
