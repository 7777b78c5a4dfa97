"""A W&B backend for tests: in this process, on loopback, in memory.

    with WandbServer() as server:
        os.environ |= server.environment()      # the real client now logs to it and reads from it
        server.inject(Fault("file_stream", status=429, headers={"Retry-After": "1"}, times=3))
        ...
        server.run("demo", "run0").rows()

It speaks what the client of 0.31 asks for: GraphQL, the stream of history, uploads and downloads of files and
artifacts, and the queries of the public API. It checks the key, and misbehaves as told.
"""

from tests.support.wandb_server.faults import Fault
from tests.support.wandb_server.server import WandbServer
from tests.support.wandb_server.state import ENTITY, RunState

__all__ = ["ENTITY", "Fault", "RunState", "WandbServer"]
