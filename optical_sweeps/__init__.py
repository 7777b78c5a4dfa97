"""Optimal-transport distillation for cross-lingual retrieval, and sweeps over its training-language ratios."""

__version__ = "0.2.0"
