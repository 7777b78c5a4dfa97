"""Settings of `inspect`."""

from typing import Annotated

from pydantic import AfterValidator

from optical_sweeps.checks import Count, FilePath, NonNegativeInt, PositiveFraction
from optical_sweeps.corpora.path_patterns import check_pattern
from optical_sweeps.errors import UserError
from optical_sweeps.settings import key_of, settings


def _gold(pattern: str) -> str:
    check_pattern("gold", pattern, {"language"}, needs={"language"})
    return pattern


@settings("")
class InspectSettings:
    """What to inspect; see conf/inspect.yaml.

    Args:
        row: a pair of the bitext of `language`, from 0.
        language: of the pair, or the only language of `alignment` and `report`; None is all languages.
        alignment: compute alignment error against gold alignments.
        gold: Pharaoh files, with `{language}`; None is the corpus's own alignments.
        share: link words whose mass is at least this share of the largest of their row or column.
        pairs: at most this many pairs per language are aligned, and texts read for the report.
        report: compute norms, anisotropy and spectrum of the encoders' vectors.
        output: folder of figures and tables; None is `inspect` in the run's folder, or here.
    """

    row: NonNegativeInt | None = None
    language: str | None = None
    alignment: bool = False
    gold: Annotated[str, AfterValidator(_gold)] | None = None
    share: PositiveFraction = 0.5
    pairs: Count = 1000
    report: bool = False
    output: FilePath | None = None

    def __post_init__(self) -> None:
        if self.row is not None and self.language is None:
            raise UserError(f"{key_of('language')}: no value; a row belongs to the bitext of a language")
