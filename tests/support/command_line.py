"""A small study, and how a command ended."""

from collections.abc import Callable
from dataclasses import dataclass

STUDY = """\
# @package _global_
defaults:
  - override /data: synthetic
  - override /languages: synthetic
  - override /backbone: tiny

data:
  lexicon_size: 120
  topics: 40
  documents_per_topic: 2
  daughters:
    near: {pairs: 80}
    shifted: {pairs: 80}
    inverted: {pairs: 80}
    fusing: {pairs: 80}
    splitting: {pairs: 80}
    distant: {pairs: 80}
languages: {high: [near, shifted], low: [fusing, distant]}
backbone: {layers: 1, hidden_size: 32, vocabulary_size: 500}
encoder: {dim: 16}
teacher: {training: {epochs: 2, learning_rate: 1e-3}}
training: {batch_size: 8, learning_rate: 1e-3, log_every: 1}
mixture: {total: 80}
logger: {mode: offline}
sweep: {name: small}
hydra:
  sweeper:
    params:
      objective: optical,contrastive,none
      mixture.ratio: 0,1
"""
TRAIN = ("train", "--config-dir", "studies", "experiment=small")
"""One run of the study."""
SWEEP = ("train", "--config-dir", "studies", "-m", "experiment=small")
"""The study's sweep: 2 ratios x {optical, contrastive}, and zero-shot."""


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Command = Callable[..., Finished]
