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
# # Scaling fits, and how far to trust them
#
# "nDCG grows as a power of the number of training pairs" is a law with three parameters, and a law is easily
# drawn through any four points. This notebook fits laws to simulated studies, whose truth is known. It asks
# each time what the data determine, what they do not determine, and whether the software says so.
#
# Laws describe **error**, $1 - \mathrm{nDCG}$, so that objectives can be compared. Most examples below use
#
# $$1 - \mathrm{nDCG}(D) = (B / D)^\beta + \delta$$
#
# with $D$ pairs of bitext, a scale $B$, an exponent $\beta$, and a floor $\delta$: the error that remains
# with any amount of such data (Fang et al., arXiv 2403.18684, find this form in dense retrieval).

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas
from IPython.display import Markdown, display

from optical_sweeps.curves.laws.equations import LAWS
from optical_sweeps.curves.laws.fitted_curve import FittedCurve, fit_curve
from optical_sweeps.curves.laws.law_selection import choose_law
from optical_sweeps.curves.laws.law_tables import choices_table, fits_table
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.errors import UserError

# %matplotlib inline

# %%
TRUTH = {"B": 150.0, "beta": 0.55, "delta": 0.42}
BUDGETS = (500, 1000, 2000, 4000, 8000, 16000)


def simulated(budgets=BUDGETS, seeds=3, queries=200, law="power_offset", truth=TRUTH, draw=0) -> Study:
    """A study whose mean error follows a law, with the scatter that real ones have.

    A query is easy or hard everywhere (standard deviation .15), a run is a little better or worse than its
    twin of another seed (.004), and the rest is noise of a single score (.05).
    """
    chance = np.random.default_rng(draw)
    error = LAWS[law].evaluate(truth, {"D": np.array(budgets, dtype=float)})
    of_query = chance.normal(0, 0.15, queries)
    rows = [
        (f"{budget}-{seed}", "optical", budget, seed, "ar", f"q{q}", score)
        for budget, mean in zip(budgets, 1 - error, strict=True)
        for seed in range(seeds)
        for q, score in enumerate(
            mean + of_query - of_query.mean() + chance.normal(0, 0.004) + chance.normal(0, 0.05, queries)
        )
    ]
    names = ["run", "objective", "total", "seed", "language", "query_id", "value"]
    table = pandas.DataFrame(rows, columns=names).assign(split="test", measure="nDCG@10")
    return Study(table, {}, x="total", replicates=200)


# %% [markdown]
# ## A law that the data determine
#
# There are six budgets, each twice the previous one, and three seeds. The fit is robust (an outlier changes
# it little) and starts from 64 points. Intervals come from fits to resampled studies, with other queries and
# other seeds.

# %%
study = simulated()
fitted = fit_curve(study, "optical", "ar", "power_offset", replicates=300)
display(Markdown(fits_table([fitted]).render("markdown")))
print("truth:", TRUTH)


def draw(panel: plt.Axes, study: Study, fitted: FittedCurve, reach: float, colour: str = "#0072B2") -> None:
    """Points, the fitted law and its interval, and the truth as far as `reach`."""
    points = study.curve("optical", "ar")
    x = np.geomspace(points.x.min(), reach, 60)
    band = fitted.predict({"D": x}, x)
    panel.fill_between(x, band.low, band.high, color=colour, alpha=0.2, linewidth=0)
    panel.plot(x, band.mean, color=colour, linewidth=1.2, label=fitted.law.name)
    panel.plot(points.x, points.mean, "o", color="black", markersize=3)
    panel.set(xscale="log", xlabel="pairs", ylabel="nDCG@10")


def true_curve(x: np.ndarray) -> np.ndarray:
    return 1 - LAWS["power_offset"].evaluate(TRUTH, {"D": x})


figure, panel = plt.subplots(figsize=(5, 3), layout="constrained")
draw(panel, study, fitted, reach=64_000)
x = np.geomspace(500, 64_000, 60)
panel.plot(x, true_curve(x), ":", color="#D55E00", label="truth")
panel.axvspan(16_000, 64_000, color="#F0F0F0", zorder=0)
panel.legend(frameon=False)
plt.show()

# %% [markdown]
# Most of the band comes from the sample of queries: other queries would move all points together. Beyond the
# last point (grey), the uncertainty of $\beta$ and $\delta$ is added. An interval covers the variance of
# runs and queries **under this law**. No interval can say whether the law still holds at 64,000 pairs.
#
# ## Parameters are less certain than curves
#
# Each dot is a fit to a resampled study. A smaller exponent comes with a lower floor, and both curves pass
# through the same points. Therefore do not compare two objectives by their exponents alone. Compare
# predictions, or their difference.

# %%
names = fitted.law.parameter_names
beta, delta = (fitted.parameters[:, names.index(name)] for name in ("beta", "delta"))
figure, panel = plt.subplots(figsize=(3.6, 3), layout="constrained")
panel.plot(beta, delta, ".", markersize=3, alpha=0.5)
panel.plot(TRUTH["beta"], TRUTH["delta"], "X", color="#D55E00", markersize=9, label="truth")
panel.set(xlabel="beta", ylabel="delta")
panel.legend(frameon=False)
plt.show()
print(f"correlation of beta and delta over refits: {np.corrcoef(beta, delta)[0, 1]:.2f}")

# %% [markdown]
# ## Laws that the data do not determine
#
# Three common cases in the literature: as many points as parameters, all budgets within a factor of two, and
# no trend at all. The fit then **interpolates**, says why it is in doubt, and refuses to extrapolate.

# %%
doubtful = {
    "three budgets": simulated(budgets=(1000, 4000, 16000)),
    "all within a factor of two": simulated(budgets=(4000, 4800, 5600, 6400, 7200, 8000)),
    "no trend": simulated(truth={**TRUTH, "B": 1e-9}),
}
for title, one in doubtful.items():
    try:
        fit = fit_curve(one, "optical", "ar", "power_offset", replicates=200)
    except UserError as error:
        print(f"{title}: refused: {error}\n")
        continue
    low, high = fit.interval("beta")
    print(f"{title}: determined: {fit.fit.determined}; beta {low:.2g} to {high:.2g} (truth {TRUTH['beta']})")
    for doubt in fit.fit.doubts:
        print(f"  {doubt}")
    try:
        fit.predict({"D": np.array([64_000.0])}, 64_000)
    except UserError as error:
        print(f"  asked for 64,000 pairs: {error}")
    print()

# %% [markdown]
# ## Which law?
#
# Laws with more parameters always fit better. Laws are therefore compared by their predictions for budgets
# that they have *not* seen: each budget is left out in turn. Among the laws within one standard error of the
# best, the simplest is chosen. `constant`, which means no effect, always competes.

# %%
contenders = ["power", "power_offset", "saturating"]
choices = {("optical", "power law with a floor"): choose_law(study, "optical", "ar", contenders)}
saturating = simulated(law="saturating", truth={"k": 0.3, "T": 3000.0, "delta": 0.42}, draw=1)
choices["optical", "exponential saturation"] = choose_law(saturating, "optical", "ar", contenders)
flat = simulated(truth={**TRUTH, "B": 1e-9}, draw=2)
choices["optical", "nothing happens"] = choose_law(flat, "optical", "ar", contenders)
display(Markdown(choices_table(choices).render("markdown")))

# %% [markdown]
# The second column is the truth. The held-out error also shows whether any of the laws is good: compare it
# with the standard deviation of a run, here 0.4 points.
#
# ## Why seeds matter
#
# The same budgets with one, two, three and five seeds. With one seed, the variance between runs is estimated
# from the distance of the points to the law: if the law is wrong, so is the interval. Two seeds estimate it
# from pairs of numbers, and their intervals have heavy tails. Three seeds are the smallest number that passes
# this project's coverage tests (`docs/howto/curves.md`).

# %%
rows = {}
for seeds in (1, 2, 3, 5):
    one = fit_curve(simulated(seeds=seeds, draw=3), "optical", "ar", "power_offset", replicates=200)
    rows[seeds] = {name: "{:.3g} to {:.3g}".format(*one.interval(name)) for name in one.law.parameter_names} | {
        "determined": one.fit.determined
    }
display(pandas.DataFrame(rows).T.rename_axis("seeds"))
print("truth:", TRUTH)

# %% [markdown]
# ## Coverage
#
# A 95% interval should contain the truth in 95 of 100 studies. Twenty studies illustrate this.
# `python benchmarks/curves.py` simulates 500 for every law; `docs/howto/curves.md` reports the results.

# %%
figure, panel = plt.subplots(figsize=(5, 3), layout="constrained")
held = 0
for number in range(20):
    one = fit_curve(simulated(draw=100 + number), "optical", "ar", "power_offset", replicates=100)
    low, high = one.interval("beta")
    inside = low <= TRUTH["beta"] <= high
    held += inside
    panel.plot([low, high], [number, number], color="#0072B2" if inside else "#D55E00", linewidth=1.5)
panel.axvline(TRUTH["beta"], color="black", linewidth=0.8)
panel.set(xlabel="beta", ylabel="study", yticks=[])
plt.show()
print(f"{held} of 20 intervals hold the true exponent")

# %% [markdown]
# To use your own sweep over `mixture.total`, replace `simulated()` by
#
# ```python
# runs = read_offline(Path("multirun/mine"))
# study = Study(per_query_table(runs), language_groups(runs), x="total")
# fit_curve(study, "optical", "group:low", "power_offset")
# ```
#
# Along the *ratio* of a fixed budget, laws depend on the slice's own share of the pairs (`data_mixture`,
# `mixing` and `share` in `docs/howto/curves.md`).
