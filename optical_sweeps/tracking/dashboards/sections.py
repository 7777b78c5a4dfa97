"""What a dashboard shows, in the terms of the study: sections of panels, each of metrics that were logged."""

from dataclasses import dataclass, field
from typing import Literal

from optical_sweeps.tracking.dashboards.logged import AXES, OBJECTIVE, Logged

MOST_SETTINGS = 12
"""Columns of parallel coordinates that a person can tell apart."""


@dataclass(frozen=True)
class Lines:
    """A metric over optimiser steps, one line an objective: mean of its runs and its standard error."""

    title: str
    metric: str
    logarithmic: bool = False

    @property
    def metrics(self) -> tuple[str, ...]:
        return (self.metric,)


@dataclass(frozen=True)
class Scatter:
    """A final value against a setting, one dot a run."""

    title: str
    setting: str
    metric: str

    @property
    def metrics(self) -> tuple[str, ...]:
        return (self.metric,)


@dataclass(frozen=True)
class Bars:
    """Final values, averaged over an objective's runs."""

    title: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Parallel:
    """Settings, then final values: one line a run."""

    title: str
    settings: dict[str, str]
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Differences:
    """The table of the runs' settings that differ."""

    title: str = "Settings that differ"
    metrics: tuple[str, ...] = ()


Panel = Lines | Scatter | Bars | Parallel | Differences


@dataclass(frozen=True)
class Section:
    """A heading, a paragraph, panels.

    Args:
        of: `all` runs together; `each` objective by itself, where the form allows it (a report).
    """

    title: str
    text: str
    panels: list[Panel] = field(default_factory=list)
    of: Literal["all", "each"] = "all"
    opened: bool = True


def sections(logged: Logged) -> list[Section]:
    """Everything to show; sections of which nothing was logged are left out."""
    everything = (
        _learning(logged),
        _curves(logged),
        _languages(logged),
        _perturbed(logged),
        _parallel(logged),
        _plan(logged),
        _training(logged),
        _usage(logged),
        _settings(logged),
    )
    return [section for section in everything if section.panels]


def _learning(logged: Logged) -> Section:
    panels: list[Panel] = []
    for where in _groups(logged):
        title = f"{logged.measure} {_named(where)}, dev"
        panels += [Lines(title, metric) for metric in logged.scores("dev", where)]
    finals = logged.scores("test", *_groups(logged))
    panels += [Bars(f"{logged.measure}, test", tuple(finals))] if finals else []
    return Section(
        f"{logged.measure} by objective",
        "Over training (dev, mean of an objective's runs and its standard error), and at the end (test).",
        panels,
    )


def _curves(logged: Logged) -> Section:
    panels: list[Panel] = [
        Scatter(f"{logged.measure} {_named(where)} against {label}", key, metric)
        for label, key in logged.axes.items()
        for where in _groups(logged)
        for metric in logged.scores("test", where)
    ]
    text = "One dot a run (test). The command optical-sweeps curves draws the same with intervals."
    return Section("Curves", text, panels, of="each")


def _languages(logged: Logged) -> Section:
    panels: list[Panel] = []
    for language in logged.languages:
        panels += [Lines(f"{language}, dev", metric) for metric in logged.scores("dev", language)]
        panels += [
            Scatter(f"{language}, test, against {label}", key, metric)
            for label, key in list(logged.axes.items())[:1]
            for metric in logged.scores("test", language)
        ]
    return Section(
        "Languages", f"{logged.measure} of each language's queries over the one index.", panels, opened=False
    )


def _perturbed(logged: Logged) -> Section:
    """Splits such as `test+typing@0.1`: queries that were changed before they were searched."""
    panels: list[Panel] = [
        Bars(f"{logged.measure} {_named(where)}", (*logged.scores("test", where), *changed))
        for where in _groups(logged)
        if (changed := logged.scores(r"test\+.+", where))
    ]
    text = "The test queries as they are, and changed: typing errors, missing accents, other scripts."
    return Section("Perturbed queries", text, panels, opened=False)


def _parallel(logged: Logged) -> Section:
    finals = logged.scores("test", *_groups(logged))
    settings = {_label(key): key for key in logged.settings[:MOST_SETTINGS]}
    panels: list[Panel] = [Parallel("Settings and results", settings, tuple(finals))] if finals else []
    return Section("Parallel coordinates", f"What was set, and the {logged.measure} that came of it.", panels)


def _plan(logged: Logged) -> Section:
    """The names are the objective's; those of a combination begin with the name of a part."""
    kinds = ("entropy", "marginal_error", "cost", "iterations", "converged", "mass")
    panels: list[Panel] = [
        Lines(_plain(metric), metric, logarithmic=kind in ("marginal_error", "iterations"))
        for kind in kinds
        for metric in logged.found(rf"train/(\w+_)?plan_{kind}")
    ]
    text = (
        "Means over a batch. For n tokens a side, an entropy near log n is a one-to-one alignment, one near "
        "2 log n says nothing. A marginal error above the solver's tolerance, or converged below 1, is a plan "
        "that was not solved: raise objective.solver.max_iterations or epsilon."
    )
    return Section("Transport plan", text, panels)


def _training(logged: Logged) -> Section:
    panels: list[Panel] = [
        Lines(_plain(metric), metric) for metric in logged.found(r"train/(?!(\w+_)?plan_).*")
    ]
    text = "Losses of different objectives have different units: compare them within an objective alone."
    return Section("Training", text, panels, opened=False)


def _usage(logged: Logged) -> Section:
    panels: list[Panel] = [
        Lines(_plain(metric), metric)
        for metric in logged.found(
            "usage/pairs_per_second",
            "usage/steps_per_second",
            "usage/peak_memory_gb",
            "usage/peak_gpu_memory_gb",
        )
    ]
    panels += [Bars(_plain(metric), (metric,)) for metric in logged.found("usage/hours", "usage/gpu_hours")]
    return Section("Throughput, memory, cost", "Of one run each.", panels, opened=False)


def _settings(logged: Logged) -> Section:
    return Section("Runs", "All settings in which runs differ.", [Differences()], opened=False)


def _groups(logged: Logged) -> tuple[str, ...]:
    """Groups of languages, or the languages of a study without groups."""
    return logged.groups or logged.languages


def _named(where: str) -> str:
    return where.removeprefix("group:")


def _plain(metric: str) -> str:
    """For people.

    >>> _plain("usage/peak_gpu_memory_gb")
    'peak gpu memory (GB)'
    """
    name = metric.partition("/")[2]
    return f"{name[:-3]} (GB)".replace("_", " ") if name.endswith("_gb") else name.replace("_", " ")


def _label(key: str) -> str:
    """A setting's name for people: that of an axis, or its config key.

    >>> _label("mixture.ratio"), _label("objective._target_"), _label("objective.solver.epsilon")
    ('ratio', 'objective', 'objective.solver.epsilon')
    """
    return {**{of: label for label, of in AXES.items()}, OBJECTIVE: "objective"}.get(key, key)
