"""ColBERT checkpoints of PyLate, sentence-transformers, Stanford's ColBERT and ColBERT-X."""
