"""The shipped data, mixture and language configs make what they say, as Hydra makes it."""

from dataclasses import fields
from pathlib import Path

import pytest
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from optical_sweeps.corpora.builders.emoji import EmojiCorpus
from optical_sweeps.corpora.builders.synthetic import DAUGHTERS, SyntheticCorpus
from optical_sweeps.corpora.mixture import FixedHigh, FixedTotal

CONF = Path(__file__).parents[2] / "conf"


def load(name: str):
    return OmegaConf.load(CONF / f"{name}.yaml")


@pytest.mark.parametrize(
    "name", ["data/emoji", "data/synthetic", "data/files", "mixture/fixed_total", "mixture/fixed_high"]
)
def test_every_setting_is_in_the_config(name):
    config = load(name)
    settings = {field.name for field in fields(get_class(config._target_)) if field.init}
    assert set(config) - {"_target_"} == settings


def test_the_configured_corpora_are_the_default_ones():
    assert instantiate(load("data/emoji"), _convert_="all") == EmojiCorpus()
    assert instantiate(load("data/synthetic"), _convert_="all") == SyntheticCorpus()
    assert list(load("data/synthetic").daughters) == list(DAUGHTERS)


def of_run(name: str, seed: int):
    """A mixture's config as a part of a run's, whose seed it takes."""
    return OmegaConf.create({"seed": seed, "mixture": load(name)}).mixture


def test_the_configured_mixtures_take_the_seed_of_the_run():
    total, high = of_run("mixture/fixed_total", seed=3), of_run("mixture/fixed_high", seed=3)
    assert instantiate(total, _convert_="all") == FixedTotal(total=3200, ratio=0.5, seed=3)
    assert instantiate(high, _convert_="all") == FixedHigh(high_total=1600, multiple=1.0, seed=3)


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
