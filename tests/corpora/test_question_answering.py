"""TyDi QA and XOR-TyDi, from files in their published layouts."""

import gzip
import json
from pathlib import Path

import pytest

from optical_sweeps.corpora.builders.pair_sources import FilePairs
from optical_sweeps.corpora.builders.tydi_qa import TydiQaCollections
from optical_sweeps.corpora.builders.xor_tydi import XorTydiCollections, read_questions
from optical_sweeps.encoders.build_encoder import build_token_encoder
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.evaluation_settings import EvaluationSettings
from optical_sweeps.retrieval.index_settings import IndexSettings
from optical_sweeps.runs.distillation.search_and_evaluate import measure_collections
from optical_sweeps.runs.resolved_config import resolved
from optical_sweeps.runs.shared.collection_search import CollectionSearch
from optical_sweeps.runs.shared.document_index import DocumentIndex
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds
from optical_sweeps.runs.spec.run_spec import RunSpec
from tests.support.configs import compose
from tests.support.user_errors import failure


def paragraph(context: str, *questions: tuple[str, str]) -> dict:
    """A context with questions (id, text) that its first word answers."""
    answers = [{"text": context.split()[0], "answer_start": 0}]
    return {"context": context, "qas": [{"id": i, "question": q, "answers": answers} for i, q in questions]}


def squad(*paragraphs: dict) -> dict:
    return {
        "version": "TyDiQA-GoldP-1.1",
        "data": [{"title": f"T{k}", "paragraphs": [p]} for k, p in enumerate(paragraphs)],
    }


TRAIN = squad(
    paragraph("Kissa on eläin.", ("finnish-1-1", "Mikä kissa on?")),
    paragraph("Helsinki on kaupunki.", ("finnish-2-1", "Mikä Helsinki on?")),
    paragraph("고양이는 동물이다.", ("korean-1-1", "고양이는?")),
)
DEV = squad(
    paragraph(
        "Helsinki on kaupunki.",
        ("finnish-3-1", "Missä on Helsinki?"),
        ("finnish-3-2", "Onko Helsinki kaupunki?"),
    ),
    paragraph("Koira haukkuu.", ("finnish-4-1", "Mitä koira tekee?")),
    paragraph("서울은 도시이다.", ("korean-2-1", "서울은?")),
)


@pytest.fixture
def tydi(tmp_path):
    def tydi(train=TRAIN, dev=DEV, **settings):
        (tmp_path / "train.json.gz").write_bytes(gzip.compress(json.dumps(train).encode()))
        (tmp_path / "dev.json").write_text(json.dumps(dev))
        files = {"train_file": str(tmp_path / "train.json.gz"), "dev_file": str(tmp_path / "dev.json")}
        return TydiQaCollections(**({**files, "languages": ["fi", "ko"]} | settings))

    return tydi


def test_each_passage_is_one_document_and_answers_its_questions(tydi):
    source = tydi()
    test, dev = source.collection("fi", "test"), source.collection("fi", "dev")
    assert test.documents is dev.documents
    assert sorted(test.documents.texts) == ["Helsinki on kaupunki.", "Kissa on eläin.", "Koira haukkuu."]
    texts = dict(zip(test.documents.ids, test.documents.texts, strict=True))
    answered = {query: [texts[d] for d in grades] for query, grades in test.qrels.items()}
    assert answered == {
        "finnish-3-1": ["Helsinki on kaupunki."],
        "finnish-3-2": ["Helsinki on kaupunki."],
        "finnish-4-1": ["Koira haukkuu."],
    }
    assert dict(zip(dev.queries.ids, dev.queries.texts, strict=True)) == {
        "finnish-1-1": "Mikä kissa on?",
        "finnish-2-1": "Mikä Helsinki on?",
    }
    assert (test.query_language, test.document_language) == ("fi", "fi")
    assert source.collection("ko", "test").queries.texts == ("서울은?",)


def test_a_run_with_an_id_of_two_words_is_refused(tydi, tmp_path):
    """Its rankings could not be written, so it is refused before any work."""
    question = squad(paragraph("Kissa on eläin.", ("finnish-1 1", "Mikä kissa on?")))
    source = tydi(train=question, dev=question)
    (tmp_path / "pairs.tsv").write_text("cat\tkissa\n")
    overrides = [
        *("data=tydiqa", "data.collections.languages=[fi]", "languages.high=[fi]", "languages.low=[]"),
        "backbone=tiny",
        f"data.collections.train_file={source.train_file}",
        f"data.collections.dev_file={source.dev_file}",
        f"data.bitexts.sources=[{{files: '{tmp_path}/pairs.tsv'}}]",
    ]
    settings = resolved(compose("train", *overrides))
    pairs = {"_target_": f"{FilePairs.__module__}.FilePairs", "file": str(tmp_path / "pairs.tsv")}
    settings["data"]["teacher_pairs"] = pairs
    spec = RunSpec.from_plain(settings)
    assert failure(spec.check).startswith(
        "tydiqa/fi, fi: the query id 'finnish-1 1' is empty or contains white"
    )


def test_titles_precede_passages_if_set(tydi):
    assert "T1 Koira haukkuu." in tydi(titles=True).collection("fi", "test").documents.texts


def test_fewer_dev_questions(tydi):
    assert len(tydi(dev_queries=1).collection("fi", "dev").queries) == 1


@pytest.mark.parametrize("ending", ["train", "dev"])
def test_the_name_of_a_file_tells_its_language(tydi, tmp_path, ending):
    """In the archive of development files by language, ids contain no language."""
    own = squad(paragraph("Kissa.", ("1", "Mikä?")))
    path = tmp_path / f"tydiqa-goldp-{ending}-finnish.json"
    path.write_text(json.dumps(own))
    assert (
        "Kissa."
        in tydi(**{f"{ending}_file": str(path)}, languages=["fi"]).collection("fi", "test").documents.texts
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"languages": ["de"]}, "data.collections.languages: unknown language 'de'; TyDi QA has ar, bn, en"),
        ({"languages": []}, "data.collections.languages: the list is empty"),
        ({"titles": "yes"}, "data.collections.titles: 'yes' is neither true nor false"),
        ({"dev_queries": 0}, "data.collections.dev_queries: 0 is not a whole number"),
        (
            {"dev_file": "none.json"},
            "data.collections.dev_file: there is no file {here}/none.json; fetch it from github.com/goo",
        ),
        (
            {"dev": {"data": [{"x": 1}]}},
            "{root}/dev.json: its layout is not that of SQuAD's files (KeyError('paragraphs')",
        ),
        ({"dev": []}, "{root}/dev.json: its layout is not that of SQuAD's"),
        (
            {"dev": squad(paragraph("a", ("finnish-1", "b")), paragraph("c", ("finnish-1", "d")))},
            "{root}/dev.json: question id 'finnish-1' is repeated; give each question a distinct id",
        ),
        (
            {"dev": squad(paragraph("a", ("klingon-1", "b")))},
            "{root}/dev.json: question 'klingon-1' names no language",
        ),
    ],
)
def test_bad_settings_and_files(tydi, tmp_path, settings, message):
    assert failure(lambda: tydi(**settings).collection("fi", "test")).startswith(
        message.format(root=tmp_path, here=Path.cwd())
    )


def test_a_damaged_file(tydi, tmp_path):
    source = tydi()
    whole = (tmp_path / "train.json.gz").read_bytes()
    (tmp_path / "train.json.gz").write_bytes(whole[:-9])
    assert failure(lambda: source.collection("fi", "test")).startswith(
        f"{tmp_path}/train.json.gz: damaged gzip"
    )
    (tmp_path / "train.json.gz").write_bytes(gzip.compress(b"{"))
    assert failure(lambda: tydi(dev=DEV).collection("xx", "test")).startswith(
        "data.collections.languages: 'xx'"
    )


QUESTIONS = [
    {"id": f"q{i}", "question": f"質問 {i}", "lang": "ja", "answers": ["Tokyo"], "split": "dev"}
    for i in range(10)
] + [
    {"id": "r1", "question": "Когда основана Москва?", "lang": "ru", "answers": ["1147", "yes"], "split": "dev"}
]


@pytest.fixture
def xor(irds, tmp_path):
    def xor(lines=QUESTIONS, **settings):
        path = tmp_path / "xor_dev_retrieve_eng_span_v1_1.jsonl"
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        return XorTydiCollections(
            **({"questions_file": path, "cache": tmp_path / "cache", "complete": False} | settings)
        )

    return xor


def test_questions_over_english_passages_with_answers(xor):
    source = xor(dev_fraction=0.5)
    test, dev = source.collection("ja", "test"), source.collection("ja", "dev")
    assert set(test.queries.ids) | set(dev.queries.ids) == {f"q{i}" for i in range(10)}
    assert not set(test.queries.ids) & set(dev.queries.ids)
    assert (test.query_language, test.document_language, test.qrels) == ("ja", "en", {})
    assert test.documents is dev.documents
    assert test.documents.texts[1] == "Moscow Moscow was founded in 1147."
    assert set(test.answers.values()) == {("Tokyo",)}
    assert xor(dev_fraction=0).collection("ru", "test").answers == {"r1": ("1147", "yes")}


def test_blank_answers_are_dropped(xor):
    lines = [{"id": "r1", "question": "?", "lang": "ru", "answers": ["", "Tokyo ", " "]}]
    assert xor(lines, dev_fraction=0).collection("ru", "test").answers == {"r1": ("Tokyo ",)}


@pytest.mark.parametrize(
    ("lines", "settings", "message"),
    [
        (
            [{"id": "1", "lang": "ja", "question": "q"}],
            {},
            ":1: no list of answers; the published test file has none",
        ),
        ([{"id": "1", "lang": "ja", "answers": []}], {}, ":1: no field 'question'"),
        (QUESTIONS[:1] * 2, {}, ":2: question id 'q0' is repeated"),
        (QUESTIONS, {"languages": ["te"]}, ": no question of te for test; change dev_fraction"),
    ],
)
def test_bad_questions(xor, tmp_path, lines, settings, message):
    source = xor(lines, **settings)
    path = tmp_path / "xor_dev_retrieve_eng_span_v1_1.jsonl"
    assert failure(lambda: source.collection(source.languages[0] if settings else "ja", "test")).startswith(
        f"{path}{message}"
    )


def test_a_search_is_measured_by_answers(xor, tmp_path):
    source = xor(dev_fraction=0)
    texts = [*source.collection("ja", "test").documents.texts, *source.collection("ja", "test").queries.texts]
    backbone = TinyBackbone(layers=1, hidden_size=16, vocabulary_size=300)
    encoder = build_token_encoder(TokenEncoderSettings(dim=8), backbone, texts).eval()
    settings = EvaluationSettings(measures=["AnswerRecall@5000", "AnswerRecall@2"], depth=5)

    def index_of(documents):
        builds = ArtifactBuilds.at(tmp_path / "store")
        return builds.get(DocumentIndex(encoder, "small", documents, IndexSettings()))

    def unused(*_):
        raise AssertionError("exact search needs no other stage")

    def measure(settings):
        search = CollectionSearch(settings, index_of, unused, unused, "cpu")
        return measure_collections(source, {"all": ("ja", "ru")}, encoder, search, "test", settings)

    measured = measure(settings)
    whole = {where: means[settings.main_measure] for where, means in measured.means.items()}
    assert whole == {"ja": 1.0, "ru": 1.0, "group:all": 1.0}  # every passage is within 5,000 tokens
    with pytest.raises(UserError, match=r"xor-tydi/ja, ja: no relevance .* evaluation=answers"):
        measure(EvaluationSettings())


def test_bad_settings_of_xor_tydi(xor):
    assert failure(lambda: xor(documents="wiki")).startswith(
        "data.collections.documents: wiki: ir_datasets has no such"
    )
    assert failure(lambda: xor(languages=["de"])).startswith(
        "data.collections.languages: unknown language 'de'"
    )
    source = xor(questions_file="none.jsonl")
    assert failure(lambda: source.collection("ja", "test")).startswith(
        "data.collections.questions_file: there is no file"
    )


def test_half_surrogate_pairs_are_replaced_wherever_text_enters(tydi, tmp_path):
    """JSON can spell them, but no encoding and no tokenizer accepts them."""
    half = squad(paragraph("Kissa \ud83d istuu.", ("finnish-\ud83d-1", "Missä \ude00 kissa?")))
    half["data"][0]["title"] = "T\udc00"
    source = tydi(train=half, dev=half, languages=["fi"], titles=True)
    test = source.collection("fi", "test")
    assert (test.queries.ids, test.queries.texts) == (("finnish-\ufffd-1",), ("Missä \ufffd kissa?",))
    assert test.documents.texts == ("T\ufffd Kissa \ufffd istuu.",)
    assert test.fingerprint()
    line = {"id": "x1", "lang": "fi", "question": "Kuka?", "answers": ["Caf\ud83d", "Café"]}
    (tmp_path / "xor.jsonl").write_text(json.dumps(line) + "\n")
    (question,) = read_questions(tmp_path / "xor.jsonl")
    assert question.answers == ("Caf\ufffd", "Café")
    (tmp_path / "xor.jsonl").write_text(json.dumps({**line, "question": "\ude00?"}) + "\n")
    assert failure(lambda: list(read_questions(tmp_path / "xor.jsonl"))).startswith(
        f"{tmp_path}/xor.jsonl:1: the field 'question' has half a surrogate pair; correct it"
    )
