"""One student for several languages, or one each."""

from collections.abc import Mapping, Sequence

import numpy as np

from optical_sweeps.corpora.drawn_pairs import DrawnPairs

ONE_FOR = ("all", "group", "language")


def student_groups(one_for: str, groups: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The languages of each student, by its name; every language has one student.

    Args:
        one_for: one of `ONE_FOR`.
        groups: disjoint groups of languages, by name; empty ones have no student.

    >>> student_groups("group", {"high": ["es", "fa"], "low": ["yo"]})
    {'high': ('es', 'fa'), 'low': ('yo',)}
    >>> student_groups("language", {"high": ["es"], "low": ["yo"]})
    {'es': ('es',), 'yo': ('yo',)}
    """
    languages = tuple(language for group in groups.values() for language in group)
    if len(set(languages)) != len(languages):
        raise ValueError("a language stands in two groups")
    if one_for == "all":
        return {"all": languages}
    if one_for == "group":
        return {name: tuple(group) for name, group in groups.items() if group}
    if one_for == "language":
        return {language: (language,) for language in languages}
    raise ValueError(f"one_for is {one_for!r}, not one of {', '.join(ONE_FOR)}")


def restricted(mixture: DrawnPairs, languages: Sequence[str]) -> DrawnPairs:
    """The items of some languages: what one of several students trains on, of one draw for all.

    The draw stays that of the whole study, so the budget is spread over languages by the protocol, not once
    more for each student. The training order of what is left is that of the whole: it goes by item.
    """
    high = tuple(language for language in mixture.high if language in languages)
    low = tuple(language for language in mixture.low if language in languages)
    number = {language: index for index, language in enumerate((*high, *low))}
    index = np.array([number.get(language, -1) for language in mixture.languages], np.int64)
    index = index[mixture.language_index]
    kept = index >= 0
    return DrawnPairs(high, low, index[kept], mixture.pairs[kept], mixture.repetitions[kept])
