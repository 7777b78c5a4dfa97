"""Every format of bitext in every compression: pairs, faults, and that no bytes crash a reader."""

import gzip
import io
import json
import struct
import sys
import zipfile
import zlib
from xml.sax.saxutils import escape

import pytest
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from optical_sweeps.corpora.readers.bitext import json_lines_pairs, moses_pairs, tsv_pairs
from optical_sweeps.corpora.readers.gettext import gettext_pairs
from optical_sweeps.corpora.readers.lines import Fault, read_lines
from optical_sweeps.corpora.readers.tmx import tmx_pairs
from optical_sweeps.errors import UserError

IN_ONE_FOLDER = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)
PAIRS = st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6)
PAIR = [("The cat", "Kissa"), ("A dog & <bone>", "Koira")]


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.fi", data)
    return file.getvalue()


COMPRESSIONS = {"": lambda data: data, ".gz": gzip.compress, ".zst": zstandard.compress, ".zip": zipped}


def tsv(pairs) -> bytes:
    return "".join(f"{english}\t{translation}\n" for english, translation in pairs).encode()


def jsonl(pairs) -> bytes:
    return "".join(json.dumps({"translation": {"en": e, "fi": t}}) + "\n" for e, t in pairs).encode()


def tmx(pairs) -> bytes:
    units = "".join(
        f'<tu><tuv xml:lang="en-US"><seg>{escape(e)}</seg></tuv><tuv xml:lang="FI"><seg>{escape(t)}</seg></tuv>'
        "<tuv xml:lang='sv'><seg>annat</seg></tuv></tu>"
        for e, t in pairs
    )
    head = '<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE tmx SYSTEM "tmx14.dtd"><tmx version="1.4"><header/>'
    return f"{head}<body>{units}</body></tmx>".encode()


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def po(pairs) -> bytes:
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n'
    return (head + "".join(f"\nmsgid {quoted(e)}\nmsgstr {quoted(t)}\n" for e, t in pairs)).encode()


def mo(pairs, order: str = "<") -> bytes:
    messages = [("", "Content-Type: text/plain; charset=UTF-8\n"), *pairs]
    strings = [side.encode() for sides in zip(*messages, strict=True) for side in sides]
    start, table = 28 + 8 * len(strings), b""
    for string in strings:
        table += struct.pack(f"{order}2I", len(string), start)
        start += len(string) + 1
    count = len(messages)
    head = struct.pack(f"{order}7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, 28 + 8 * len(strings))
    return head + table + b"\0".join(strings) + b"\0"


FORMATS = {
    "tsv": (tsv, lambda path: tsv_pairs(path, "fi")),
    "jsonl": (jsonl, lambda path: json_lines_pairs(path, "translation.en", "translation.fi")),
    "tmx": (tmx, lambda path: tmx_pairs(path, "fi")),
    "po": (po, gettext_pairs),
    "mo": (mo, gettext_pairs),
}


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("name", FORMATS)
def test_pairs_come_back_in_every_compression(tmp_path, name, compression):
    write, read = FORMATS[name]
    (tmp_path / "file").write_bytes(COMPRESSIONS[compression](write(PAIR)))
    assert list(read(tmp_path / "file")) == PAIR


@given(PAIRS, st.sampled_from(sorted(FORMATS)), st.sampled_from(sorted(COMPRESSIONS)))
@IN_ONE_FOLDER
def test_any_words_come_back(tmp_path, pairs, name, compression):
    write, read = FORMATS[name]
    (tmp_path / "file").write_bytes(COMPRESSIONS[compression](write(pairs)))
    assert list(read(tmp_path / "file")) == pairs


@given(st.binary(max_size=300), st.sampled_from(sorted(FORMATS)), st.sampled_from(["head", "tail", "alone"]))
@example(b"\xde\x12\x04\x95" + b"\xff" * 40, "mo", "alone")
@example(b'msgid "a"\nmsgstr "b"\nmsgid', "po", "alone")
@example(b"PK\x03\x04", "tsv", "alone")
@example(b"\x28\xb5\x2f\xfd", "tsv", "alone")
@IN_ONE_FOLDER
def test_no_bytes_crash_a_reader(tmp_path, noise, name, where):
    """Random bytes give pairs, faults or a one-line UserError, and no other exception."""
    write, read = FORMATS[name]
    whole = write(PAIR)
    data = {"head": noise + whole, "tail": whole[: len(whole) // 2] + noise, "alone": noise}[where]
    (tmp_path / "file").write_bytes(data)
    try:
        for pair in read(tmp_path / "file"):
            assert isinstance(pair, Fault) or all(pair)
            assert not isinstance(pair, Fault) or (str(tmp_path) in pair.message and "\n" not in pair.message)
    except UserError as error:
        message = str(error)
        assert "\n" not in message


@given(st.integers(0, 400), st.sampled_from([".gz", ".zst", ".zip"]))
@IN_ONE_FOLDER
def test_a_truncated_compressed_file_is_refused(tmp_path, cut, compression):
    data = COMPRESSIONS[compression](
        zlib.crc32(b"x").to_bytes(4, "big").hex().encode() * 3 + b"\n" + tsv(PAIR * 40)
    )
    (tmp_path / "file").write_bytes(data[: max(4, len(data) - 1 - cut)])
    with pytest.raises(UserError, match=r"damaged|ended|no such"):
        list(read_lines(tmp_path / "file"))


def test_concatenated_zstandard_frames(tmp_path):
    (tmp_path / "file").write_bytes(zstandard.compress(b"one\n") + zstandard.compress(b"two\n"))
    assert list(read_lines(tmp_path / "file")) == [(1, "one"), (2, "two")]


def test_members_of_an_archive_of_opus(tmp_path):
    with zipfile.ZipFile(tmp_path / "en-fi.txt.zip", "w") as archive:
        for name, text in (("README", "Books"), ("Books.en-fi.en", "The cat\n"), ("Books.en-fi.fi", "Kissa\n")):
            archive.writestr(name, text)
    english, finnish = (tmp_path / "en-fi.txt.zip" / f"Books.en-fi.{language}" for language in ("en", "fi"))
    assert list(moses_pairs(english, finnish, "fi")) == [("The cat", "Kissa")]
    with pytest.raises(UserError, match=r"the archive contains 3 files .*; name one"):
        list(read_lines(tmp_path / "en-fi.txt.zip"))
    with pytest.raises(UserError, match="the archive has no such file"):
        list(read_lines(tmp_path / "en-fi.txt.zip" / "Books.en-fi.sv"))
    (tmp_path / "plain").write_text("text\n")
    with pytest.raises(UserError, match="is not a zip archive"):
        list(read_lines(tmp_path / "plain" / "member"))


def faults(pairs) -> list[tuple[str, str]]:
    return [(pair.kind, pair.message) for pair in pairs if isinstance(pair, Fault)]


def test_faults_of_lines_name_file_and_line(tmp_path):
    path = tmp_path / "fi.tsv"
    path.write_bytes(b"The cat\tKissa\nno tab\ncaf\xe9\tkahvila\nA dog\t\nA bird\tLintu\n")
    found = list(tsv_pairs(path, "fi"))
    assert [pair for pair in found if not isinstance(pair, Fault)] == [
        ("The cat", "Kissa"),
        ("A bird", "Lintu"),
    ]
    assert [(kind, message.split(";")[0]) for kind, message in faults(found)] == [
        ("columns", f"{path}:2: 1 column where 2 are expected (English, fi): the line has no tab"),
        ("not_utf8", f"{path}:3: not UTF-8 (byte 0xe9 at position 4)"),
        ("blank", f"{path}:4: the column 'fi' is empty"),
    ]


def test_parallel_files_of_different_lengths(tmp_path):
    (tmp_path / "en").write_text("one\ntwo\nthree\n")
    (tmp_path / "fi").write_text("yksi\n\nkolme\nneljä\n")
    found = list(moses_pairs(tmp_path / "en", tmp_path / "fi", "fi"))
    assert [kind for kind, _ in faults(found)] == ["blank", "line_counts"]
    assert faults(found)[1][1].startswith(f"{tmp_path}/en:4: no such line, but {tmp_path}/fi has it")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("{", "json"),
        ("[1]", "json"),
        ('{"en": "a"}', "fields"),
        ('{"en": "a", "fi": null}', "fields"),
        ('{"en": "a", "fi": " "}', "blank"),
        ('{"en": "a", "fi": "\\ud800"}', "not_utf8"),
        ("[" * 5000, "json"),
    ],
)
def test_faults_of_json_lines(tmp_path, line, kind):
    path = tmp_path / "fi.jsonl"
    path.write_text(f'{{"en": "good", "fi": "hyvä"}}\n{line}\n')
    found = list(json_lines_pairs(path, "en", "fi"))
    assert found[0] == ("good", "hyvä")
    ((own, message),) = faults(found)
    assert own == kind
    assert message.startswith(f"{path}:2: ")


def test_tmx_gives_the_text_of_segments(tmp_path):
    body = (
        '<tu><tuv xml:lang="EN"><seg>Press <bpt i="1">&lt;b&gt;</bpt>OK<ept i="1">&lt;/b&gt;</ept> '
        "<hi>now</hi>.</seg></tuv>"
        '<tuv lang="fi"><seg>Paina OK\n  heti.</seg></tuv></tu>'
        '<tu><tuv xml:lang="en"><seg>only English</seg></tuv></tu>'
        '<tu><tuv xml:lang="en"><seg>empty</seg></tuv><tuv xml:lang="fi"><seg/></tuv></tu>'
        '<tu><tuv xml:lang="enm"><seg>Middle English</seg></tuv><tuv xml:lang="fi"><seg>ei</seg></tuv></tu>'
    )
    (tmp_path / "m.tmx").write_bytes(f"<tmx><body>{body}</body></tmx>".encode("utf-16"))
    found = list(tmx_pairs(tmp_path / "m.tmx", "fi"))
    assert found[0] == ("Press OK now.", "Paina OK heti.")
    assert [kind for kind, _ in faults(found)] == ["blank"]
    assert len(found) == 2


def test_tmx_expands_no_entity(tmp_path):
    bomb = '<!DOCTYPE t [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><tmx><body>&b;</body></tmx>'
    (tmp_path / "bomb.tmx").write_text(bomb)
    with pytest.raises(UserError, match=r"bomb.tmx:1: declares the entity 'a'"):
        list(tmx_pairs(tmp_path / "bomb.tmx", "fi"))
    external = '<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/hostname">]><tmx/>'
    (tmp_path / "external.tmx").write_text(external)
    with pytest.raises(UserError, match="declares the entity 'x'"):
        list(tmx_pairs(tmp_path / "external.tmx", "fi"))
    unknown = tmx([("cat", "kissa")]).replace(b"kissa", b"kis&sa;")
    (tmp_path / "unknown.tmx").write_bytes(unknown)
    assert [kind for kind, _ in faults(tmx_pairs(tmp_path / "unknown.tmx", "fi"))] == ["xml"]


def test_a_truncated_tmx_gives_its_complete_pairs_and_a_fault(tmp_path):
    whole = tmx(PAIR)
    (tmp_path / "cut.tmx").write_bytes(whole[: whole.index(b"Koira")])
    *pairs, last = tmx_pairs(tmp_path / "cut.tmx", "fi")
    assert pairs == PAIR[:1]
    assert last.kind == "xml"


CATALOGUE = """\
# a comment
msgid ""
msgstr ""
"Language: fi\\n"
"Content-Type: text/plain; charset=ISO-8859-1\\n"

#: source.c:1
msgctxt "menu"
msgid "Open "
"file"
msgstr "Avaa\\ttiedosto"

#, fuzzy, c-format
msgid "fuzzy"
msgstr "sumea"

msgid "untranslated"
msgstr ""

#, c-format
msgid "%d day"
msgid_plural "%d days"
msgstr[0] "%d p\u00e4iv\u00e4"
msgstr[1] "%d p\u00e4iv\u00e4\u00e4"

#~ msgid "obsolete"
#~ msgstr "vanhentunut"
"""


def test_catalogues_give_only_translated_messages(tmp_path):
    (tmp_path / "fi.po").write_bytes(CATALOGUE.encode("latin-1"))
    assert list(gettext_pairs(tmp_path / "fi.po")) == [
        ("Open file", "Avaa tiedosto"),
        ("%d day", "%d päivä"),
        ("%d days", "%d päivää"),
    ]


def test_compiled_catalogues_of_both_byte_orders(tmp_path):
    messages = [("menu\x04Open", "Avaa"), ("%d day\0%d days", "%d päivä\0%d päivää"), ("none", "")]
    for order in "<>":
        (tmp_path / "fi.mo").write_bytes(mo(messages, order))
        assert list(gettext_pairs(tmp_path / "fi.mo")) == [
            ("Open", "Avaa"),
            ("%d day", "%d päivä"),
            ("%d days", "%d päivää"),
        ]


def test_faults_of_catalogues(tmp_path):
    path = tmp_path / "fi.po"
    path.write_text('msgid "a"\nmsgstr "b"\nmsgid "c\nmsgstr "d"\nmsgid "e"\nmsgstr "f"\n')
    found = list(gettext_pairs(path))
    assert ("e", "f") in found
    assert faults(found)[0][1].startswith(f"{path}:3: not a line of a catalogue")
    path.write_text('msgid ""\nmsgstr "Content-Type: text/plain; charset=KLINGON\\n"\n')
    with pytest.raises(UserError, match="the character set 'KLINGON' is unknown"):
        list(gettext_pairs(path))


def test_zstandard_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    (tmp_path / "fi.tsv.zst").write_bytes(zstandard.compress(tsv(PAIR)))
    with pytest.raises(UserError, match=r"fi.tsv.zst: Zstandard needs an extra package; pip install zstandard"):
        list(tsv_pairs(tmp_path / "fi.tsv.zst", "fi"))


@pytest.mark.parametrize("window", [10, 27, 28, 30, 31])
def test_zstandard_windows_of_every_length(tmp_path, window):
    """`zstd --long=28` and beyond; a frame of unknown size keeps the window that it was written with."""
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=window)
    writer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = writer.compress(tsv(PAIR)) + writer.flush()
    assert zstandard.get_frame_parameters(data).window_size == 1 << window
    (tmp_path / "file").write_bytes(data)
    assert list(tsv_pairs(tmp_path / "file", "fi")) == PAIR


@pytest.mark.parametrize(
    "descriptor", [21 << 3 | 7, 22 << 3, 31 << 3 | 7], ids=["over 2 GiB", "4 GiB", "3.75 TiB"]
)
def test_a_window_beyond_memory_is_no_damage(tmp_path, descriptor):
    writer = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    data = bytearray(writer.compress(tsv(PAIR)) + writer.flush())
    data[5] = descriptor  # RFC 8878, section 3.1.1.1.2: exponent and mantissa of the window
    (tmp_path / "file.zst").write_bytes(data)
    with pytest.raises(
        UserError, match=r"file\.zst.*: its Zstandard window needs more memory .* without --long$"
    ):
        list(tsv_pairs(tmp_path / "file.zst", "fi"))


def test_tabs_in_parallel_files_are_white_space(tmp_path):
    (tmp_path / "en").write_text("He left\tearly.\nGood day.\n\ttab\t\n\t\n", encoding="utf-8")
    (tmp_path / "fi").write_text("Hän lähti.\nHyvää\tpäivää.\nsarkain\nx\n", encoding="utf-8")
    *pairs, fault = moses_pairs(tmp_path / "en", tmp_path / "fi", "fi")
    assert pairs == [("He left early.", "Hän lähti."), ("Good day.", "Hyvää päivää."), ("tab", "sarkain")]
    assert fault.message.startswith(
        f"{tmp_path}/en:4: the line of English is empty; fill it or delete it in both"
    )
