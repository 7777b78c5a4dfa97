"""The section `data` of a config: its corpus, and the fingerprint of what it reads.

Commands that only need judgements and texts use this module; a `RunSpec` loads torch.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from optical_sweeps.corpora.collections import Corpus
from optical_sweeps.errors import UserError
from optical_sweeps.runs.spec.config_sections import built_part, part_fingerprint


def corpus_of(data: Mapping[str, object]) -> Corpus:
    """The corpus that `data` describes; a process reads each corpus once.

    Raises:
        UserError: a bad value; its key is named.
    """
    corpus = built_part(Path.cwd(), "data", json.dumps(data))
    if not isinstance(corpus, Corpus):
        raise UserError(f"data._target_: {type(corpus).__name__} is not a corpus; choose another class")
    return corpus


def corpus_content(data: Mapping[str, object]) -> str:
    """The fingerprint of what the corpus reads, taken once a process: it may read gigabytes."""
    fingerprint = part_fingerprint(Path.cwd(), "data", json.dumps(data))
    assert fingerprint is not None
    return fingerprint
