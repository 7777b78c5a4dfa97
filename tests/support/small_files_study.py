"""A study of two languages in files: 400 pairs of German, 40 of Finnish."""

from pathlib import Path

from optical_sweeps.runs.distillation.retrieval_run import RetrievalRun
from optical_sweeps.runs.resolved_config import resolved
from tests.support.configs import compose

PAIRS, FEW = 400, 40


def write_files(folder: Path) -> None:
    """Write the files."""
    (folder / "docs.tsv.gz").write_text("d1\ta cat\ta cat sat\nd2\ta dog\tthe dog ran\nd3\ta cow\tcows\n")
    for language, count in (("de", PAIRS), ("fi", FEW)):
        (folder / language).mkdir()
        lines = [f"English sentence {number}\t{language} {number}\n" for number in range(count)]
        (folder / f"{language}.tsv").write_text("".join(lines))
        for split in ("dev", "test"):
            (folder / language / f"queries.{split}.tsv").write_text("q1\tkissa\n")
            (folder / language / f"qrels.{split}.txt").write_text("q1 0 d1 1\n")


def files_run(folder: Path, *overrides: str) -> RetrievalRun:
    """A run of the study that `write_files` wrote."""
    config = compose(
        "train", "data=files", f"data.root={folder}", "data.languages=[de,fi]", "backbone=tiny",
        "data.bitext_file='{language}.tsv'", f"data.cache={folder}/cache", "languages.high=[de]",
        "languages.low=[fi]", "encoder=colbert", "logger=disabled", *overrides,
    )  # fmt: skip
    return RetrievalRun(resolved(config))
