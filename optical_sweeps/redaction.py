"""Secrets removed from texts that are written to files: keys of services and passwords in addresses."""

import os
import re

HIDDEN = "[hidden]"
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:API_?KEY|ACCESS_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(?:_|$)", re.IGNORECASE
)
_PATTERNS = (
    re.compile(r"(?<![0-9a-fA-F])[0-9a-f]{40}(?![0-9a-fA-F])"),  # a key of W&B, and a commit of git
    re.compile(r"\b(?:wandb_v\d_|local-|hf_|github_pat_|gh[pousr]_|sk-)[A-Za-z0-9_-]{16,}"),
    re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"),
    re.compile(r"(?i)(?<=authorization: )\S+ \S+"),
)
SHORTEST = 8
"""Shorter values of secret variables are not searched for: they would match ordinary words."""


def is_secret_name(name: str) -> bool:
    """Whether the name of an environment variable says that its value is a secret.

    >>> [is_secret_name(name) for name in ("WANDB_API_KEY", "HF_TOKEN", "OMP_NUM_THREADS", "MONKEY")]
    [True, True, False, False]
    """
    return _SECRET_NAME.search(name) is not None


def redacted(text: str) -> str:
    """The text without keys, tokens, passwords in addresses, and values of secret environment variables.

    >>> redacted("cannot log in with " + "0a" * 20 + " at https://me:word@host/x")
    'cannot log in with [hidden] at https://[hidden]@host/x'
    """
    values = {value for name, value in os.environ.items() if is_secret_name(name) and len(value) >= SHORTEST}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    for pattern in _PATTERNS:
        text = pattern.sub(HIDDEN, text)
    return text
