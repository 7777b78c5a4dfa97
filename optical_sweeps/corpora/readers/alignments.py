"""Gold word alignments in the Pharaoh format: a line a pair, a link a blank."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.corpora.readers.lines import read_lines
from optical_sweeps.errors import UserError

Link = tuple[int, int]
_LINK = re.compile(r"(\d+)([-p])(\d+)")


@dataclass(frozen=True)
class GoldAlignment:
    """Links of one pair, by word numbers from 0 (the translation's, then the English one's).

    Args:
        sure: that every annotator would draw.
        possible: that one may draw; the sure ones are not repeated.
    """

    sure: frozenset[Link]
    possible: frozenset[Link] = frozenset()


def read_alignments(path: Path) -> Iterator[GoldAlignment]:
    """`0-0 1-2 2p3`: sure links with a hyphen, possible ones with a p; an empty line has none.

    Raises:
        UserError: the file cannot be read, or a link is not one.
    """
    for number, line in read_lines(path):
        links: dict[str, set[Link]] = {"-": set(), "p": set()}
        for word in line.split():
            match = _LINK.fullmatch(word)
            if match is None:
                raise UserError(f"{path}:{number}: {word!r} is no link; write them as 0-0 1-2 2p3")
            links[match[2]].add((int(match[1]), int(match[3])))
        yield GoldAlignment(frozenset(links["-"]), frozenset(links["p"] - links["-"]))
