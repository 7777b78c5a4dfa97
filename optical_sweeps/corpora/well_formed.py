"""Half surrogate pairs, which JSON can spell but no encoding and no tokenizer accepts."""

import re

_SURROGATES = re.compile("[\ud800-\udfff]")


def well_formed(text: str) -> str:
    """`text` with the replacement character U+FFFD for each half of a surrogate pair.

    >>> well_formed("cat \\ud83d") == "cat \\ufffd"
    True
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text)
    return text
