"""Strict readers: accepted formats, and errors with file, line and remedy."""

import gzip

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_sweeps.corpora.readers.bitext import moses_pairs, tsv_pairs
from optical_sweeps.corpora.readers.documents import read_documents
from optical_sweeps.corpora.readers.lines import read_lines, usable
from optical_sweeps.corpora.readers.relevant_pairs import read_relevant_pairs
from optical_sweeps.corpora.readers.trec import read_qrels, read_topics
from optical_sweeps.errors import UserError

SENTENCE = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r"), min_size=1).filter(str.strip)
IN_ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def write(tmp_path):
    """Write bytes or text to a file (compressed if its name ends in .gz) and return its path."""

    def write(name: str, content: str | bytes):
        data = content.encode() if isinstance(content, str) else content
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def strict(pairs) -> list[tuple[str, str]]:
    """All pairs; the first fault is an error."""
    return [usable(pair) for pair in pairs]


def fails(read, *arguments) -> str:
    with pytest.raises(UserError) as error:
        list(read(*arguments))  # a generator reads only when it is consumed
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["lines.txt", "lines.txt.gz"])
def test_only_line_feeds_end_lines(write, name):
    path = write(name, "\ufeffone\r\ntwo\u2028still two\x85\n\nlast")
    assert list(read_lines(path)) == [(1, "one"), (2, "two\u2028still two\x85"), (3, ""), (4, "last")]


def test_gzip_is_recognised_by_its_content(write, tmp_path):
    write("a.gz", "text\n").rename(tmp_path / "a.tsv")
    assert list(read_lines(tmp_path / "a.tsv")) == [(1, "text")]


def test_files_that_cannot_be_read(write, tmp_path):
    assert fails(read_lines, tmp_path / "none") == (
        f"{tmp_path}/none: cannot be read (No such file or directory); check the path and its permissions"
    )
    assert "empty" in fails(read_lines, write("empty.tsv", ""))
    assert "empty" in fails(read_lines, write("empty.tsv.gz", ""))
    assert ":2: not UTF-8 (byte 0xe9 at position 4)" in fails(read_lines, write("latin1", b"good\ncaf\xe9\n"))
    assert ":3: not UTF-8" in fails(read_lines, write("latin1.gz", b"good\ngood\n\xff\n"))
    whole = gzip.compress(b"line\n" * 50_000)
    assert "damaged gzip" in fails(read_lines, write("cut", whole[:-20]))
    assert "damaged gzip" in fails(read_lines, write("flipped", whole[:-6] + b"\0\0" + whole[-4:]))


@given(st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=8), st.booleans())
@IN_ONE_FOLDER
def test_bitext_comes_back_as_written(tmp_path, pairs, zipped):
    data = "".join(f"{english}\t{translation}\n" for english, translation in pairs).encode()
    path = tmp_path / "bitext.tsv"
    path.write_bytes(gzip.compress(data) if zipped else data)
    assert strict(tsv_pairs(path, "fi")) == [
        (english.removeprefix("\ufeff" if i == 0 else "").strip(), translation.strip())
        for i, (english, translation) in enumerate(pairs)
    ]


def test_moses_files_are_read_line_by_line(write):
    english, finnish = write("t.en", "one\ntwo\n"), write("t.fi.gz", "yksi\nkaksi")
    assert strict(moses_pairs(english, finnish, "fi")) == [("one", "yksi"), ("two", "kaksi")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("one\tyksi\ntwo kaksi\n", ":2: 1 column where 2 are expected (English, fi): the line has no tab"),
        ("one\tyksi\tuno\n", ":1: 3 columns where 2 are expected"),
        ("one\tyksi\n\n", ":2: the line is empty; delete it"),
        ("one\tyksi\n \n", ":2: the line is empty; delete it"),
        ("one\tyksi\n\tkaksi\n", ":2: the column 'English' is empty"),
        ("one\t  \n", ":1: the column 'fi' is empty"),
        ("", ": the file is empty"),
    ],
)
def test_bad_bitext(write, content, message):
    path = write("bitext.tsv", content)
    assert fails(lambda: strict(tsv_pairs(path, "fi"))).startswith(f"{path}{message}")


def test_bad_moses_files(write):
    def moses_failure(english, translations) -> str:
        return fails(lambda: strict(moses_pairs(english, translations, "fi")))

    english, finnish = write("en", "one\ntwo\nthree\n"), write("fi", "yksi\nkaksi\n")
    assert moses_failure(english, finnish).startswith(f"{finnish}:3: no such line, but {english}")
    assert moses_failure(finnish, english).startswith(f"{finnish}:3: no such line, but {english}")
    blank = write("blank", "yksi\n\nkolme\n")
    assert moses_failure(english, blank).startswith(f"{blank}:2: the line of fi is empty")


def test_documents_with_and_without_titles(write):
    path = write("docs.tsv", "d1\tTitle\tText.\nd2\t\tOnly text.\nd3\tOnly title\t\nd4\tTwo columns.\n")
    assert read_documents(path) == {
        "d1": ("Title", "Text."),
        "d2": ("", "Only text."),
        "d3": ("Only title", ""),
        "d4": ("", "Two columns."),
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("d1\n", ":1: 1 column where 3 (id, title, text) or 2 (id, text) are expected: the line has no tab"),
        ("d1\ta\n\n", ":2: the line is empty; delete it"),
        ("d1\ta\tb\tc\n", ":1: 4 columns"),
        ("d1\ta\nd2\tb\nd1\tc\n", ":3: document id 'd1' is repeated"),
        ("\ta\tb\n", ":1: the document id is empty"),
        ("d1\ta\nNew York\tb\n", ":2: the document id 'New York' is empty or contains white space"),
    ],
)
def test_bad_documents(write, content, message):
    path = write("docs.tsv", content)
    assert fails(read_documents, path).startswith(f"{path}{message}")


def test_ids_of_json_lines_are_one_word(write):
    path = write("docs.jsonl", '{"id": "New York", "text": "a city"}\n')
    assert fails(read_documents, path).startswith(f"{path}:1: the document id 'New York'")


def test_trec_qrels(write):
    path = write("qrels.txt", "q1 0 d1 2\nq1\tQ0\td2\t-1\nq2 0  d1 0\n")
    assert read_qrels(path, {"q1", "q2"}, {"d1", "d2"}) == {"q1": {"d1": 2, "d2": 0}, "q2": {"d1": 0}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("q1 0 d1\n", ":1: 3 columns where 4 are expected (query, iteration, document, grade)"),
        ("q1 0 d1 1\n\n", ":2: the line is empty; delete it"),
        ("q1 0 d1 1\nq9 0 d1 1\n", ":2: unknown query 'q9'"),
        ("q1 0 d9 1\n", ":1: unknown document 'd9'"),
        ("q1 0 d1 1.0\n", ":1: the grade '1.0' is not a whole number"),
        ("q1 0 d1 yes\n", ":1: the grade 'yes'"),
        ("q1 0 d1 ²\n", ":1: the grade '²'"),
        ("q1 0 d1 1\nq1 0 d1 1\n", ":2: document 'd1' is judged twice for query 'q1'"),
    ],
)
def test_bad_qrels(write, content, message):
    path = write("qrels.txt", content)
    assert fails(read_qrels, path, {"q1"}, {"d1"}).startswith(f"{path}{message}")


TREC_TOPICS = """
<top>

<num> Number: 301
<title> International Organized Crime

<desc> Description:
Identify organizations that participate in crime.

<narr> Narrative:
A relevant document must name <b>it</b>.
</top>

<TOP lang="en"><num>302</num><title>Poliomyelitis and
Post-Polio if a < b</title></TOP>
"""


def test_topics_as_tsv_and_as_trec_sgml(write):
    assert read_topics(write("topics.tsv", "q2\tzwei\nq1\teins\n")) == {"q2": "zwei", "q1": "eins"}
    assert read_topics(write("topics.301-302.gz", TREC_TOPICS)) == {
        "301": "International Organized Crime",
        "302": "Poliomyelitis and Post-Polio if a < b",
    }


def test_topics_as_json_lines_have_one_of_these_fields(write):
    keys, texts = ("id", "_id", "query_id", "qid"), ("text", "query", "question", "title")
    lines = [f'{{"{key}": "{key}", "{text}": "kissa"}}\n' for key, text in zip(keys, texts, strict=True)]
    assert read_topics(write("topics.jsonl", "".join(lines))) == dict.fromkeys(keys, "kissa")
    for line in ('{"id": "", "text": "kissa"}\n', '{"id": "1", "text": " "}\n'):
        path = write("bad.jsonl", line)
        assert fails(read_topics, path).startswith(f"{path}:1: the query id or its text is empty")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("q1\tone\nq1\ttwo\n", ":2: query id 'q1' is repeated"),
        ("q1 one\n", ":1: 1 column where 2 are expected (query id, text)"),
        ("q1\tone\nq 2\ttwo\n", ":2: the query id 'q 2' is empty or contains white space"),
        ("<top><num> 1 a<title> a</top>\n", ":1: the query id '1 a'"),
        ("q1\t\n", ":1: the column 'text' is empty"),
        ("<top>\n<num> 1\n</top>\n", ":1: the topic has no <title>"),
        ("<top>\n<num> 1\n<title> a\n</top>\n\n<top>\n<title> b\n</top>\n", ":6: the topic has no <num>"),
        ("<top>\n<num> 1\n<title> a\n", ":1: the topic is not closed"),
        ("<top>\n<num> 1\n<title> a\n<top>\n<num> 2\n<title> b\n</top>\n", ":1: the topic is not closed"),
        ("<top><num> 1<title> a</top>\n<top><num> 1<title> b</top>\n", ":2: query id '1' is repeated"),
    ],
)
def test_bad_topics(write, content, message):
    path = write("topics", content)
    assert fails(read_topics, path).startswith(f"{path}{message}")


def test_relevant_pairs_that_share_a_text_are_one_concept(write):
    path = write(
        "pairs.tsv", "a query\tDocument one\nother\tdocument ONE\nother\tdocument two\nnew\tdocument 3\n"
    )
    pairs = read_relevant_pairs(path)
    assert (pairs[0].query, pairs[0].document) == ("a query", "Document one")
    concepts = [pair.concept for pair in pairs]
    assert concepts[0] == concepts[1] == concepts[2] != concepts[3]
