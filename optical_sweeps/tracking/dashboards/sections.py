"""The content of a dashboard in terms of the study: sections of panels that show logged metrics."""

from dataclasses import dataclass, field
from typing import Literal

from optical_sweeps.tracking.dashboards.logged_sweep import AXES, OBJECTIVE, LoggedSweep

MOST_SETTINGS = 12
"""Columns of parallel coordinates that remain readable."""


@dataclass(frozen=True)
class Lines:
    """A metric over optimiser steps, with one line per objective: mean and standard error of its runs."""

    title: str
    metric: str
    logarithmic: bool = False


@dataclass(frozen=True)
class Scatter:
    """A final value against a setting, with one dot per run."""

    title: str
    setting: str
    metric: str


@dataclass(frozen=True)
class Bars:
    """Final values, averaged over the runs of each objective."""

    title: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Parallel:
    """Parallel coordinates of settings and final values, with one line per run."""

    title: str
    settings: dict[str, str]
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Differences:
    """The table of settings in which runs differ."""

    title: str = "Settings that differ"


Panel = Lines | Scatter | Bars | Parallel | Differences


@dataclass(frozen=True)
class Section:
    """A heading, a paragraph and panels.

    Args:
        runs: `all` runs together, or one set of panels for `each` objective, where the view allows it (a
            report).
    """

    title: str
    text: str
    panels: list[Panel] = field(default_factory=list)
    runs: Literal["all", "each"] = "all"
    opened: bool = True


def sections(sweep: LoggedSweep) -> list[Section]:
    """All sections of which something was logged."""
    everything = (
        _learning(sweep),
        _curves(sweep),
        _languages(sweep),
        _perturbed(sweep),
        _parallel(sweep),
        _plan(sweep),
        _training(sweep),
        _usage(sweep),
        _settings(sweep),
    )
    return [section for section in everything if section.panels]


def _learning(sweep: LoggedSweep) -> Section:
    panels: list[Panel] = []
    for name in _groups(sweep):
        title = f"{sweep.measure} {_named(name)}, dev"
        panels += [Lines(title, metric) for metric in sweep.scores("dev", name)]
    finals = sweep.scores("test", *_groups(sweep))
    panels += [Bars(f"{sweep.measure}, test", tuple(finals))] if finals else []
    return Section(
        f"{sweep.measure} by objective",
        "During training (dev; mean and standard error of each objective's runs) and at the end (test).",
        panels,
    )


def _curves(sweep: LoggedSweep) -> Section:
    panels: list[Panel] = [
        Scatter(f"{sweep.measure} {_named(name)} against {label}", key, metric)
        for label, key in sweep.axes.items()
        for name in _groups(sweep)
        for metric in sweep.scores("test", name)
    ]
    text = "One dot per run (test). The command optical-sweeps curves draws the same with intervals."
    return Section("Curves", text, panels, runs="each")


def _languages(sweep: LoggedSweep) -> Section:
    panels: list[Panel] = []
    for language in sweep.languages:
        panels += [Lines(f"{language}, dev", metric) for metric in sweep.scores("dev", language)]
        panels += [
            Scatter(f"{language}, test, against {label}", key, metric)
            for label, key in list(sweep.axes.items())[:1]
            for metric in sweep.scores("test", language)
        ]
    return Section(
        "Languages", f"{sweep.measure} of each language's queries on the shared index.", panels, opened=False
    )


def _perturbed(sweep: LoggedSweep) -> Section:
    """Splits such as `test+typing@0.1`, whose queries were perturbed before the search."""
    panels: list[Panel] = [
        Bars(f"{sweep.measure} {_named(name)}", (*sweep.scores("test", name), *changed))
        for name in _groups(sweep)
        if (changed := sweep.scores(r"test\+.+", name))
    ]
    text = "The original and the perturbed test queries: typing errors, missing accents, other scripts."
    return Section("Perturbed queries", text, panels, opened=False)


def _parallel(sweep: LoggedSweep) -> Section:
    finals = sweep.scores("test", *_groups(sweep))
    settings = {_label(key): key for key in sweep.settings[:MOST_SETTINGS]}
    panels: list[Panel] = [Parallel("Settings and results", settings, tuple(finals))] if finals else []
    return Section("Parallel coordinates", f"Settings of the runs and the resulting {sweep.measure}.", panels)


def _plan(sweep: LoggedSweep) -> Section:
    """Diagnostics of the plan; those of a combined objective begin with the name of the part."""
    kinds = ("entropy", "marginal_error", "cost", "iterations", "converged", "mass")
    panels: list[Panel] = [
        Lines(_plain(metric), metric, logarithmic=kind in ("marginal_error", "iterations"))
        for kind in kinds
        for metric in sweep.matching(rf"train/(\w+_)?plan_{kind}")
    ]
    text = (
        "Means over a batch. For n tokens per side, an entropy near log n is a one-to-one alignment, and one "
        "near 2 log n is uninformative. If the marginal error is above the solver's tolerance, or converged is "
        "below 1, the plan was not solved: raise objective.solver.max_iterations or epsilon."
    )
    return Section("Transport plan", text, panels)


def _training(sweep: LoggedSweep) -> Section:
    panels: list[Panel] = [
        Lines(_plain(metric), metric) for metric in sweep.matching(r"train/(?!(\w+_)?plan_).*")
    ]
    text = "Losses of different objectives have different units: only compare them within one objective."
    return Section("Training", text, panels, opened=False)


def _usage(sweep: LoggedSweep) -> Section:
    panels: list[Panel] = [
        Lines(_plain(metric), metric)
        for metric in sweep.matching(
            "usage/pairs_per_second",
            "usage/steps_per_second",
            "usage/peak_memory_gb",
            "usage/peak_gpu_memory_gb",
        )
    ]
    panels += [Bars(_plain(metric), (metric,)) for metric in sweep.matching("usage/hours", "usage/gpu_hours")]
    return Section("Throughput, memory, cost", "Values of single runs.", panels, opened=False)


def _settings(sweep: LoggedSweep) -> Section:
    return Section("Runs", "All settings in which runs differ.", [Differences()], opened=False)


def _groups(sweep: LoggedSweep) -> tuple[str, ...]:
    """Groups of languages, or the languages of a study without groups."""
    return sweep.groups or sweep.languages


def _named(name: str) -> str:
    return name.removeprefix("group:")


def _plain(metric: str) -> str:
    """A metric's display name.

    >>> _plain("usage/peak_gpu_memory_gb")
    'peak gpu memory (GB)'
    """
    name = metric.partition("/")[2]
    return f"{name[:-3]} (GB)".replace("_", " ") if name.endswith("_gb") else name.replace("_", " ")


def _label(key: str) -> str:
    """A setting's display name: the label of an axis, or its config key.

    >>> _label("mixture.ratio"), _label("objective._target_"), _label("objective.solver.epsilon")
    ('ratio', 'objective', 'objective.solver.epsilon')
    """
    return {**{axis: label for label, axis in AXES.items()}, OBJECTIVE: "objective"}.get(key, key)
