"""Search the documents of a PyLate teacher with a distilled student (in PyLate's environment)."""

import math
import sys
from pathlib import Path

import numpy as np
from pylate import models


def columns(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]


def maxsim(query: np.ndarray, document: np.ndarray) -> float:
    """The sum over query tokens of the largest cosine with a document token."""
    return float((query @ document.T).max(1).sum())


def main() -> None:
    teacher, student = (models.ColBERT(folder, device="cpu") for folder in sys.argv[1:3])
    data = Path(sys.argv[3])
    documents = columns(data / "docs.tsv")
    texts = [f"{title}. {text}" for _, title, text in documents]
    indexed = teacher.encode(texts, is_query=False, show_progress_bar=False)
    for language in ("it", "tr"):
        queries = columns(data / language / "queries.test.tsv")
        relevant = dict(
            line.split()[0:3:2] for line in (data / language / "qrels.test.txt").read_text().splitlines()
        )
        encoded = student.encode([text for _, text in queries], is_query=True, show_progress_bar=False)
        gains = []
        for (name, text), query in zip(queries, encoded, strict=True):
            scores = [maxsim(query, document) for document in indexed]
            order = sorted(range(len(documents)), key=lambda place: (-scores[place], documents[place][0]))
            rank = [documents[place][0] for place in order].index(relevant[name]) + 1
            gains.append(1 / math.log2(rank + 1) if rank <= 10 else 0.0)
            print(f"{language} {name}: {text} -> {documents[order[0]][1]} (the relevant one has rank {rank})")
        print(f"{language}: nDCG@10 {np.mean(gains):.3f}")


if __name__ == "__main__":
    main()
