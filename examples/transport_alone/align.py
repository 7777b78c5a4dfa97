"""Align the words of two sentences by optimal transport; words are bags of letter pairs."""

import torch

from optical_sweeps.transport import Exact, Partial, Sinkhorn, TransportPlan, TransportProblem, aligned_pairs

ENGLISH = ["the", "museum", "presents", "modern", "music", "in", "september"]
ITALIAN = ["in", "settembre", "il", "museo", "presenta", "musica", "moderna"]


def word_vector(word: str, size: int = 512) -> torch.Tensor:
    """A unit vector that counts the letter pairs of a word."""
    vector = torch.zeros(size)
    for first, second in zip(f"_{word}", f"{word}_", strict=True):
        vector[(ord(first) * 31 + ord(second)) % size] += 1
    return vector / vector.norm()


def links(plan: TransportPlan) -> list[str]:
    """The words that a plan aligns, strongest link first."""
    pairs = [(plan.matrix[0, i, j].item(), i, j) for i, j in aligned_pairs(plan, 0)]
    return [f"{ENGLISH[i]} - {ITALIAN[j]} ({mass:.3f})" for mass, i, j in sorted(pairs, reverse=True)]


def main() -> None:
    source = torch.stack([word_vector(word) for word in ENGLISH])
    target = torch.stack([word_vector(word) for word in ITALIAN])
    cost = (1 - source @ target.T).unsqueeze(0)  # one problem: 7 x 7
    problem = TransportProblem.uniform(cost)
    solvers = {"exact": Exact(), "entropic": Sinkhorn(epsilon=0.2), "partial, 60%": Partial(mass=0.6)}
    for name, solver in solvers.items():
        plan = solver(problem)
        print(f"{name}: cost {plan.cost.item():.3f}")
        for link in links(plan):
            print(f"  {link}")


if __name__ == "__main__":
    main()
