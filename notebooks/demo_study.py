# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A study read back and redrawn
#
# The demo asks: a bitext of fixed size is split between *high*-resource and *low*-resource languages. How
# does retrieval answer to the share of the low ones, and does it matter by which objective the student is
# distilled?
#
# Nothing is trained here. Everything below is read from what the runs logged: W&B's own log files, which lie
# in each run's folder whether or not a server was there. `make demo` makes the sweep; without it, this
# notebook first makes a smaller one, of invented languages and a random encoder, in about a minute. Then the
# *procedure* is the same, and the numbers say nothing about real languages.

# %%
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas
from IPython.display import Markdown, display

from optical_sweeps.curves.claims.claims_tables import claims_table
from optical_sweeps.curves.claims.pairwise_claims import claims
from optical_sweeps.curves.figures.curve_figures import gain_figure, group_figure
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.statistics.study_tables import markdown_table
from optical_sweeps.curves.tables.result_tables import (
    describe_missing,
    language_groups,
    missing_points,
    per_query_table,
    result_table,
)
from optical_sweeps.tracking.sources import disagreements, read_offline, read_records

# %matplotlib inline

# %%
SWEEP = None  # a sweep's folder, such as Path("multirun/mine"); None: the demo's, or one made here

ROOT = Path.cwd().parent if Path.cwd().name == "notebooks" else Path.cwd()
SMALL = [
    "data=synthetic", "languages=synthetic", "backbone=tiny",
    "data.lexicon_size=150", "data.topics=60", "data.documents_per_topic=2",
    "backbone.layers=1", "backbone.hidden_size=32", "backbone.vocabulary_size=600", "encoder.dim=32",
    "teacher.training.epochs=6", "teacher.training.learning_rate=1e-3",
    "training.learning_rate=3e-3", "training.batch_size=16", "training.epochs=4", "training.log_every=5",
    "training.validate_every=25",
    "mixture.total=400", "mixture.ratio=0,0.5,1", "objective=optical,contrastive,none", "seed=1,2",
    "logger=wandb", "logger.mode=offline", "sweep.name=notebook",
]  # fmt: skip


def small_sweep() -> Path:
    """13 runs of the synthetic corpus; those that are done already are skipped."""
    command = [sys.executable, "-m", "optical_sweeps", "train", "-m", *SMALL]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return ROOT / "multirun/notebook"


demo = ROOT / "multirun/demo"
sweep = SWEEP or (demo if any(demo.glob("*/record.json")) else small_sweep())
print(sweep.relative_to(ROOT) if sweep.is_relative_to(ROOT) else sweep)

# %% [markdown]
# ## What a run says of itself
#
# `read_offline` gives one `RunLog` a run: its configuration, its rows by optimiser step, its final values,
# the files it kept. The same comes from the service (`read_wandb`) and from the run folders' own records
# (`read_records`), so that what follows does not depend on where a run was logged. Where two sources
# disagree, one of them was tampered with or is damaged.

# %%
runs = read_offline(sweep)
differences = disagreements(runs, read_records(sweep, history=False))
print(f"{len(runs)} runs, {sum(run.complete for run in runs)} of them complete")
print("\n".join(differences) or "W&B's logs and the run folders' records agree")

one = next(run for run in runs if "train/plan_entropy" in run.summary)
print("\na run of the objective `optical`:", one.id)
print("  rows:", len(one.history), " final values:", len(one.summary), " files:", sorted(one.files))

# %% [markdown]
# ## One tidy table
#
# One row a run, split, slice and measure. A *slice* is a language or a group of languages (`group:low`: the
# mean over its languages, so that each counts alike, however many queries it has). What is missing from the
# product of the values seen is named: a curve with a hole in it should never look like a curve.

# %%
results = result_table(runs)
test = results[(results["split"] == "test") & (results["measure"] == "nDCG@10")]
groups = test[test["slice"].str.startswith("group:")]
display(
    groups.pivot_table(index=["objective", "ratio"], columns="slice", values="value", dropna=False)
    .dropna(how="all")
    .round(3)
)
print("\n".join(describe_missing(missing_points(results))) or "no grid point is missing")

# %% [markdown]
# The objective `none` is *zero-shot*: the student is the teacher itself, untouched. It has no ratio and no
# seed. Whoever distils has to beat it.
#
# ## Learning curves, and the transport plan's health
#
# Left: nDCG@10 on dev as training goes on, one line a run. Middle and right: two diagnostics of the plan that
# the objective `optical` aligns tokens by, as means over a batch. **Entropy** says how soft the alignment is:
# lower where each token has found its partner. The **marginal error** says whether Sinkhorn's iteration was
# run to its end: above the solver's tolerance (1e-6 by default) the "plan" does not move the mass that it
# should, and every number downstream is off.

# %%
COLOURS = {"optical": "#0072B2", "contrastive": "#D55E00", "none": "#555555"}
objective_of = dict(results[["run", "objective"]].drop_duplicates().itertuples(index=False))

figure, panels = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
for panel, metric, title in zip(
    panels,
    ("dev/nDCG@10/group:all", "train/plan_entropy", "train/plan_marginal_error"),
    ("nDCG@10 on dev, all languages", "plan entropy (nats)", "plan marginal error"),
    strict=True,
):
    for run in runs:
        points = [(row["step"], row[metric]) for row in run.history if metric in row]
        if len(points) > 1:
            objective = objective_of[run.id]
            label = None if objective in panel.get_legend_handles_labels()[1] else objective
            x, y = zip(*points, strict=True)
            panel.plot(x, y, color=COLOURS.get(objective), linewidth=1, alpha=0.7, label=label)
    panel.set(title=title, xlabel="optimiser steps")
panels[2].set_yscale("log")
panels[0].legend(frameon=False)
plt.show()

# %% [markdown]
# ## Curves with intervals
#
# A point of a curve is a mean over seeds and over queries; both were drawn, and with others the mean would
# have been another. `Study` holds per-query scores and resamples both at once. Bands are 95% intervals.
# **With two seeds they say little about other seeds**: two numbers are all that is known of their spread
# (`docs/curves.md` has the coverage that was measured).

# %%
study = Study(
    per_query_table(runs),
    {name: members for name, members in language_groups(runs).items() if name != "all"},
    replicates=1000,
)
display(Markdown(markdown_table(study)))

# %%
display(group_figure(study))

# %% [markdown]
# Two bands that overlap may still differ beyond doubt: the same queries are easy or hard for both systems,
# and that part of the uncertainty cancels in the difference. So differences have their own, paired intervals.
# Here: what distillation gains over zero-shot.

# %%
display(gain_figure(study))

# %% [markdown]
# ## Is one objective better?
#
# One claim a slice and ratio, by a randomisation test over queries, corrected for their number (Holm). A
# claim can have three outcomes: *higher* or *lower*; *equivalent*, where the interval of the difference lies
# within a margin that was chosen beforehand (here one point of nDCG); or neither, which means that these runs
# cannot tell.
#
# The test holds for other queries and **these** trained students. `test="crossed"` asks about other seeds
# too; with two seeds it can hardly ever say yes.

# %%
found = claims(study, [("optical", "contrastive")], margin=0.01, draws=2000)
display(Markdown(claims_table(found).render("markdown")))

# %% [markdown]
# ## Where does a difference come from?
#
# A mean hides whether all queries gained a little or a few gained much. Each dot is a query of the
# low-resource languages; on the diagonal both systems found the answer equally well. Scores pile up at few
# values, since a query has few relevant documents, so dots are shaken a little.

# %%
scores = per_query_table(runs)
low = scores[scores["language"].isin(study.groups["low"]) & (scores["ratio"] == scores["ratio"].max())]
pairs = low.pivot_table(index=["language", "query_id"], columns="objective", values="value")
shaken = pairs + np.random.default_rng(0).uniform(-0.015, 0.015, pairs.shape)
figure, panel = plt.subplots(figsize=(4.4, 3.6), layout="constrained")
for language, part in shaken.groupby("language"):
    panel.plot(part["contrastive"], part["optical"], ".", markersize=4, alpha=0.5, label=language)
panel.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
panel.set(xlabel="contrastive, nDCG@10 of a query", ylabel="optical", aspect="equal")
panel.legend(frameon=False, markerscale=2, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

gain = pairs["optical"] - pairs["contrastive"]
print(
    f"optical better on {(gain > 0).mean():.0%} of queries, worse on {(gain < 0).mean():.0%}, alike on the rest"
)
display(
    gain.sort_values()
    .rename("optical - contrastive")
    .round(3)
    .to_frame()
    .pipe(lambda table: pandas.concat([table.head(3), table.tail(3)]))
)

# %% [markdown]
# From here: `optical-sweeps report` writes the same as one HTML page with every query's text, `optical-sweeps
# verify` derives all scores again from the rankings, and `scaling_fits` asks what law a curve follows.
