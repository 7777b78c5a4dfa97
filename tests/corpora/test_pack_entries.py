"""`cache` lists, verifies and removes packed texts, and leaves downloads alone."""

import json

import pytest

from optical_sweeps.artifacts import ArtifactStore
from optical_sweeps.corpora.bitext_sources import BitextSources
from optical_sweeps.corpora.pack_entries import pack_entries
from optical_sweeps.errors import UserError
from tests.support.command_line import printed


@pytest.fixture
def root(tmp_path):
    """A folder of artifacts: two packs, a downloaded file, and an entry of the store."""
    for language in ("fi", "sv"):
        (tmp_path / f"{language}.tsv").write_text("one\tyksi\ntwo\tkaksi\n")
    root = tmp_path / "artifacts"
    source = {"files": str(tmp_path / "{language}.tsv")}
    for language in ("fi", "sv"):
        BitextSources(sources=[source], cache=root / "bitext").read(language)
    (root / "bitext" / "downloads" / "opus").mkdir(parents=True)
    (root / "bitext" / "downloads" / "opus" / "file.zip").write_bytes(b"zip")
    ArtifactStore(root).get_or_build("index", {"a": 1}, lambda folder: (folder / "x").write_bytes(b"x"))
    return root


def test_sound_packs_are_verified_by_their_checksums(root):
    assert "3 entries are sound" in printed("cache", "verify", str(root))
    text = next(root.glob("bitext/fi-*/english.bin"))
    text.write_bytes(text.read_bytes().replace(b"one", b"ONE"))
    assert [entry.problem for entry in pack_entries(root)] == [None, None]  # sizes agree
    with pytest.raises(UserError, match="1 of 3 entries are broken"):
        printed("cache", "verify", str(root))
    text.write_bytes(b"")
    assert "english.bin has 0 bytes instead of 6" in {entry.problem for entry in pack_entries(root)}


def test_only_broken_packs_are_removed(root):
    printed("cache", "prune", str(root))
    assert len(pack_entries(root)) == 2
    text = next(root.glob("bitext/fi-*/english.bin"))
    text.write_bytes(text.read_bytes().replace(b"one", b"ONE"))
    printed("cache", "prune", str(root))
    assert [entry.folder.name[:3] for entry in pack_entries(root)] == ["sv-"]
    printed("cache", "prune", str(root), "--all")
    assert not pack_entries(root)
    assert ArtifactStore(root).ls() == []
    assert (root / "bitext" / "downloads" / "opus" / "file.zip").is_file()


def test_a_pack_of_an_earlier_version_has_sizes_alone(root):
    path = next(root.glob("bitext/fi-*/pack.json"))
    pack = json.loads(path.read_text())
    del pack["blake2b"]
    path.write_text(json.dumps(pack))
    assert "3 entries are sound" in printed("cache", "verify", str(root))
    path.write_text(json.dumps({**pack, "sizes": {"../../../fi.tsv": 1}}))
    assert [entry.problem for entry in pack_entries(root) if entry.problem] == [
        "pack.json names '../../../fi.tsv', which is no file of the pack"
    ]
