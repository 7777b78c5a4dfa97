"""`cache`: what the artifact store holds, whether it is sound, and how to make room."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from optical_sweeps.artifacts import ArtifactStore, Entry
from optical_sweeps.console import echo, progress
from optical_sweeps.errors import UserError

USAGE = "cache: say ls, verify or prune, then what of it: a folder of artifacts (default: artifacts)"
DEFAULT = "artifacts"
HELP = """\
optical-sweeps cache ls [FOLDER] [kind=KIND]
optical-sweeps cache verify [FOLDER] [kind=KIND]
optical-sweeps cache prune [FOLDER] [kind=KIND] [all] [unfinished]

The artifact store (FOLDER, by default artifacts): what it holds, whether every file is as it was built, and how
to make room. `prune` always removes broken entries, of every kind, and what killed builders left.
  kind=KIND    ls, verify: entries of that kind alone, such as teacher or index
               prune: every sound entry of that kind too
  all          prune: every entry
  unfinished   prune: partial builds that nobody works on too, which the next run would go on with"""


def run(arguments: list[str]) -> None:
    """`cache ls|verify|prune [FOLDER] [kind=KIND] [unfinished] [all]`."""
    if {"-h", "--help"} & set(arguments):
        echo(HELP)
        return
    if not arguments or arguments[0] not in ("ls", "verify", "prune"):
        raise UserError(USAGE)
    what, rest = arguments[0], arguments[1:]
    kind = next((word.removeprefix("kind=") for word in rest if word.startswith("kind=")), None)
    flags = {word for word in rest if word in ("unfinished", "all")}
    folders = [word for word in rest if word not in flags and not word.startswith("kind=")]
    if len(folders) > 1 or any(folder.startswith("-") for folder in folders) or (flags and what != "prune"):
        raise UserError(f"cache {what}: {' '.join(rest)!r} is not understood; {USAGE.removeprefix('cache: ')}")
    root = Path(folders[0] if folders else DEFAULT)
    if not root.is_dir():
        raise UserError(f"cache: {root} is no folder; name the folder of artifacts (paths.artifacts)")
    store = ArtifactStore(root, announce=echo)
    if what == "ls":
        _list([entry for entry in [*store.ls(), *store.unfinished()] if kind in (None, entry.kind)])
    elif what == "verify":
        _verify(store, kind)
    else:
        _prune(store, kind, "all" in flags, "unfinished" in flags)


def _list(entries: list[Entry]) -> None:
    table = Table("kind", "size", "built", "entry", "state", box=None)
    table.columns[1].justify = "right"
    for entry in entries:
        table.add_row(entry.kind, size(entry.size), entry.created or "", _name(entry), entry.problem or "sound")
    Console().print(table)
    echo(f"{len(entries)} entries, {size(sum(entry.size for entry in entries))}")


def _verify(store: ArtifactStore, kind: str | None) -> None:
    with progress("checksums") as advance:
        entries = store.verify(advance, kind)
    broken = [entry for entry in entries if entry.problem]
    for entry in broken:
        echo(f"{entry.folder}: {entry.problem}")
    if broken:
        raise UserError(
            f"{len(broken)} of {len(entries)} entries are broken; `optical-sweeps cache prune` removes them, "
            "and whoever needs one builds it again"
        )
    echo(f"{len(entries)} entries are sound, {size(sum(entry.size for entry in entries))}")


def _prune(store: ArtifactStore, kind: str | None, everything: bool, unfinished: bool) -> None:
    """Broken entries, and with `kind=` or `all` sound ones too."""

    def unwanted(entry: Entry) -> bool:
        chosen = everything or (kind is not None and entry.kind == kind)
        return entry.problem is not None or chosen

    corrupt = {entry.folder for entry in store.verify() if entry.problem}
    freed = store.prune(lambda entry: entry.folder in corrupt or unwanted(entry), unfinished)
    echo(f"freed {size(freed)}")
    if left := store.unfinished():
        held = size(sum(entry.size for entry in left))
        builds = f"{len(left)} unfinished builds hold {held}"
        echo(f"{builds}; the next run continues them (`unfinished` removes them)")


def size(count: int) -> str:
    """Bytes for people.

    >>> size(999), size(1_540_000)
    ('999 B', '1.5 MB')
    """
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _name(entry: Entry) -> str:
    """The entry's hash, as far as it tells it apart."""
    return entry.folder.name.removeprefix(".").removesuffix(".parts")[:12]
