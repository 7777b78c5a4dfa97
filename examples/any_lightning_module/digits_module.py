"""An ordinary Lightning module on scikit-learn's digits; it knows nothing of sweeps."""

from collections.abc import Mapping

import lightning
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy, mse_loss, one_hot
from torch.utils.data import TensorDataset


class Classifier(lightning.LightningModule):
    """Logistic regression on images of 8 x 8 pixels."""

    def __init__(self, objective: str, learning_rate: float) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(64, 10)
        self.objective, self.learning_rate = objective, learning_rate

    def training_step(self, batch, _):
        images, labels = batch
        scores = self.linear(images)
        if self.objective == "cross_entropy":
            return cross_entropy(scores, labels)
        return mse_loss(scores, one_hot(labels, 10).float())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.learning_rate)


def split_digits(counts: Mapping[str, int]) -> tuple[TensorDataset, TensorDataset]:
    """Training images, as many of each class as `counts` says, and every third image for testing."""
    digits = load_digits()
    images, labels = torch.tensor(digits.data).float() / 16, torch.tensor(digits.target)
    is_test = torch.arange(len(labels)) % 3 == 0
    rows = [torch.nonzero((labels == int(name)) & ~is_test)[:count, 0] for name, count in counts.items()]
    train = torch.cat(rows)[torch.randperm(sum(map(len, rows)))]
    return TensorDataset(images[train], labels[train]), TensorDataset(images[is_test], labels[is_test])
