"""A private Slurm cluster on one machine: own keys, ports, folders; it ends with the process that started it.

`python cluster.py FOLDER` is the keeper: it starts the daemons, says `ready`, and stops them all when its
standard input closes, which happens however its parent ends.
"""

import contextlib
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "srun")
MAX_ARRAY_SIZE = 6
"""Small, so that tests meet it; Slurm's own default is 1001."""

SETTINGS = """\
ClusterName=sweeps
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
MessageTimeout=60
BatchStartTimeout=120
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/completed.txt
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmdParameters=config_overrides
SlurmctldParameters=preempt_send_user_signal
SchedulerParameters=sched_interval=2,sched_min_interval=100000,bf_interval=2
KillWait=10
MaxArraySize={max_array_size}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 Port={node_port} CPUs=4 RealMemory=4000 Gres=gpu:2 State=UNKNOWN
NodeName={host}-b NodeHostname={host} NodeAddr=127.0.0.1 Port={second_port} CPUs=2 RealMemory=2000 Feature=new
PartitionName=low Nodes={host} Default=YES PriorityTier=1 GraceTime=8 State=UP
PartitionName=high Nodes={host} PriorityTier=10 PreemptMode=OFF State=UP
PartitionName=wide Nodes=ALL PriorityTier=1 State=UP
"""


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Args:
        folder: its settings, logs and state.
        environment: what a process needs to speak to it.
    """

    folder: Path
    environment: Mapping[str, str]

    def call(self, *command: str, check: bool = True, timeout: float = 60) -> str:
        """Run one of Slurm's commands and return what it said."""
        environment = {**os.environ, **self.environment}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert not check or done.returncode == 0, (command, done.stderr)
        return done.stdout

    def idle(self) -> bool:
        return not self.call("squeue", "--noheader")

    def completed(self) -> list[dict[str, str]]:
        """Every job that ended: `JobId`, `JobState`, `ExitCode`, `Name` and more, in the order they ended."""
        path = self.folder / "completed.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        return [dict(word.partition("=")[::2] for word in line.split() if "=" in word) for line in lines]


def reason_for_none() -> str | None:
    """Why no cluster can be started here; None where one can."""
    missing = [program for program in PROGRAMS if _program(program) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: slurmctld slurmd slurm-client munge)"
    return "a private Slurm needs root" if os.geteuid() else None


@contextlib.contextmanager
def private_cluster(folder: Path) -> Iterator[Cluster]:
    """Start a cluster in `folder`, and stop it at the end."""
    keeper = subprocess.Popen(
        [sys.executable, __file__, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert keeper.stdin
    assert keeper.stdout
    try:
        assert keeper.stdout.readline() == "ready\n", logs(folder)
        yield Cluster(folder, {"SLURM_CONF": str(folder / "slurm.conf")})
    finally:
        keeper.stdin.close()
        keeper.wait(timeout=60)
        keeper.stdout.close()


def logs(folder: Path) -> str:
    """The ends of the daemons' logs."""
    return "\n".join(f"== {path.name}\n{path.read_text()[-2000:]}" for path in sorted(folder.glob("*.log")))


# ---------------------------------------------------------------------------------------------- the keeper


def keep(folder: Path) -> None:
    """Start the daemons, and stop them when standard input closes or the parent is gone."""
    parent = os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a Ctrl-C at the terminal reaches us too; the parent decides
    daemons: list[subprocess.Popen] = []
    try:
        _write_settings(folder)
        daemons.append(_munged(folder))
        daemons.append(_daemon(folder, "slurmctld", "-i"))
        daemons += [_daemon(folder, "slurmd", "-N", node) for node in _nodes()]
        _wait_until_idle(folder, daemons)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while os.getppid() == parent and not select.select([sys.stdin], [], [], 1.0)[0]:
            pass
    finally:
        _stop(folder, daemons)


def _nodes() -> tuple[str, str]:
    """Two nodes on this machine; the second is in the partition `wide` alone."""
    host = socket.gethostname().split(".")[0]
    return host, f"{host}-b"


def _write_settings(folder: Path) -> None:
    host = _nodes()[0]
    for path in (folder / "state", *(folder / "spool" / node for node in _nodes())):
        path.mkdir(parents=True, exist_ok=True)
    controller_port, node_port, second_port = _free_ports(3)
    text = SETTINGS.format(
        folder=folder,
        host=host,
        controller_port=controller_port,
        node_port=node_port,
        second_port=second_port,
        max_array_size=MAX_ARRAY_SIZE,
    )
    (folder / "slurm.conf").write_text(text)
    for number in range(2):
        (folder / f"gpu{number}").touch()  # Slurm counts device files and opens none of them
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File={folder}/gpu[0-1]\n")


def _munged(folder: Path) -> subprocess.Popen:
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    options = {"key": "key-file", "socket": "socket", "pid": "pid-file", "seed": "seed-file"}
    paths = [f"--{option}={folder}/munge.{name}" for name, option in options.items()]
    program = [_program("munged"), "--foreground", "--force", *paths]
    return _start(folder, "munged", program)


def _daemon(folder: Path, name: str, *arguments: str) -> subprocess.Popen:
    return _start(folder, name, [_program(name), "-D", "-f", str(folder / "slurm.conf"), *arguments])


def _start(folder: Path, name: str, command: list) -> subprocess.Popen:
    with (folder / f"{name}.out.log").open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "SLURM_CONF": str(folder / "slurm.conf")},
            start_new_session=True,
        )


def _wait_until_idle(folder: Path, daemons: list[subprocess.Popen]) -> None:
    """Until the controller says that the node is ready to work."""
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if any(daemon.poll() is not None for daemon in daemons):
            raise SystemExit("a daemon of the private Slurm ended")
        with contextlib.suppress(subprocess.TimeoutExpired):
            command = ["sinfo", "--noheader", "--format=%t"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=10)
            if done.stdout.split() and set(done.stdout.split()) == {"idle"}:
                return
        time.sleep(0.2)
    raise SystemExit("the private Slurm was not ready after 120 s")


def _stop(folder: Path, daemons: list[subprocess.Popen]) -> None:
    """Slurm's node daemon first, then all that its jobs left, then the others."""
    for daemon in reversed(daemons):
        daemon.kill() if daemon.args[0] == _program("slurmd") else daemon.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(timeout=10)
        daemon.kill()
        daemon.wait()
    for _ in range(3):  # a step's manager may start another process while it is looked for
        for process in _processes_of(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
    shutil.rmtree(folder / "spool", ignore_errors=True)


def _processes_of(folder: Path) -> list[int]:
    """Processes whose environment names this cluster's settings: steps' managers and jobs."""
    mark, own = f"SLURM_CONF={folder}/slurm.conf".encode(), os.getpid()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in path.read_bytes().split(b"\0") and int(path.parent.name) != own:
                found.append(int(path.parent.name))
    return found


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
