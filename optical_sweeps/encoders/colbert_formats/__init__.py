"""ColBERT checkpoints of other programs: PyLate's, sentence-transformers', Stanford's and ColBERT-X's."""
