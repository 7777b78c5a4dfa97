"""Turn a folder with a Transformers backbone into an untrained PyLate model (in PyLate's environment)."""

import sys

import torch
from pylate import models


def main() -> None:
    backbone, folder = sys.argv[1:]
    torch.manual_seed(0)
    model = models.ColBERT(backbone, device="cpu", embedding_size=64, query_length=32, document_length=96)
    model.save_pretrained(folder)


if __name__ == "__main__":
    main()
