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
# # The transport plan, on real sentence pairs
#
# The objective `optical` (Huang, Yu and Allan, WSDM 2023) pulls each token of a sentence towards tokens of its
# English translation. Optimal transport decides which ones, without a dictionary. It computes the cost of
# matching every token with every other, and finds the matching of all tokens **together** that costs least.
# This notebook shows such plans for names of emoji in several languages, encoded by multilingual-e5-small,
# offline.
#
# Let $C_{ij} = 1 - \cos(s_i, t_j)$ be the cost of matching token $i$ of the student's text with token $j$ of
# the teacher's. A **plan** is a table $P_{ij} \ge 0$: the mass that goes from token $i$ to token $j$. Its rows
# and columns must sum to given **marginals**, here uniform ones, $\sum_j P_{ij} = 1/n$ and
# $\sum_i P_{ij} = 1/m$: every token of a side has the same weight, and no token may be left out. The exact plan
# minimises $\langle P, C\rangle$. Sinkhorn's plan minimises $\langle P, C\rangle - \varepsilon H(P)$. It is
# softer, and faster to compute on a GPU.

# %%
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import pandas
import torch
from IPython.display import Image, display

from optical_sweeps.corpora.builders.emoji import EmojiCorpus
from optical_sweeps.curves.figures.plan_figure import draw_plan
from optical_sweeps.encoders.e5_backbone import E5SmallOffline
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.transport import Exact, Sinkhorn, TransportProblem, aligned_pairs

# %matplotlib inline
warnings.filterwarnings("ignore", message="IProgress not found")  # a progress bar's, which is not shown here

# %% [markdown]
# ## Token vectors
#
# The encoder is that of the demo before training: four layers of multilingual-e5-small and a random
# orthonormal projection, which approximately preserves cosines. The prefix (`query: `) and the special tokens
# are left out.

# %%
LANGUAGES = ("de", "es", "tr", "ja", "ar")
corpus = EmojiCorpus()
bitexts = {language: corpus.bitext(language) for language in LANGUAGES}
texts = [text for bitext in bitexts.values() for text in (*bitext.english, *bitext.translations)]
backbone = E5SmallOffline(single_characters=False).build(texts)
encoder = TokenEncoder(backbone, TokenEncoderSettings(dim=256)).eval()


def tokens_of(text: str, side: str) -> list[str]:
    """The tokens that take part, as a reader would write them (▁: a blank before)."""
    cut = encoder.tokenize_texts([text], side)
    return [str(token) for token in encoder.tokenizer.convert_ids_to_tokens(cut.ids[cut.mask].tolist())]


def cost_of(student: str, teacher: str) -> torch.Tensor:
    """1 - cos of every token of one text with every token of the other."""
    (s,), (t,) = (encoder.encode([text], side) for text, side in ((student, "query"), (teacher, "document")))
    return torch.tensor(1 - s @ t.T).double()


def pair_of(language: str, english: str) -> tuple[str, str]:
    """(name in the language, English name)."""
    bitext = bitexts[language]
    return bitext.translations[bitext.english.index(english)], english


EXAMPLES = [name for name in bitexts["de"].english if 3 <= len(name.split()) <= 5]
print(len(EXAMPLES), "names of three to five words, such as", EXAMPLES[:4])

# %% [markdown]
# ## Three plans of one pair
#
# Rows are tokens of the German name, columns tokens of the English one. From left to right: the cost, the exact
# plan, and Sinkhorn's plan with two regularisations. The exact plan is a *vertex* of the set of all plans: at
# most $n + m - 1$ cells are filled. If the sides differ in length, the marginals require that a token is
# divided. This is how a German compound is matched with several English words.

# %%
NAME = "man and woman holding hands" if "man and woman holding hands" in EXAMPLES else EXAMPLES[0]
german, english = pair_of("de", NAME)
cost = cost_of(german, english)
problem = TransportProblem.uniform(cost[None])
plans = {
    "exact": Exact()(problem),
    "Sinkhorn, eps 0.02": Sinkhorn(epsilon=0.02)(problem),
    "Sinkhorn, eps 0.2": Sinkhorn(epsilon=0.2)(problem),
}


def draw(panel: plt.Axes, matrix: torch.Tensor, title: str, student: list[str], teacher: list[str]) -> None:
    """A table of numbers as shades of blue."""
    panel.imshow(matrix, cmap="Blues", vmin=0, aspect="auto")
    panel.set_xticks(range(len(teacher)), teacher, rotation=60, ha="right", fontsize=8)
    panel.set_yticks(range(len(student)), student, fontsize=8)
    panel.set_title(title, fontsize=9)


figure, panels = plt.subplots(1, 4, figsize=(12, 3.2), layout="constrained", sharey=True)
names = tokens_of(german, "query"), tokens_of(english, "document")
draw(panels[0], cost, "cost 1 - cos", *names)
for panel, (title, plan) in zip(panels[1:], plans.items(), strict=True):
    draw(panel, plan.matrix[0], title, *names)
plt.show()
print(f"{german}  =  {english}")

# %% [markdown]
# A larger $\varepsilon$ spreads every token over all others, until the plan is the product of the marginals
# and contains no information. A small one approaches the exact plan and needs more iterations. The table shows
# the cost of each plan, its entropy, and its marginal error:

# %%
display(
    pandas.DataFrame(
        {
            title: {
                "cost <P, C>": plan.cost.item(),
                "entropy (nats)": plan.entropy.item(),
                "marginal error": plan.marginal_error.item(),
                "iterations": plan.iterations.item(),
                "filled cells": int((plan.matrix > 1e-6).sum()),
            }
            for title, plan in plans.items()
        }
    ).T.round(6)
)
print("row sums of the exact plan:", [round(value, 4) for value in plans["exact"].matrix[0].sum(1).tolist()])
print("uniform marginal:          ", round(1 / len(names[0]), 4))

# %% [markdown]
# ## What $\varepsilon$ does
#
# Solid: the cost of the plan minus that of the exact plan. Dashed: its entropy, between that of the exact plan
# and that of the product of the marginals, $\log nm$, which contains no information. **$\varepsilon$ has the
# unit of the cost**: if all cosines of the encoder lie within 0.1 of each other, 0.05 is large. The setting
# `epsilon_relative_to: std`, the default of `conf/transport/sinkhorn.yaml`, therefore measures it in standard
# deviations of the costs.

# %%
grid = torch.logspace(-2.3, 0, 14).tolist()
swept = [Sinkhorn(epsilon=epsilon, max_iterations=20_000)(problem) for epsilon in grid]
exact = plans["exact"]
most = torch.log(torch.tensor(float(cost.numel()))).item()

figure, panel = plt.subplots(figsize=(5, 3), layout="constrained")
panel.plot(grid, [plan.cost.item() - exact.cost.item() for plan in swept], "o-", color="#0072B2", markersize=3)
panel.set(xscale="log", xlabel="eps", ylabel="cost above the exact plan's")
right = panel.twinx()
right.plot(grid, [plan.entropy.item() for plan in swept], "s--", color="#D55E00", markersize=3)
right.axhline(most, color="#999999", linewidth=0.8)
right.axhline(exact.entropy.item(), color="#999999", linewidth=0.8)
right.set(ylabel="entropy (nats)")
panel.axvline(0.05, color="#CCCCCC", linewidth=0.8)
plt.show()
spread = cost.std().item()
print(f"costs of this pair: {cost.min():.3f} to {cost.max():.3f}, standard deviation {spread:.3f}")
print(f"eps 0.05 is {0.05 / spread:.2f} of it")

# %% [markdown]
# ## The same name in five languages
#
# The encoder was pretrained on all these languages, but was never taught an alignment. The plans are exact,
# and the tokens of each language are matched with the same English ones. Word order differs, but has no
# effect, because a plan ignores order. A plan cannot leave a token out: a particle without a counterpart must
# still send its mass somewhere (`Partial` and `Unbalanced` plans can leave it behind). Letters that no font
# on this machine has are romanised.

# %%
rows = {}
with TemporaryDirectory() as folder:
    for language in LANGUAGES:
        text, _ = pair_of(language, NAME)
        plan = Exact()(TransportProblem.uniform(cost_of(text, english)[None]))
        student, teacher = tokens_of(text, "query"), tokens_of(english, "document")
        stem = Path(folder, language)
        _, picture = draw_plan(plan.matrix[0].numpy(), student, teacher, stem, f"{language}: {text}")
        display(Image(filename=str(picture), width=380))
        pairs = sorted(aligned_pairs(plan, 0))
        rows[language] = {"name": text, "alignment": "  ".join(f"{student[i]}~{teacher[j]}" for i, j in pairs)}
with pandas.option_context("display.max_colwidth", None):
    display(pandas.DataFrame(rows).T)

# %% [markdown]
# ## Does a plan find translations?
#
# As a numerical check, take 100 English names and one language, and find the English name that is nearest to
# each translation by the cost of its exact plan. If transport over tokens carried no meaning, 1 in 100 would be
# correct. For comparison, the table also shows MaxSim, the score used in retrieval, where each token takes its
# best partner even if another token has taken it already.

# %%
SIZE = 100
found = {}
for language in LANGUAGES:
    bitext = bitexts[language]
    student = encoder.encode(bitext.translations[:SIZE], "query")
    teacher = encoder.encode(bitext.english[:SIZE], "document")
    right = {"plan": 0, "MaxSim": 0}
    widths = max(len(student[i]) for i in range(SIZE)), max(len(teacher[i]) for i in range(SIZE))
    for i in range(SIZE):
        costs = torch.full((SIZE, len(student[i]), widths[1]), float("nan"))
        lengths = torch.tensor([len(teacher[j]) for j in range(SIZE)])
        for j in range(SIZE):
            costs[j, :, : lengths[j]] = torch.tensor(1 - student[i] @ teacher[j].T)
        everything = TransportProblem.from_lengths(costs, torch.full((SIZE,), len(student[i])), lengths)
        right["plan"] += int(Exact()(everything).cost.argmin() == i)
        right["MaxSim"] += int(costs.nan_to_num(9).amin(2).mean(1).argmin() == i)
    found[language] = {name: f"{count / SIZE:.0%}" for name, count in right.items()}
display(pandas.DataFrame(found).T)

# %% [markdown]
# This is the encoder **before** distillation. The objective turns the plan into a loss: with $P$ held constant,
# $\langle P, C\rangle$ falls as matched tokens move closer together, which in turn changes the next plan.
# `docs/concepts/objectives.md` lists what the paper leaves open (what is centred, what is differentiated), and
# `docs/concepts/transport.md` describes the solvers.
