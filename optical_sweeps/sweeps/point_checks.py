"""Specs of a grid's points: what is equal among them is built, checked and hashed once."""

from typing import Any

from optical_sweeps.runs.spec.identity import counted, fact, fact_text, id_of_texts
from optical_sweeps.runs.spec.run_spec import CHECKS, PARTS, RunSpec, build_part, check_machine
from optical_sweeps.sweeps.compose import Sections, plain


class PointChecks:
    """Checks points and names their runs.

    The specs share parts: they are for looking at, not for running.

    Args:
        elsewhere: the runs are for other machines, whose devices this one cannot look at.
    """

    def __init__(self, *, elsewhere: bool = False) -> None:
        self._elsewhere = elsewhere
        self._parts: dict[tuple[str, str], Any] = {}
        self._texts: dict[tuple[str, str], str] = {}
        self._passed: set[tuple[Any, ...]] = set()

    def spec(self, sections: Sections) -> RunSpec:
        """The spec of a point that passes all checks.

        Raises:
            UserError: as `RunSpec.from_config` and `RunSpec.check`.
        """
        parts = {name: self._part(name, sections) for name in PARTS}
        spec = RunSpec.of_parts(plain(sections), parts)
        for check, names in CHECKS.items():
            if self._elsewhere and check is check_machine:
                continue
            asked = (check, *(sections[name].text for name in names))
            if asked not in self._passed:
                check(spec)
                self._passed.add(asked)
        return spec

    def run(self, spec: RunSpec, sections: Sections) -> str:
        """The identity of that spec's run."""
        facts = {name: self._fact(name, sections) for name in counted(spec.objective.trains)}
        facts = {name: text for name, text in facts.items() if text != "{}"}
        facts |= {name: fact_text(value) for name, value in spec.fingerprints().items()}
        return id_of_texts(facts)

    def _part(self, name: str, sections: Sections) -> Any:
        key = (name, sections[name].text)
        if key not in self._parts:
            self._parts[key] = build_part(name, sections[name].value)
        return self._parts[key]

    def _fact(self, name: str, sections: Sections) -> str:
        key = (name, sections[name].text)
        if key not in self._texts:
            self._texts[key] = fact_text(fact(name, sections[name].value))
        return self._texts[key]
