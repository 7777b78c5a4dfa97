"""What the runs of a sweep need of the bitext: pairs by language, sentences to encode, bytes and seconds.

Everything is computed from the numbers of packed pairs and the sizes of their files; of the texts, only the
first pair of each language is read, to show that its columns are in order.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from rich.text import Text

from optical_sweeps.artifacts import canonical_json
from optical_sweeps.console import size_text, terminal
from optical_sweeps.corpora.packed_bitext import PackedSize, packed_size
from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.runs.run import LABEL_COLUMNS, PlanNotes
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.terminal_text import plain_text
from optical_sweeps.training.teacher_costs import encoding_seconds, vector_bytes

SECTIONS = (
    "data",
    "languages",
    "backbone",
    "encoder",
    "teacher",
    "student",
    "objective",
    "mixture",
    "training",
)
"""Sections of a config that a demand depends on."""
BYTES_PER_TOKEN, SPECIAL_TOKENS = 4.0, 3
"""Assumed of English text: bytes of a token, and tokens that a tokenizer adds to a text."""
UNPACKED_BYTES = 40.0
"""Assumed bytes of an English sentence whose bitext is in memory."""
SEPARATOR = " | "
TOKEN_BYTES = 5
"""A stored token: its id and whether it takes part."""


@dataclass(frozen=True)
class BitextDemand:
    """What one run needs of the bitext.

    Args:
        key: a hash of the settings that it depends on.
    """

    key: str
    spec: RunSpec = field(compare=False, repr=False)

    @classmethod
    def of(cls, spec: RunSpec) -> "BitextDemand":
        """The demand of a run that trains."""
        content = canonical_json([spec.config.get(name) for name in SECTIONS])
        return cls(hashlib.blake2b(content.encode(), digest_size=16).hexdigest(), spec)

    @property
    def counts(self) -> dict[str, int]:
        """The pairs of each language that the run draws, with repetitions."""
        spec = self.spec
        return spec.mixture.counts(spec.bitext_sizes(), spec.languages.high, spec.languages.low)


@dataclass(frozen=True)
class LanguageDemand:
    """What the runs need of one language.

    Args:
        pairs: after the filters.
        read: before the filters; None if the corpus does not count them.
        packed: size of the packed files; None if the bitext is in memory.
        least, most: pairs that a run draws, with repetitions.
        distinct: different pairs that all runs draw together; estimated if their seeds differ.
        first: the first pair, English first.
    """

    pairs: int
    read: int | None
    packed: PackedSize | None
    least: int
    most: int
    distinct: int
    first: tuple[str, str]

    def line(self) -> str:
        """The numbers, for the screen."""
        before = f" of {self.read:,}" if self.read not in (None, self.pairs) else ""
        where = "in memory" if self.packed is None else f"packed, {size_text(self.packed.total)}"
        drawn = f"{self.least:,}" if self.least == self.most else f"{self.least:,} to {self.most:,}"
        return f"{self.pairs:,}{before} pairs, {where}; a run draws {drawn}, all runs {self.distinct:,}"

    def sample(self, language: str, width: int) -> str:
        """The first pair, for the screen.

        Args:
            width: columns of the screen that it may fill.
        """
        names = ("English: ", f"{language}: ")
        space = (width - sum(map(len, names)) - len(SEPARATOR)) // 2
        sides = [Text(" ".join(plain_text(side).split())) for side in self.first]
        for side in sides:
            side.truncate(max(space, 1), overflow="ellipsis")
        return SEPARATOR.join(f"{name}{side.plain}" for name, side in zip(names, sides, strict=True))


@dataclass(frozen=True)
class EncodingDemand:
    """What the teacher encodes for some runs; sentences that the store has are not encoded again.

    Args:
        sentences: English sentences at most, each once; the online teacher encodes them in the steps instead.
        teacher: `training.teacher` of the runs.
        stored_bytes: vectors of the teacher and tokens, at most.
        cpu_seconds, gpu_seconds: of encoding; None if the size of the teacher is not known.
    """

    sentences: int
    teacher: tuple[str, ...]
    stored_bytes: int
    cpu_seconds: float | None
    gpu_seconds: float | None

    def lines(self) -> list[str]:
        """The numbers, for the screen."""
        most = f"at most {self.sentences:,} English sentences"
        if self.teacher == ("online",):
            return [f"{most}, in the training steps (training.teacher=online)"]
        stored = "" if self.teacher == ("stored",) else " where training.teacher=auto stores them"
        cost = f"about {size_text(self.stored_bytes)} of vectors and tokens"
        if self.cpu_seconds is not None and self.gpu_seconds is not None:
            cost += f", {_seconds(self.cpu_seconds)} on a CPU core or {_seconds(self.gpu_seconds)} on a GPU"
        return [f"{most}, each once{stored}; those in the store are reused", cost]


def bitext_notes(demands: Sequence[BitextDemand]) -> PlanNotes:
    """What `sweep plan` shows of the demands of the runs that train."""
    if not demands:
        return PlanNotes()
    languages = _languages(demands)
    encoding = _encoding(demands, languages)
    width = max(map(len, languages))
    rows = [(f"{language:<{width}}  {demand.line()}") for language, demand in languages.items()]
    samples = [
        demand.sample(language, terminal().width - LABEL_COLUMNS) for language, demand in languages.items()
    ]
    blocks = {"bitext": rows, "pair 1": samples, "encode": encoding.lines()}
    return PlanNotes(
        [
            (name if number == 0 else "", line)
            for name, block in blocks.items()
            for number, line in enumerate(block)
        ],
        {
            "bitext": {language: asdict(demand) for language, demand in languages.items()},
            "encode": asdict(encoding),
        },
    )


def _languages(demands: Sequence[BitextDemand]) -> dict[str, LanguageDemand]:
    """The demand of each language; runs with other data have other languages, or share the larger bitext."""
    counts: dict[str, list[tuple[RunSpec, int]]] = defaultdict(list)
    for demand in demands:
        for language, count in demand.counts.items():
            counts[language].append((demand.spec, count))
    return {language: _language(language, drawn) for language, drawn in sorted(counts.items())}


def _language(language: str, drawn: Sequence[tuple[RunSpec, int]]) -> LanguageDemand:
    spec = max((spec for spec, _ in drawn), key=lambda spec: spec.bitext_sizes()[language])
    bitext = spec.corpus.bitext(language)
    reports = spec.corpus.bitext_reports() if hasattr(spec.corpus, "bitext_reports") else {}
    read = sum(reports[language].read.values()) if language in reports else None
    numbers = [count for _, count in drawn]
    prefixes: dict[object, int] = defaultdict(int)
    for each, count in drawn:  # draws with one seed are prefixes of each other
        seed = getattr(each.mixture, "seed", None)
        prefixes[seed] = max(prefixes[seed], count)
    return LanguageDemand(
        pairs=len(bitext),
        read=read,
        packed=packed_size(bitext),
        least=min(numbers),
        most=max(numbers),
        distinct=expected_union(len(bitext), prefixes.values()),
        first=(bitext.english[0], bitext.translations[0]),
    )


def expected_union(size: int, counts: Iterable[int]) -> int:
    """How many of `size` items are in at least one of several independent random samples, in expectation.

    >>> expected_union(100, [30]), expected_union(100, [50, 50]), expected_union(100, [120])
    (30, 75, 100)
    """
    return round(size * (1 - math.prod(1 - min(count, size) / size for count in counts)))


def _encoding(demands: Sequence[BitextDemand], languages: Mapping[str, LanguageDemand]) -> EncodingDemand:
    """What the teacher encodes if the runs differ in their draws alone; other teachers encode as much again."""
    teachers: dict[str, RunSpec] = {}
    for demand in demands:
        spec = demand.spec
        sections = [spec.config.get(name) for name in ("backbone", "encoder", "teacher")]
        teachers[canonical_json([*sections, list(spec.student.sides)])] = spec
    sentences = sum(demand.distinct for demand in languages.values())
    stored, seconds = 0, [0.0, 0.0]
    for spec in teachers.values():
        weights = spec.backbone.layer_weights() if spec.teacher.uses_backbone else None
        for side in spec.student.sides:
            tokens = sum(_tokens(spec, side, each) * each.distinct for each in languages.values())
            stored += round(tokens * (_vector_bytes(spec) + 2 * TOKEN_BYTES))
            for place, device in enumerate(("cpu", "cuda")):
                seconds[place] += (
                    math.nan if weights is None else encoding_seconds(weights, round(tokens), device)
                )
    known = [None if math.isnan(value) else value for value in seconds]
    modes = tuple(sorted({demand.spec.training.teacher for demand in demands}))
    return EncodingDemand(sentences * len(teachers), modes, stored, known[0], known[1])


def _vector_bytes(spec: RunSpec) -> int:
    if spec.training.teacher == "online" or spec.encoder.dim is None:
        return 0
    return vector_bytes(spec.encoder.dim, spec.training.teacher_precision)


def _tokens(spec: RunSpec, side: Side, language: LanguageDemand) -> float:
    """Tokens of an English sentence, estimated from its bytes."""
    longest = spec.teacher.length(spec.encoder, side)  # type: ignore[arg-type]
    if side == "query" and getattr(spec.encoder, "query_augmentation", False):
        return float(longest)
    size = language.packed
    length = size.english / language.pairs if size is not None else UNPACKED_BYTES
    return min(float(longest), length / BYTES_PER_TOKEN + SPECIAL_TOKENS)


def _seconds(seconds: float) -> str:
    """
    >>> _seconds(0.2), _seconds(90.0), _seconds(9000.0)
    ('1 s', '90 s', '2.5 h')
    """
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
