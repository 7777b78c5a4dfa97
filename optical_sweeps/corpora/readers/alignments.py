"""Gold word alignments in the Pharaoh format: one sentence pair on each line, links separated by blanks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.corpora.readers.lines import read_lines
from optical_sweeps.errors import UserError

Link = tuple[int, int]
"""(word of the translation, word of the English sentence), counted from 0."""
_LINK = re.compile(r"([0-9]{1,9})([-p])([0-9]{1,9})")


@dataclass(frozen=True)
class GoldAlignment:
    """The links of one sentence pair.

    Args:
        sure: links that every annotator would draw.
        possible: links that some annotators would draw, without the sure ones.
    """

    sure: frozenset[Link]
    possible: frozenset[Link] = frozenset()


def read_alignments(path: Path) -> Iterator[GoldAlignment]:
    """Read lines such as `0-0 1-2 2p3`: a hyphen marks a sure link, a p a possible one.

    Raises:
        UserError: the file cannot be read, or a word is not a link.
    """
    for number, line in read_lines(path):
        links: dict[str, set[Link]] = {"-": set(), "p": set()}
        for word in line.split():
            match = _LINK.fullmatch(word)
            if match is None:
                raise UserError(f"{path}:{number}: {word!r} is not a link; write links as 0-0 1-2 2p3")
            links[match[2]].add((int(match[1]), int(match[3])))
        yield GoldAlignment(frozenset(links["-"]), frozenset(links["p"] - links["-"]))
