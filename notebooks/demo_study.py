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
# The demo divides a bitext of fixed size between *high*-resource and *low*-resource languages. How does
# retrieval depend on the share of the low-resource languages, and on the objective that trains the student?
#
# This notebook trains nothing. It reads what the runs logged: W&B's own log files, which every run folder
# contains whether or not a server was reachable. `make demo` creates the sweep. Without it, this notebook
# first creates a smaller one in about a minute, with invented languages and a random encoder. The *procedure*
# is then the same, but the numbers say nothing about real languages.

# %%
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas
from IPython.display import Markdown, display

from optical_sweeps.curves.claims.claims_tables import claims_table
from optical_sweeps.curves.claims.pairwise_claims import claims_of_study
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
# ## What a run logs
#
# `read_offline` returns one `RunLog` per run: its configuration, its rows by optimiser step, its final values
# and its files. The service (`read_wandb`) and the records in the run folders (`read_records`) give the same,
# so the rest of this notebook does not depend on where a run was logged. If two sources disagree, one of them
# is damaged or has been changed.

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
# The table has one row per run, split, slice and measure. A *slice* is a language or a group of languages.
# `group:low` is the mean over its languages, each with the same weight, whatever its number of queries.
# Points that are missing from the product of all values are listed, so that a gap never goes unnoticed.

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
# The objective `none` is *zero-shot*: the student is the teacher without further training. It has no ratio
# and no seed. Distillation is useful only if it is better.
#
# ## Learning curves and diagnostics of the transport plan
#
# Left: nDCG@10 on dev during training, one line per run. Middle and right: two diagnostics of the plan by
# which the objective `optical` aligns tokens, averaged over a batch. **Entropy** measures how soft the
# alignment is: it is lower if each token has a clear partner. The **marginal error** measures whether the
# solver converged. Above the solver's tolerance (1e-6 by default for Sinkhorn), the plan does not move the
# mass that it should, and all later results are wrong.

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
# A point of a curve is a mean over seeds and queries. Both are samples, and other samples would give another
# mean. `Study` holds per-query scores and resamples both. Bands are 95% intervals. **With two seeds they say
# little about other seeds**, because two numbers say little about the variance (`docs/howto/curves.md` lists
# the measured coverage).

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
# Two systems can differ significantly although their bands overlap. The same queries are easy or hard for
# both, and this part of the uncertainty cancels in the difference. Differences therefore have their own,
# paired intervals. The next figure shows the gain of distillation over zero-shot.

# %%
display(gain_figure(study))

# %% [markdown]
# ## Is one objective better?
#
# There is one claim per slice and ratio, tested by randomisation over queries and corrected for their number
# (Holm). A claim has three possible outcomes: *higher* or *lower*; *equivalent*, if the interval of the
# difference lies within a margin that was chosen beforehand (here one point of nDCG); or neither, which means
# that these runs do not decide the question.
#
# The test generalises to other queries with **these** trained students. `test="crossed"` also generalises to
# other seeds; with two seeds it has hardly any power.

# %%
found = claims_of_study(study, [("optical", "contrastive")], margin=0.01, draws=2000)
display(Markdown(claims_table(found).render("markdown")))

# %% [markdown]
# ## Where does a difference come from?
#
# A mean does not show whether all queries gained a little or a few gained much. Each dot is a query of the
# low-resource languages. On the diagonal both systems found the answer equally well. A query has few relevant
# documents, so scores have few distinct values, and the dots are jittered.

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
# Next steps: `optical-sweeps report` writes the same as an HTML page with the text of every query,
# `optical-sweeps verify` recomputes all scores from the rankings, and the notebook `scaling_fits` fits laws to
# curves.
