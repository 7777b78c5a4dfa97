"""Collections of ir_datasets, read by its loaders from files in the providers' layouts."""

import gzip
import json
import locale
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest

from optical_sweeps.corpora.builders.ir_datasets_collections import IrDatasetsCollections
from optical_sweeps.corpora.readers.ir_dataset import IrDataset
from optical_sweeps.errors import UserError
from tests.support.provider_files import (
    CLIRMATRIX,
    MIRACL,
    MMARCO_V1,
    MMARCO_V2,
    MR_TYDI,
    WIKICLIR,
    put,
    put_gzip,
)
from tests.support.user_errors import failure


@pytest.fixture
def collections(irds, tmp_path):
    """A source on the miniature files."""

    def collections(**settings):
        return IrDatasetsCollections(**({"cache": tmp_path / "cache", "complete": False} | settings))

    return collections


@pytest.mark.parametrize("language", MIRACL)
def test_miracl(collections, language):
    source = collections(languages=[language], test="miracl/{language}/dev", dev="miracl/{language}/train")
    test, dev = source.collection(language, "test"), source.collection(language, "dev")
    assert test.documents is dev.documents
    assert list(test.documents.ids) == ["1#0", "2#0", "3#0"]
    assert test.documents.texts[1] == f"Title 2 {language} passage 2"
    assert (test.query_language, test.document_language) == (language, language)
    assert all(grades == {"2#0": 1, "3#0": 0} for grades in test.qrels.values())
    if language in ("de", "yo"):  # no training queries: dev and test divide those of dev
        assert set(test.queries.ids) | set(dev.queries.ids) == {f"dev{i}" for i in range(8)}
        assert not set(test.queries.ids) & set(dev.queries.ids)
        assert test.queries.ids
        assert dev.queries.ids
    else:
        assert (len(test.queries), dev.queries.ids[0]) == (8, "train0")
        assert test.queries.texts[0] == f"{language} question 0"


@pytest.mark.parametrize("language", MR_TYDI)
def test_mr_tydi(collections, language):
    source = collections(languages=[language], test="mr-tydi/{language}/test", dev="mr-tydi/{language}/dev")
    test = source.collection(language, "test")
    assert test.documents.texts[0] == f"Title 1\n\n{language} passage 1"
    assert test.queries.texts == (f"{language} test question",)
    assert source.collection(language, "dev").queries.texts == (f"{language} dev question",)
    assert (test.query_language, test.document_language) == (language, language)


@pytest.mark.parametrize("language", MMARCO_V1)
def test_mmarco_v1(collections, language):
    source = collections(
        languages=[language], test="mmarco/{language}/dev/small", dev="mmarco/{language}/train"
    )
    test, dev = source.collection(language, "test"), source.collection(language, "dev")
    assert test.queries.texts == (f"{language} dev question",)
    assert test.documents.texts[1] == f"{language} passage 1"
    assert dev.queries.texts == (f"{language} train question", "another")


@pytest.mark.parametrize("language", MMARCO_V2)
def test_mmarco_v2_over_english_passages(collections, language):
    """Translated queries over MS MARCO's documents, matched by query and passage ids."""
    settings = {"test": "mmarco/v2/{language}/dev/small", "documents": "msmarco-passage"}
    test = collections(languages=[language], **settings).collection(language, "test")
    assert (test.query_language, test.document_language) == (language, "en")
    assert test.documents.texts[1] == "A café by the sea."
    assert test.qrels == {"100": {"1": 1}}


@pytest.mark.parametrize("name", ["mmarco/zh/dev/small/v1.1", "mmarco/pt/dev/v1.1"])
def test_mmarco_corrected_queries(collections, name):
    language = name.split("/")[1]
    test = collections(languages=[language], test=name, dev_fraction=0).collection(language, "test")
    assert test.queries.texts == ("v1.1 dev question",)


def test_msmarco_passage(collections):
    source = collections(languages=["en"], test="msmarco-passage/dev/small", dev="msmarco-passage/train/judged")
    test, dev = source.collection("en", "test"), source.collection("en", "dev")
    assert test.documents.texts[1] == "A café by the sea."
    assert dev.queries.ids == ("200", "201")


@pytest.mark.parametrize("language", WIKICLIR)
def test_wikiclir(collections, language):
    source = collections(languages=[language], test="wikiclir/{language}", dev_fraction=0)
    test = source.collection(language, "test")
    document_language = "en" if language == "en-simple" else language
    assert (test.query_language, test.document_language) == ("en", document_language)
    texts = dict(zip(test.queries.ids, test.queries.texts, strict=True))
    assert (texts["7"], texts["10"], len(texts)) == ("Café", "Sea 10", 21)
    assert (test.qrels["7"], test.qrels["10"]) == ({"2": 2, "3": 1}, {"1": 2})
    field = collections(
        languages=[language], test="wikiclir/{language}", dev_fraction=0, query_field="first_sent"
    )
    assert field.collection(language, "test").queries.texts[0] == "A café is a place."


@pytest.mark.parametrize("language", [language for language in CLIRMATRIX if language != "en"])
def test_clirmatrix(collections, language):
    pattern = "clirmatrix/en/multi8/{language}/"
    source = collections(languages=[language], test=f"{pattern}test1", dev=f"{pattern}dev")
    test, dev = source.collection(language, "test"), source.collection(language, "dev")
    assert (test.query_language, test.document_language) == (language, "en")
    assert (test.qrels, dev.qrels) == ({"test11": {"2": 6, "3": 0}}, {"dev1": {"2": 6, "3": 0}})
    assert test.documents.texts[1] == "en article 2"


@pytest.mark.parametrize(("language", "three"), [("fa", "fas"), ("ru", "rus"), ("zh", "zho")])
def test_neuclir(collections, language, three):
    settings = {
        "languages": [language],
        "test": "neuclir/1/{language}/trec-2023",
        "dev": "neuclir/1/{language}/trec-2022",
    }
    english = collections(**settings, query_language="en")
    test, dev = english.collection(language, "test"), english.collection(language, "dev")
    assert (test.query_language, test.document_language) == ("en", language)
    assert (test.queries.texts, dev.qrels) == (("English title",), {"1": {f"{three}-2": 3, f"{three}-3": 0}})
    translated = collections(**settings, query_field="mt_title", query_language="{language}")
    assert translated.collection(language, "test").queries.texts == (f"{three} machine title",)
    assert translated.collection(language, "test").query_language == language


@pytest.mark.parametrize(("language", "three"), [("fa", "fas"), ("ru", "rus"), ("zh", "zho")])
def test_hc4(collections, language, three):
    source = collections(
        languages=[language], test="hc4/{language}/test", dev="hc4/{language}/dev", query_language="en"
    )
    test = source.collection(language, "test")
    assert test.qrels == {"2": {f"{three}-2": 3, f"{three}-3": 0}}
    assert test.documents.texts[0] == f"Title 1 {three} article 1"
    assert source.collection(language, "dev").queries.ids == ("1",)


def test_translated_topics_are_matched_by_query_id(collections, tmp_path):
    put(tmp_path / "topics.de.test.tsv", "dev3\tFrage drei\ndev9\tunbeurteilt\n")
    put(tmp_path / "topics.de.dev.tsv", "train0\tFrage null\n")
    settings = {
        "languages": ["de"], "test": "miracl/en/dev", "dev": "miracl/en/train", "query_language": "{language}",
        "queries_file": str(tmp_path / "topics.{language}.{split}.tsv"),
    }  # fmt: skip
    message = failure(lambda: collections(**settings).collection("de", "test"))
    assert message.startswith("miracl/en/dev (test): 7 judged queries have no text, such as 'dev0'")
    test = collections(**settings, on_missing="drop").collection("de", "test")
    assert (test.query_language, test.document_language) == ("de", "en")
    assert (test.queries.ids, test.queries.texts) == (("dev3",), ("Frage drei",))
    assert test.left_out == {"queries_without_text": 7}


def test_judged_documents_that_do_not_exist(collections):
    settings = {
        "languages": ["sw"],
        "test": "wikiclir/{language}",
        "documents": "msmarco-passage",
        "dev_fraction": 0,
    }
    assert "1 judged documents are not among its 3, such as '3'" in failure(
        lambda: collections(**settings).collection("sw", "test")
    )
    test = collections(**settings, on_missing="drop").collection("sw", "test")
    assert (test.qrels["7"], test.qrels["10"]) == ({"2": 2}, {"1": 2})
    assert test.left_out == {"judged_documents_not_there": 1}


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "Title 1 sw passage 1"),
        ({"separator": ". "}, "Title 1. sw passage 1"),
        ({"document_columns": "title"}, "Title 1"),
    ],
)
def test_how_title_and_text_are_joined_is_part_of_the_identity(collections, settings, text):
    def documents(**own):
        return collections(languages=["sw"], test="miracl/sw/dev", **own).collection("sw", "test").documents

    assert documents(**settings).texts[0] == text
    assert (documents(**settings).fingerprint() == documents().fingerprint()) == (settings == {})


def test_a_smaller_set_of_dev_queries_is_part_of_a_larger_one(collections):
    def dev(count):
        settings = {"languages": ["sw"], "test": "miracl/{language}/dev", "dev": "miracl/{language}/train"}
        return set(collections(**settings, dev_queries=count).collection("sw", "dev").queries.ids)

    assert len(dev(3)) == 3
    assert dev(3) < dev(5) < dev(None)


def test_documents_are_packed_once_and_again_when_their_file_changes(collections, provider_home, tmp_path):
    def texts():
        return list(
            collections(languages=["bn"], test="miracl/bn/dev").collection("bn", "test").documents.texts
        )

    file = provider_home / "miracl" / "v1.0" / "bn" / "docs" / "docs-0.jsonl.gz"
    content = file.read_bytes()
    (first, *_), (pack,) = texts(), (tmp_path / "cache").glob("miracl-bn-*/pack.json")
    built = pack.stat().st_mtime_ns
    texts()
    assert pack.stat().st_mtime_ns == built
    try:
        put_gzip(file, gzip.decompress(content).decode().replace("Title 1", "Changed"))
        assert texts()[0] == first.replace("Title 1", "Changed")
        file.unlink()
        assert texts()[0] == first.replace("Title 1", "Changed")
    finally:
        file.write_bytes(content)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"test": "miracl/xx/dev"},
            "data.collections.test: miracl/xx/dev: ir_datasets has no such dataset; did you",
        ),
        ({"test": "{language}/dev"}, "data.collections.test: sw/dev: ir_datasets has no such dataset"),
        (
            {"test": "miracl/{lang}/dev"},
            "data.collections.test: 'miracl/{lang}/dev' has the unknown placeholder",
        ),
        (
            {"dev": "miracl/sw/development"},
            "data.collections.dev: miracl/sw/development: ir_datasets has no such",
        ),
        ({"documents": "wiki"}, "data.collections.documents: wiki: ir_datasets has no such dataset"),
        ({"languages": "sw"}, "data.collections.languages: 'sw' is not a list"),
        ({"on_missing": "ignore"}, "data.collections.on_missing: 'ignore' is not one of refuse, drop"),
        ({"document_columns": "body"}, "data.collections.document_columns: 'body' is not one of"),
        ({"dev_fraction": 2}, "data.collections.dev_fraction: 2 is not a number in [0, 1]"),
        ({"complete": "yes"}, "data.collections.complete: 'yes' is neither true nor false"),
    ],
)
def test_bad_settings_name_their_key(collections, settings, message):
    settings = {"languages": ["sw"], "test": "miracl/{language}/dev", **settings}
    assert failure(lambda: collections(**settings)).startswith(message)


def test_data_that_a_dataset_does_not_have(collections):
    source = collections(languages=["sw"], test="miracl/{language}")
    assert failure(lambda: source.collection("sw", "test")).startswith("miracl/sw: this dataset has no qrels")
    source = collections(languages=["sw"], test="miracl/{language}/dev", query_field="body")
    assert "its queries have no field 'body'; there are text" in failure(
        lambda: source.collection("sw", "test")
    )
    assert failure(lambda: source.collection("fi", "test")).startswith("data.collections.languages: 'fi'")


def test_an_incomplete_collection_is_refused(collections):
    source = collections(languages=["sw"], test="miracl/{language}/dev", complete=True)
    message = failure(lambda: source.collection("sw", "test"))
    assert message.startswith("miracl/sw: 3 documents where its provider counts 131,924")


def test_truncated_files_are_named(irds_without_files, provider_home, tmp_path):
    """gzip, plain JSON Lines and TSV, each truncated."""

    def documents_of(name, relative):
        whole = (provider_home / relative).read_bytes()
        (irds_without_files / relative).parent.mkdir(parents=True, exist_ok=True)
        (irds_without_files / relative).write_bytes(whole[: len(whole) - 20])
        for file in (provider_home / relative).parent.parent.rglob("*.tsv"):  # topics and qrels beside them
            put(irds_without_files / file.relative_to(provider_home), file.read_text())
        return IrDatasetsCollections(languages=["x"], test=name, cache=tmp_path, complete=False, dev_fraction=0)

    path = "miracl/v1.0/sw/docs/docs-0.jsonl.gz"
    message = failure(lambda: documents_of("miracl/sw/dev", path).collection("x", "test"))
    assert message.startswith(
        f"miracl/sw: its documents are damaged or truncated ({irds_without_files}/{path}): "
    )
    path = "mmarco/german_collection.tsv"
    source = documents_of("mmarco/de/dev", path)
    (irds_without_files / path).write_text("0\tpassage\n1\tpass\n2")
    message = failure(lambda: source.collection("x", "test"))
    assert message.startswith(
        f"mmarco/de: its documents cannot be read ({irds_without_files}/{path}): expected 2 fields"
    )


def test_a_failed_download_names_the_place_for_the_file(irds_without_files, tmp_path):
    def message(name):
        source = IrDatasetsCollections(languages=["x"], test=name, cache=tmp_path)
        return failure(lambda: source.collection("x", "test"))

    home = irds_without_files
    missing = message("miracl/sw/dev")
    assert missing.startswith("miracl/sw/dev: its qrels cannot be downloaded from https://huggingface.co/")
    assert missing.endswith(f"fetch the file elsewhere and put it at {home}/miracl/v1.0/sw/dev/qrels.tsv")
    assert message("mr-tydi/sw/test").endswith(f"put it at {home}/downloads/1042af38a358bd3a60e0f548f9986f8a")


def test_documents_of_hc4_must_be_built_by_its_script(irds_without_files, provider_home, tmp_path):
    for file in (provider_home / "hc4").rglob("*.v1-0.*"):
        put(irds_without_files / file.relative_to(provider_home), file.read_text())
    source = IrDatasetsCollections(languages=["fa"], test="hc4/{language}/test", cache=tmp_path, dev_fraction=0)
    message = failure(lambda: source.collection("fa", "test"))
    path = irds_without_files / "hc4" / "fas" / "hc4_docs.jsonl"
    assert message.startswith(f"hc4/fa: its documents are missing ({path}); To use this dataset, you need to")
    assert "https://github.com/hltcoe/HC4" in message


DAMAGED = "are damaged or truncated ({path}): the checksum differs"


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (403, b"", "its list of files are refused by http://www.cs.jhu.edu/"),
        (200, gzip.compress(json.dumps({"clirmatrix_docs": {}}).encode()), DAMAGED),
        (500, b"", DAMAGED),  # ir_datasets accepts the empty answer as the file
    ],
    ids=["forbidden", "incomplete", "server error"],
)
def test_a_provider_that_refuses_or_sends_other_bytes(
    irds_without_files, tmp_path, monkeypatch, status, body, message
):
    """A local HTTP proxy answers instead of the provider."""

    class Provider(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
        source = IrDatasetsCollections(
            languages=["de"], test="clirmatrix/en/multi8/{language}/test1", cache=tmp_path
        )
        message_of_run = failure(lambda: source.collection("de", "test"))
        server.shutdown()
        thread.join()
    path = irds_without_files / "clirmatrix" / "clirmatrix_downloads.json.gz"
    assert message_of_run.startswith("clirmatrix/en/multi8/de/test1: its list of files ")
    assert message.format(path=path) in message_of_run
    assert str(path) in message_of_run
    assert not path.exists()


def test_another_encoding_than_utf8_is_refused(irds, monkeypatch):
    """ir_datasets opens TSV in the locale's encoding and would read wrong texts silently."""
    monkeypatch.setattr(locale, "getpreferredencoding", lambda _: "ISO-8859-1")
    message = failure(lambda: IrDatasetsCollections(languages=["sw"], test="miracl/{language}/dev"))
    assert message.endswith("ir_datasets would read files as ISO-8859-1, not UTF-8; set PYTHONUTF8=1")


@pytest.fixture
def repeating(irds_without_files, tmp_path):
    """MIRACL's Swahili with repeated ids, an empty document and half surrogate pairs."""
    folder = irds_without_files / "miracl" / "v1.0" / "sw"
    rows = [("1#0", "Paka"), ("2#0", ""), ("1#0", "Paka tena"), ("3#0", "Mbwa \ud83d"), ("1#0", "Mwisho")]
    documents = "".join(json.dumps({"docid": name, "title": "", "text": text}) + "\n" for name, text in rows)
    put_gzip(folder / "docs" / "docs-0.jsonl.gz", documents)
    put(folder / "dev" / "topics.tsv", "q1\tpaka yuko wapi\nq1\tpaka\nq2\tmbwa\nq2\tmbwa\n")
    put(folder / "dev" / "qrels.tsv", "q1 Q0 1#0 1\nq2 Q0 2#0 1\n")

    def repeating(**settings):
        given = {"languages": ["sw"], "test": "miracl/{language}/dev", "dev_fraction": 0, "complete": False}
        return IrDatasetsCollections(**(given | {"cache": tmp_path / "cache"} | settings))

    return repeating


def test_repeated_ids_of_a_provider_are_refused_with_the_remedy(repeating):
    message = failure(lambda: repeating().collection("sw", "test"))
    assert message.startswith(
        "document id '1#0' is repeated in the collection; give each document a distinct id"
    )
    assert message.endswith("or set on_duplicate to first")


def test_the_first_of_repeated_ids_is_kept_and_the_others_counted(repeating):
    for _ in range(2):  # packed, and from the pack
        test = repeating(on_duplicate="first").collection("sw", "test")
        assert list(test.documents.ids) == ["1#0", "2#0", "3#0"]
        assert list(test.documents.texts) == ["Paka", "", "Mbwa \ufffd"]
        assert test.queries.texts == ("paka yuko wapi", "mbwa")
        assert test.left_out == {"documents_with_a_repeated_id": 2}


def test_a_repeated_query_with_another_text_is_refused(irds_without_files, tmp_path, repeating):
    with pytest.raises(
        UserError, match=r"^miracl/sw/dev: query id 'q1' is repeated with another text; set on_dup"
    ):
        IrDataset("miracl/sw/dev").queries()


def test_a_repeated_judgement_with_another_grade_is_refused_or_the_first_is_kept(irds_without_files, repeating):
    folder = irds_without_files / "miracl" / "v1.0" / "sw" / "dev"
    put(folder / "qrels.tsv", "q1 Q0 1#0 1\nq1 Q0 1#0 0\nq2 Q0 2#0 1\nq2 Q0 2#0 1\n")
    with pytest.raises(
        UserError, match=r"^miracl/sw/dev: document '1#0' is judged twice for query 'q1', with other"
    ):
        IrDataset("miracl/sw/dev").qrels()
    assert IrDataset("miracl/sw/dev").qrels("first") == {"q1": {"1#0": 1}, "q2": {"2#0": 1}}


def test_half_surrogate_pairs_of_queries_are_replaced(repeating, monkeypatch):
    class Query(NamedTuple):
        query_id: str
        text: str

        def default_text(self):
            return self.text

    class Handler:
        def queries_iter(self):
            yield Query("q\ud83d", "paka \ude00")

    monkeypatch.setattr(IrDataset, "_unfiltered_queries", lambda self: Handler())
    assert IrDataset("miracl/sw/dev").queries() == {"q\ufffd": "paka \ufffd"}
