"""`cache`: list, verify or prune the artifact store and the packed texts beside it."""

from argparse import ArgumentParser
from pathlib import Path

from rich.table import Table

from optical_sweeps.artifacts import ArtifactStore, Entry
from optical_sweeps.checks import check_folder
from optical_sweeps.console import echo, progress, size_text, terminal
from optical_sweeps.corpora.pack_entries import pack_entries, remove_pack
from optical_sweeps.errors import UsageError, UserError


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "action", choices=("ls", "verify", "prune"), help="list, verify checksums, or make room"
    )
    parser.add_argument(
        "folder", metavar="FOLDER", type=Path, nargs="?", default=Path("artifacts"),
        help="the store (paths.artifacts; default: artifacts)",
    )  # fmt: skip
    parser.add_argument("--kind", help="ls, verify: only entries of this kind, such as index; prune: these too")
    parser.add_argument("--all", action="store_true", dest="remove_all", help="prune: remove every entry")
    parser.add_argument(
        "--unfinished",
        action="store_true",
        help="prune: also remove partial builds that the next run would continue",
    )


def run(action: str, folder: Path, kind: str | None, remove_all: bool, unfinished: bool) -> None:
    """List, verify or prune the entries of a store."""
    if action != "prune" and (remove_all or unfinished):
        raise UsageError(f"cache {action}: --all and --unfinished belong to cache prune")
    check_folder("cache", folder, "name the folder of artifacts (paths.artifacts)")
    store = ArtifactStore(folder, announce=echo)
    if action == "ls":
        entries = [*store.ls(), *pack_entries(folder), *store.unfinished()]
        _list([entry for entry in entries if kind in (None, entry.kind)])
    elif action == "verify":
        _verify(store, kind)
    else:
        _prune(store, kind, remove_all, unfinished)


def _list(entries: list[Entry]) -> None:
    table = Table("kind", "size", "built", "entry", "state", box=None)
    table.columns[1].justify = "right"
    for entry in entries:
        key = entry.folder.name.removeprefix(".").removesuffix(".parts")[:12]
        table.add_row(entry.kind, size_text(entry.size), entry.created or "", key, entry.problem or "sound")
    terminal().print(table)
    echo(f"{len(entries)} entries, {_total_size(entries)}")


def _verify(store: ArtifactStore, kind: str | None) -> None:
    with progress("checksums") as advance:
        entries = store.verify(advance, kind)
        packs = pack_entries(store.root, checksums=True, progress=advance)
        entries += [entry for entry in packs if kind in (None, entry.kind)]
    broken = [entry for entry in entries if entry.problem]
    for entry in broken:
        echo(f"{entry.folder}: {entry.problem}")
    if broken:
        raise UserError(
            f"{len(broken)} of {len(entries)} entries are broken; `optical-sweeps cache prune` removes them, "
            "and the next run that needs them builds them again"
        )
    echo(f"{len(entries)} entries are sound, {_total_size(entries)}")


def _prune(store: ArtifactStore, kind: str | None, remove_all: bool, unfinished: bool) -> None:
    """Remove broken entries of every kind, and the entries of one kind or all entries if requested."""
    broken = {entry.folder for entry in store.verify() if entry.problem}

    def unwanted(entry: Entry) -> bool:
        return remove_all or entry.folder in broken or bool(entry.problem) or entry.kind == kind

    freed = store.prune(unwanted, unfinished)
    for pack in filter(unwanted, pack_entries(store.root, checksums=True)):
        remove_pack(pack.folder)
        freed += pack.size
    echo(f"freed {size_text(freed)}")
    if remaining := store.unfinished():
        builds = f"{len(remaining)} unfinished builds hold {_total_size(remaining)}"
        echo(f"{builds}; the next run continues them (--unfinished removes them)")


def _total_size(entries: list[Entry]) -> str:
    return size_text(sum(entry.size for entry in entries))
