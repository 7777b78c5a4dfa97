"""Select the part of Debian's package descriptions on which docs/results.md answers the two questions.

    python benchmarks/debian_part.py COLLECTION FOLDER

COLLECTION has the layout of `data=files`; FOLDER gets the part in the same layout. At most 200 test and 40 dev
queries per language, chosen by a hash of their package, so that languages share documents; 5,000 documents, all
relevant ones among them; a quarter of the Danish, French and Slovak pairs. Texts are cut at 150 characters.
"""

import argparse
import gzip
import hashlib
from collections.abc import Iterable
from pathlib import Path

LANGUAGES = ("da", "fr", "sk", "ja", "uk", "cs", "fi")
QUARTERED = ("da", "fr", "sk")
QUERIES = {"test": 200, "dev": 40}
DOCUMENTS = 5000
CHARACTERS = 150


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    collection, folder = arguments.collection, arguments.folder
    relevant: set[str] = set()
    for language in LANGUAGES:
        (folder / language).mkdir(parents=True, exist_ok=True)
        for split in QUERIES:
            relevant |= select_queries(collection / language, folder / language, split)
        pairs = select_pairs(collection / language / "bitext.train.tsv.gz", quarter=language in QUARTERED)
        write_gzip(folder / language / "bitext.train.tsv.gz", pairs)
        print(f"{language}: {len(pairs):,} pairs")
    documents = select_documents(collection / "docs.tsv.gz", relevant)
    write_gzip(folder / "docs.tsv.gz", documents)
    print(f"{len(documents):,} documents, {len(relevant):,} of them relevant")


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def select_queries(source: Path, target: Path, split: str) -> set[str]:
    """Write the queries and judgements of a language and split; returns the relevant documents."""
    queries = (source / f"queries.{split}.tsv").read_text(encoding="utf-8").splitlines()
    # the query da-000fe2ee7a32 is the Danish title of the package 000fe2ee7a32
    queries.sort(key=lambda line: digest(line.split("\t")[0].split("-")[1]))
    chosen = sorted(queries[: QUERIES[split]])
    ids = {line.split("\t")[0] for line in chosen}
    judgements = (source / f"qrels.{split}.txt").read_text(encoding="utf-8").splitlines()
    judgements = [line for line in judgements if line.split()[0] in ids]
    write(target / f"queries.{split}.tsv", chosen)
    write(target / f"qrels.{split}.txt", judgements)
    return {line.split()[2] for line in judgements}


def select_pairs(path: Path, *, quarter: bool) -> list[str]:
    """The distinct cut pairs in the order of the file; a quarter of them if `quarter`."""
    pairs: dict[str, None] = {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            pairs["\t".join(text[:CHARACTERS].strip() for text in line.rstrip("\n").split("\t"))] = None
    return [pair for pair in pairs if not quarter or digest(pair)[0] < 64]


def select_documents(path: Path, relevant: set[str]) -> list[str]:
    """All relevant documents, filled up to 5,000 by the hash of the id; title and the start of the text."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    rows.sort(key=lambda row: (row[0] not in relevant, digest(row[0])))
    return sorted(
        f"{identifier}\t{title}\t{text[:CHARACTERS].strip()}" for identifier, title, text in rows[:DOCUMENTS]
    )


def write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_gzip(path: Path, lines: Iterable[str]) -> None:
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=6) as file:
        file.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
