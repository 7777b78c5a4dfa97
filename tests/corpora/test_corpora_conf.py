"""The shipped data, mixture and language configs build what they describe."""

import shlex
import textwrap
from dataclasses import fields
from pathlib import Path

import pytest
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from optical_sweeps.corpora.bitext_sources import BitextSources
from optical_sweeps.corpora.builders.emoji import EmojiCorpus
from optical_sweeps.corpora.builders.synthetic import DAUGHTERS, SyntheticCorpus
from optical_sweeps.corpora.mixture import FixedHigh, FixedTotal, Natural
from optical_sweeps.errors import UserError
from tests.support.configs import compose

CONF = Path(__file__).parents[2] / "conf"


def load(name: str):
    return OmegaConf.load(CONF / f"{name}.yaml")


@pytest.mark.parametrize(
    "name",
    [
        *(f"data/{name}" for name in ("emoji", "synthetic", "files", "ir_datasets", "tydiqa", "xor_tydi")),
        *(f"mixture/{name}" for name in ("fixed_total", "fixed_high", "natural", "per_language")),
    ],
)
def test_every_setting_is_in_the_config(name):
    config = OmegaConf.to_container(load(name))
    for part in (config, *(part for part in parts_of(config) if "_target_" in part)):
        settings = {field.name for field in fields(get_class(part["_target_"])) if field.init}
        assert set(part) - {"_target_"} == settings


def parts_of(config):
    """The nested parts of a config."""
    for value in config.values():
        if isinstance(value, dict):
            yield value
            yield from parts_of(value)


def test_the_configured_corpora_are_the_default_ones():
    assert instantiate(load("data/emoji"), _convert_="all") == EmojiCorpus()
    assert instantiate(load("data/synthetic"), _convert_="all") == SyntheticCorpus()
    assert list(load("data/synthetic").daughters) == list(DAUGHTERS)


def of_run(name: str, seed: int):
    """A mixture's config inside a run's config, whose seed it uses."""
    return OmegaConf.create({"seed": seed, "mixture": load(name)}).mixture


def test_the_configured_mixtures_take_the_seed_of_the_run():
    total, high = of_run("mixture/fixed_total", seed=3), of_run("mixture/fixed_high", seed=3)
    assert instantiate(total, _convert_="all") == FixedTotal(total=3200, ratio=0.5, seed=3)
    assert instantiate(high, _convert_="all") == FixedHigh(high_total=1600, multiple=1.0, seed=3)
    assert instantiate(of_run("mixture/natural", seed=3), _convert_="all") == Natural(total=3200, seed=3)
    assert instantiate(of_run("mixture/per_language", seed=3), _convert_="all").seed == 3


@pytest.mark.parametrize("name", ["emoji", "synthetic"])
def test_the_groups_of_languages_are_in_the_corpus(name):
    groups, corpus = load(f"languages/{name}"), instantiate(load(f"data/{name}"), _convert_="all")
    assert set(groups) == {"high", "low"}
    assert set(groups.high) | set(groups.low) <= set(corpus.languages)
    assert not set(groups.high) & set(groups.low)


def test_the_default_mixture_can_be_drawn_from_the_emoji_at_every_ratio():
    groups, corpus = load("languages/emoji"), EmojiCorpus()
    sizes = {language: len(corpus.bitext(language)) for language in corpus.languages}
    for ratio in (0.0, 0.25, 0.5, 0.75, 1.0):
        settings = of_run("mixture/fixed_total", seed=1)
        settings.ratio = ratio
        mixture = instantiate(settings, _convert_="all").draw(sizes, groups.high, groups.low)
        assert mixture.ratio == ratio
        assert max(mixture.repeats.values()) == 1


COLLECTIONS = {  # config -> the number of its languages, and a query and a document language
    "ir_datasets": (1, "sw", "sw"),
    "miracl": (17, "ar", "ar"),
    "mr_tydi": (10, "ar", "ar"),
    "mmarco": (13, "ar", "en"),
    "mmarco_v1": (8, "de", "en"),
    "msmarco_passage": (1, "en", "en"),
    "wikiclir": (24, "en", "ar"),
    "clirmatrix": (7, "ar", "en"),
    "neuclir": (3, "en", "fa"),
    "hc4": (3, "en", "fa"),
}


def compose_data(name: str, *overrides: str):
    """The data config of a run."""
    return compose("train", f"data={name}", *overrides).data


@pytest.mark.parametrize(("name", "facts"), COLLECTIONS.items())
def test_each_collection_of_ir_datasets_can_be_read_as_configured(irds, tmp_path, name, facts):
    own = [
        f"{part}.{key}"
        for part in ("data.collections", "data.teacher_pairs")
        for key in (f"cache={tmp_path}", "complete=false")
    ]
    corpus = instantiate(compose_data(name, *own), _convert_="all")
    count, query_language, document_language = facts
    assert len(corpus.languages) == count
    for language in corpus.languages:
        assert corpus.collection(language, "dev").documents is corpus.collection(language, "test").documents
    first = corpus.collection(corpus.languages[0], "test")
    assert (first.query_language, first.document_language) == (query_language, document_language)
    assert len(corpus.relevant_pairs()) == 2


@pytest.mark.parametrize(("name", "languages"), [("tydiqa", 8), ("xor_tydi", 7)])
def test_question_answering_names_the_file_to_fetch(irds, name, languages):
    corpus = instantiate(compose_data(name), _convert_="all")
    assert len(corpus.languages) == languages
    with pytest.raises(UserError, match=r"there is no file /.*/data/.*; fetch"):
        corpus.collection(corpus.languages[0], "test")


@pytest.mark.parametrize(
    ("languages", "data"), [("miracl", "miracl"), ("tydi", "tydiqa"), ("clirmatrix", "clirmatrix")]
)
def test_the_groups_of_languages_are_in_their_collection(irds, languages, data):
    groups, config = load(f"languages/{languages}"), compose_data(data)
    assert sorted([*groups.high, *groups.low]) == sorted(config.collections.languages)


def test_bitext_can_be_set_on_the_command_line(irds, tmp_path):
    (tmp_path / "en-sw.tsv").write_text("one\tmoja\nOne\tone\n")
    config = compose_data(
        "miracl",
        f"data.bitexts.sources=[{{files: '{tmp_path}/{{pair}}.tsv', weight: 2}}]",
        "data.bitexts.filters.drop_copies=true",
    )
    assert tuple(instantiate(config, _convert_="all").bitext("sw").translations) == ("moja", "moja")


DOCS = (Path(__file__).parents[2] / "docs" / "howto" / "data.md").read_text()


def test_the_command_of_the_documentation_composes(irds):
    """Translated topics over MIRACL's English passages."""
    command = DOCS[DOCS.index("    optical-sweeps train") :].split("\n\n")[0].replace("\\\n", " ")
    words = shlex.split(command)[2:]
    config = compose("train", *words)
    corpus = instantiate(config.data, _convert_="all")
    assert corpus.collections.queries_file == "topics/{language}.{split}.tsv"
    assert corpus.collections.query_language == "{language}"
    assert corpus.bitexts.sources[0].files == ("opus/{pair}.tmx.gz",)


def test_the_bitext_of_the_documentation_is_valid():
    example = DOCS[DOCS.index("    data:\n") :].split("\n\n")[0].replace("COMMIT", "a" * 40)
    settings = OmegaConf.to_container(OmegaConf.create(textwrap.dedent(example)))["data"]["bitexts"]
    sources = BitextSources(**settings).sources
    assert [str(path) for path in sources[1].paths("fr")] == [
        "en-fr.txt.zip/Books.en-fr.en",
        "en-fr.txt.zip/Books.en-fr.fr",
    ]
    assert [source.weight for source in sources] == [1, 1, 0.5, 2, 0.1, 1, 1]


def test_every_collection_is_in_the_documentation():
    for name in (*COLLECTIONS, "tydiqa", "xor_tydi"):
        assert f"`{name}`" in DOCS or f"data={name}" in DOCS
