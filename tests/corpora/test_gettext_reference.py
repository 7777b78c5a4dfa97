"""Catalogues are read as polib, translate-toolkit and Python's gettext read them."""

import gettext
import io
from pathlib import Path

import polib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from translate.storage import pypo

from optical_sweeps.corpora.readers.gettext import gettext_pairs
from optical_sweeps.corpora.readers.lines import Fault

IN_ONE_FOLDER = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
PLURAL_FORMS = {  # of GNU gettext's manual: language, rule, a number of the most common form
    "ja": ("nplurals=1; plural=0;", 5),
    "de": ("nplurals=2; plural=n != 1;", 5),
    "fr": ("nplurals=2; plural=n>1;", 5),
    "lv": ("nplurals=3; plural=n%10==1 && n%100!=11 ? 0 : n != 0 ? 1 : 2;", 5),
    "ga": ("nplurals=3; plural=n==1 ? 0 : n==2 ? 1 : 2;", 5),
    "ro": ("nplurals=3; plural=n==1 ? 0 : (n==0 || (n%100 > 0 && n%100 < 20)) ? 1 : 2;", 50),
    "ru": (
        "nplurals=3; plural=n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2;",
        5,
    ),
    "pl": ("nplurals=3; plural=n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2;", 5),
    "cs": ("nplurals=3; plural=(n==1) ? 0 : (n>=2 && n<=4) ? 1 : 2;", 5),
    "sl": ("nplurals=4; plural=(n%100==1 ? 1 : n%100==2 ? 2 : n%100==3 || n%100==4 ? 3 : 0);", 5),
    "ar": (
        "nplurals=6; plural=n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5;",
        11,
    ),
    "is": ("nplurals=2; plural=n%10!=1 || n%100==11;", 5),
}


def catalogue(rule: str) -> polib.POFile:
    file = polib.POFile()
    file.metadata = {"Content-Type": "text/plain; charset=UTF-8", "Plural-Forms": rule}
    count = int(rule.split("=")[1].split(";")[0])
    forms = {number: f"form {number}" for number in range(count)}
    file.append(polib.POEntry(msgid="one file", msgid_plural="many files", msgstr_plural=forms))
    return file


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("language", PLURAL_FORMS)
def test_plural_forms_are_those_that_gettext_shows(tmp_path, language, compiled):
    rule, many = PLURAL_FORMS[language]
    file = catalogue(rule)
    path = tmp_path / "a.mo" if compiled else tmp_path / "a.po"
    (file.save_as_mofile if compiled else file.save)(str(path))
    shown = gettext.GNUTranslations(io.BytesIO(file.to_binary()))
    expected = [
        (text, shown.ngettext("one file", "many files", n))
        for text, n in (("one file", 1), ("many files", many))
    ]
    assert list(gettext_pairs(path)) == expected


@pytest.mark.parametrize(
    "rule", ["nplurals=2; plural=n / 0;", "nplurals=2; plural=__import__('os');", "plural=(((;"]
)
def test_a_rule_that_cannot_be_evaluated_is_a_fault(tmp_path, rule):
    (tmp_path / "a.po").write_text(
        f'msgid ""\nmsgstr "Plural-Forms: {rule}\\n"\n\n'
        'msgid "a"\nmsgid_plural "b"\nmsgstr[0] "c"\nmsgstr[1] "d"\n\n'
        'msgid "cat"\nmsgstr "kissa"\n'
    )
    fault, pair = gettext_pairs(tmp_path / "a.po")
    assert isinstance(fault, Fault)
    assert fault.message.startswith(f"{tmp_path}/a.po: Plural-Forms cannot be evaluated")
    assert pair == ("cat", "kissa")


@pytest.mark.parametrize("header", ["", "Plural-Forms: nplurals=INTEGER; plural=EXPRESSION;\\n"])
def test_without_a_rule_the_forms_are_those_of_english(tmp_path, header):
    (tmp_path / "a.po").write_text(
        f'msgid ""\nmsgstr "{header}"\n\nmsgid "a"\nmsgid_plural "b"\nmsgstr[0] "c"\nmsgstr[1] "d"\n'
    )
    assert list(gettext_pairs(tmp_path / "a.po")) == [("a", "c"), ("b", "d")]


def entries(path: Path) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The translated messages by polib, and by translate-toolkit."""
    by_polib = [(entry.msgid, entry.msgstr) for entry in polib.pofile(str(path)) if entry.translated()]
    units = pypo.pofile.parsefile(str(path)).units
    by_toolkit = [
        (str(unit.source), str(unit.target))
        for unit in units
        if unit.istranslated() and not unit.isheader() and not unit.isobsolete()
    ]
    return by_polib, by_toolkit


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
ENTRIES = st.lists(
    st.tuples(
        TEXT, TEXT | st.just(""), st.sampled_from(["", "fuzzy", "c-format", "obsolete", "fuzzy obsolete"])
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda entry: entry[0],
)


@given(ENTRIES)
@IN_ONE_FOLDER
def test_messages_are_those_of_the_reference_readers(tmp_path, messages):
    """A fuzzy mark belongs to its own entry, whichever entries precede it and whichever are obsolete."""
    lines = ['msgid ""', 'msgstr "Content-Type: text/plain; charset=UTF-8\\n"', ""]
    for source, target, kind in messages:
        lines += [f"#, {flag}" for flag in kind.split() if flag != "obsolete"]
        mark = "#~ " if "obsolete" in kind else ""
        lines += [
            f'{mark}{name} "{polib.escape(text)}"' for name, text in (("msgid", source), ("msgstr", target))
        ]
        lines.append("")
    (tmp_path / "a.po").write_text("\n".join(lines), encoding="utf-8")
    by_polib, by_toolkit = entries(tmp_path / "a.po")
    assert list(gettext_pairs(tmp_path / "a.po")) == by_polib
    assert by_polib == by_toolkit


@pytest.mark.parametrize("between", ["", "\n", "# a note\n", "#: a.c:1\n", '#~| msgid "older"\n'])
def test_a_fuzzy_mark_of_an_obsolete_entry_ends_with_it(tmp_path, between):
    (tmp_path / "a.po").write_text(
        f'#, fuzzy\n{between}#~ msgid "old"\n#~ msgstr "vanha"\n\nmsgid "cat"\nmsgstr "kissa"\n',
        encoding="utf-8",
    )
    assert list(gettext_pairs(tmp_path / "a.po")) == [("cat", "kissa")]


def test_half_a_surrogate_pair_is_replaced(tmp_path):
    (tmp_path / "a.po").write_bytes(
        b'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-7\\n"\n\nmsgid "cat"\nmsgstr "+2D0-x"\n'
    )
    for pair in gettext_pairs(tmp_path / "a.po"):
        assert isinstance(pair, Fault) or "".join(pair).encode()
