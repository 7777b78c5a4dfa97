"""The files corpus, on files in the real formats."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from optical_sweeps.corpora.builders.files import FilesCorpus
from optical_sweeps.encoders.build_encoder import build_token_encoder
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.retrieval.lexical import LexicalIndex
from tests.support.user_errors import failure

DOCUMENTS = (
    "d1\tCat\tA small feline.\nd2\tDog\tA loyal friend.\nd3\tOwl\tA bird of night.\nd4\tcat\tA Unix tool.\n"
)
FILES = {
    "docs.tsv.gz": DOCUMENTS,
    "fi/bitext.train.tsv.gz": "horse\thevonen\ncow\tlehmä\n",
    "fi/queries.dev.tsv": "fi-1\tkissa\nfi-9\tarvioimaton\n",
    "fi/queries.test.tsv": "fi-2\tkoira\nfi-3\tei mitään\n",
    "fi/qrels.dev.txt": "fi-1 0 d1 1\n",
    "fi/qrels.test.txt": "fi-2 0 d2 2\nfi-2 0 d1 0\nfi-3 0 d1 0\n",
    "cs/bitext.train.tsv.gz": "horse\tkůň\n",
    "cs/queries.dev.tsv": "cs-1\tkočka\n",
    "cs/queries.test.tsv": "cs-2\tpes\n",
    "cs/qrels.dev.txt": "cs-1 0 d1 1\n",
    "cs/qrels.test.txt": "cs-2 0 d2 1\n",
}


@pytest.fixture
def folder(tmp_path) -> Path:
    for name, text in FILES.items():
        put(tmp_path, name, text)
    return tmp_path


def put(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if name.endswith(".gz") else text.encode())


def files_corpus(folder: Path, **settings) -> FilesCorpus:
    return FilesCorpus(**({"root": str(folder), "languages": ["fi", "cs"]} | settings))


def test_everything_is_read(folder):
    corpus = files_corpus(folder)
    assert corpus.languages == ("fi", "cs")
    assert tuple(corpus.bitext("fi").translations) == ("hevonen", "lehmä")
    assert corpus.documents().ids == ("d1", "d2", "d3", "d4")
    assert corpus.documents().texts[0] == "Cat. A small feline."
    collection = corpus.collection("cs", "dev")
    assert (collection.queries.ids, collection.queries.texts) == (("cs-1",), ("kočka",))
    assert collection.qrels == {"cs-1": {"d1": 1}}
    assert collection.name == f"{folder.name}.cs"


def test_queries_without_a_relevant_document_are_dropped(folder):
    assert files_corpus(folder).collection("fi", "dev").queries.ids == ("fi-1",)
    test = files_corpus(folder).collection("fi", "test")
    assert test.queries.ids == ("fi-2",)
    assert test.qrels == {"fi-2": {"d2": 2, "d1": 0}}


@pytest.mark.parametrize(
    ("columns", "text"),
    [("title", "Cat"), ("text", "A small feline."), ("title_and_text", "Cat | A small feline.")],
)
def test_searched_columns(folder, columns, text):
    assert files_corpus(folder, document_columns=columns, separator=" | ").documents().texts[0] == text


def test_teacher_pairs_are_titles_and_texts_of_unjudged_documents(folder):
    pairs = files_corpus(folder).relevant_pairs()
    assert [(pair.query, pair.document) for pair in pairs] == [
        ("Owl", "A bird of night."),
        ("cat", "A Unix tool."),
    ]
    assert len({pair.concept for pair in pairs}) == 2


def test_teacher_pairs_from_a_file(folder):
    put(folder, "pairs.tsv", "what flies\tA bird.\n")
    (pair,) = files_corpus(folder, relevant_pairs_file="pairs.tsv").relevant_pairs()
    assert (pair.query, pair.document) == ("what flies", "A bird.")


def test_parallel_files_and_shared_topics(folder):
    """Moses files with one English side, queries of all splits in one file, qrels for all languages."""
    put(folder, "train.en", "horse\ncow\n")
    put(folder, "train.fi", "hevonen\nlehmä\n")
    put(folder, "train.cs", "kůň\nkráva\n")
    for language in ("fi", "cs"):
        put(folder, f"topics.{language}.tsv", f"1\t{language} one\n2\t{language} two\n")
    put(folder, "qrels.dev.gz", "1 0 d1 1\n")
    put(folder, "qrels.test.gz", "2 0 d2 1\n")
    corpus = files_corpus(
        folder,
        bitext_file=["train.en", "train.{language}"],
        queries_file="topics.{language}.tsv",
        qrels_file="qrels.{split}.gz",
    )
    assert tuple(corpus.bitext("cs").translations) == ("kůň", "kráva")
    assert corpus.collection("cs", "test").queries.texts == ("cs two",)
    assert corpus.collection("fi", "dev").queries.texts == ("fi one",)


def test_files_are_read_at_first_use_and_once(folder):
    corpus = files_corpus(folder)
    put(folder, "fi/bitext.train.tsv.gz", "pig\tsika\n")
    bitext, collection, documents = corpus.bitext("fi"), corpus.collection("fi", "dev"), corpus.documents()
    assert tuple(bitext.english) == ("pig",)
    for name in ("fi/bitext.train.tsv.gz", "fi/queries.dev.tsv", "docs.tsv.gz"):
        (folder / name).unlink()
    assert corpus.bitext("fi") is bitext
    assert corpus.collection("fi", "dev") is collection
    assert corpus.documents() is documents


@pytest.mark.parametrize("name", FILES)
def test_the_fingerprint_changes_with_each_file(folder, name):
    before = files_corpus(folder).fingerprint()
    assert files_corpus(folder).fingerprint() == before
    added = "cat\tx\n" if "bitext" in name else "x"
    put(folder, name, FILES[name].replace("d", "dd", 1) + added)
    assert files_corpus(folder).fingerprint() != before


def test_the_fingerprint_depends_on_how_files_are_read_but_not_on_their_place(folder, tmp_path_factory):
    before = files_corpus(folder).fingerprint()
    changed = [
        {"languages": ["fi"]},
        {"document_columns": "title"},
        {"separator": " "},
        {"on_fault": "skip"},
        {"languages": ["cs", "fi"]},
    ]
    assert len({before, *(files_corpus(folder, **c).fingerprint() for c in changed)}) == len(changed) + 1
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name, text in FILES.items():
        put(elsewhere, name, text)
    assert files_corpus(elsewhere).fingerprint() == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"languages": ["fi", "xx"]},
            "data.bitext_file: xx: there is no file {root}/xx/bitext.train.tsv.gz; check",
        ),
        ({"languages": []}, "data.languages: the list is empty"),
        ({"languages": ["en"]}, "data.languages: 'en' is the teacher's"),
        ({"languages": [False]}, "data.languages: False is not a string"),
        ({"documents_file": "docs.tsv"}, "data.documents_file: there is no file {root}/docs.tsv;"),
        ({"relevant_pairs_file": "no.tsv"}, "data.relevant_pairs_file: there is no file {root}/no.tsv"),
        ({"root": "/no/such"}, "data.root: there is no folder /no/such"),
        ({"root": 3}, "data.root: 3 is not a path"),
        (
            {"document_columns": "body"},
            "data.document_columns: 'body' is not one of title_and_text, title, text",
        ),
        ({"separator": None}, "data.separator: None is not a string"),
        ({"bitext_file": "bitext.tsv"}, "data.bitext_file: 'bitext.tsv' has no {{language}}"),
        ({"bitext_file": ["a", "b", "c"]}, "data.bitext_file: 3 files"),
        ({"bitext_file": 3}, "data.bitext_file: 3 is not a list"),
        (
            {"qrels_file": "{language}/qrels.txt"},
            "data.qrels_file: '{{language}}/qrels.txt' has no {{split}}",
        ),
        (
            {"queries_file": "queries.{split}.tsv"},
            "data.queries_file: 'queries.{{split}}.tsv' has no {{language}}",
        ),
        (
            {"queries_file": "{lang}/q.tsv"},
            "data.queries_file: '{{lang}}/q.tsv' has the unknown placeholder {{lang}}",
        ),
        (
            {"documents_file": "{split}.tsv"},
            "data.documents_file: '{{split}}.tsv' has the unknown placeholder",
        ),
        ({"documents_file": "docs{.tsv"}, "data.documents_file: 'docs{{.tsv' is not a pattern"),
        ({"documents_file": None}, "data.documents_file: None is not a string"),
    ],
)
def test_bad_settings_name_their_key_at_once(folder, settings, message):
    assert failure(lambda: files_corpus(folder, **settings)).startswith(message.format(root=folder))


@pytest.mark.parametrize(
    ("name", "text", "read", "message"),
    [
        ("fi/bitext.train.tsv.gz", "horse hevonen\n", lambda c: c.bitext("fi"), ":1: 1 column"),
        (
            "docs.tsv.gz",
            DOCUMENTS + "d1\tagain\n",
            lambda c: c.documents(),
            ":5: document id 'd1' is repeated",
        ),
        (
            "fi/qrels.dev.txt",
            "fi-8 0 d1 1\n",
            lambda c: c.collection("fi", "dev"),
            ":1: unknown query 'fi-8'",
        ),
        (
            "fi/qrels.dev.txt",
            "fi-1 0 d8 1\n",
            lambda c: c.collection("fi", "dev"),
            ":1: unknown document 'd8'",
        ),
        (
            "fi/qrels.dev.txt",
            "fi-1 0 d1 0\n",
            lambda c: c.collection("fi", "dev"),
            ": no query has a relevant",
        ),
        ("docs.tsv.gz", "d1\ta\nd2\tb\n", lambda c: c.relevant_pairs(), ": no document outside dev and test"),
    ],
)
def test_bad_files_name_their_line(folder, name, text, read, message):
    put(folder, name, text)
    assert failure(lambda: read(files_corpus(folder))).startswith(f"{folder / name}{message}")


def test_an_empty_document_keeps_its_place(folder):
    """As in the collections of ir_datasets: every judged id is found."""
    put(folder, "docs.tsv.gz", "d1\tCat\tText\nd2\t\tText\nd3\t\t\n")
    assert files_corpus(folder).documents().texts == ("Cat. Text", "Text", "")
    texts = files_corpus(folder, document_columns="title").documents().texts
    assert texts == ("Cat", "", "")
    encoder = build_token_encoder(
        TokenEncoderSettings(dim=8), TinyBackbone(layers=1, hidden_size=16), texts
    ).eval()
    assert (np.diff(encoder.encode(texts, "document").offsets) > 0).all()
    assert LexicalIndex(("d1", "d2", "d3"), texts).search(("q",), ("cat",), 3).documents == (("d1",),)


def test_documents_without_any_searched_column_are_refused(folder):
    put(folder, "docs.tsv.gz", "d1\tText\nd2\tText\n")
    message = failure(lambda: files_corpus(folder, document_columns="title").documents())
    assert message.startswith(f"{folder}/docs.tsv.gz: no document has a title; fill it, or change data.doc")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "fi.po",
            'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "a cat"\nmsgstr ""\n',
        ),
        ("fi.po", '#, fuzzy\nmsgid "a"\nmsgstr "b"\n'),
        ("fi.tmx", "<tmx><body/></tmx>"),
        ("fi.tsv", "no tab\n"),
    ],
)
def test_a_bitext_without_a_pair_is_one_line(folder, name, content):
    put(folder, name, content)
    corpus = files_corpus(folder, languages=["fi"], bitext_file=name, on_fault="skip")
    assert failure(lambda: corpus.bitext("fi")).startswith(
        f"{folder}/{name}: no pair of English and fi (skipped: "
    )


def test_faults_of_the_bitext_are_skipped_and_counted(folder):
    put(folder, "fi/bitext.train.tsv.gz", "horse\thevonen\nno tab\ncow\t\npig\tsika\n")
    message = failure(lambda: files_corpus(folder).bitext("fi"))
    assert message.startswith(f"{folder}/fi/bitext.train.tsv.gz:2: 1 column")
    assert message.endswith("or set data.on_fault to skip")
    corpus = files_corpus(folder, on_fault="skip")
    assert tuple(corpus.bitext("fi").translations) == ("hevonen", "sika")
    assert dict(corpus.bitext_reports()["fi"].faults) == {"columns": 1, "blank": 1}


def test_an_unconfigured_language_is_refused(folder):
    assert failure(lambda: files_corpus(folder, languages=["fi"]).bitext("cs")).startswith(
        "data.languages: 'cs'"
    )


def test_json_lines_and_other_formats(folder):
    put(
        folder,
        "docs.jsonl.gz",
        '{"_id": "d1", "title": "Cat", "text": "A feline."}\n{"docid": 2, "contents": "Dog"}\n',
    )
    for language in ("fi", "cs"):
        put(folder, f"{language}.po", 'msgid "horse"\nmsgstr "hevonen"\n')
        for split in ("dev", "test"):
            put(folder, f"{language}/q.{split}.jsonl", '{"query_id": "1", "question": "kissa"}\n')
            put(folder, f"{language}/qrels.{split}.txt", "1 0 2 1\n")
    corpus = files_corpus(
        folder,
        documents_file="docs.jsonl.gz",
        bitext_file="{language}.po",
        queries_file="{language}/q.{split}.jsonl",
    )
    assert corpus.documents().ids == ("d1", "2")
    assert corpus.documents().texts == ("Cat. A feline.", "Dog")
    assert tuple(corpus.bitext("fi").translations) == ("hevonen",)
    assert corpus.collection("fi", "test").queries.texts == ("kissa",)
    put(folder, "docs.jsonl.gz", '{"text": "no id"}\n')
    corpus = files_corpus(folder, documents_file="docs.jsonl.gz")
    assert failure(corpus.documents).startswith(f"{folder}/docs.jsonl.gz:1: no field 'id'; add it")


@pytest.mark.parametrize("split", ["dev", "test"])
@pytest.mark.parametrize("grade", [0, 1])
def test_teacher_pairs_leave_out_the_documents_of_each_split(folder, split, grade):
    """A document that only one split judges, even as not relevant, would leak into the teacher."""
    for language, relevant in (("fi", "d1"), ("cs", "d2")):
        for each in ("dev", "test"):
            topics = (folder / language / f"queries.{each}.tsv").read_text()
            query = topics.partition("\t")[0]
            put(folder, f"{language}/qrels.{each}.txt", f"{query} 0 {relevant} 1\n")
    assert [pair.query for pair in files_corpus(folder).relevant_pairs()] == ["Owl", "cat"]
    qrels = folder / "cs" / f"qrels.{split}.txt"
    query = qrels.read_text().split()[0]
    qrels.write_text(f"{qrels.read_text()}{query} 0 d3 {grade}\n")
    assert [pair.query for pair in files_corpus(folder).relevant_pairs()] == ["cat"]
