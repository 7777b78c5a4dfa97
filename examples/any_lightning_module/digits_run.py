"""The module of digits_module.py as a run of a resumable sweep; `run_type` of digits.yaml names `DigitsRun`."""

from collections.abc import Mapping

import lightning
import pandas
from digits_module import Classifier, split_digits
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from optical_sweeps.interruption import Interruption
from optical_sweeps.runs.run import Run
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.settings import build
from optical_sweeps.tracking.wandb_run import tracker_for


class DigitsRun(Run):
    """Trains a classifier, measures the accuracy of every class, and logs both to W&B."""

    label_keys = ("objective.name", "mixture.ratio", "seed")

    def facts(self) -> Mapping[str, object]:
        return {name: self.config[name] for name in ("objective", "languages", "mixture", "training", "seed")}

    @property
    def label(self) -> str:
        ratio, seed = self.config["mixture"]["ratio"], self.config["seed"]
        return f"{self.config['objective']['name']} ratio={ratio:g} seed={seed}"

    def work(self, folder: RunFolder, interruption: Interruption) -> Mapping[str, object]:
        names = {"run_id": self.id, "group": self.sweep.name, "job_type": "train", "name": self.label}
        tracker = tracker_for(build("logger", self.config["logger"]))
        tracker.start(**names, config=self.config, folder=folder.path)
        lightning.seed_everything(self.config["seed"], verbose=False)
        ratio, images = self.config["mixture"]["ratio"], self.config["mixture"]["per_class"]
        groups = self.config["languages"]
        counts = dict.fromkeys(groups["high"], images) | dict.fromkeys(groups["low"], int(ratio * images))
        train, test = split_digits(counts)
        module = Classifier(self.config["objective"]["name"], self.config["training"]["learning_rate"])
        try:
            self.fit(module, DataLoader(train, batch_size=32), folder, interruption)
        except BaseException:
            tracker.finish(exit_code=1)
            raise
        correct = (module.linear(test.tensors[0]).argmax(1) == test.tensors[1]).double()
        table = pandas.DataFrame({"split": "test", "language": test.tensors[1].numpy().astype(str),
                                  "query_id": [f"image{number}" for number in range(len(correct))],
                                  "measure": "accuracy", "value": correct.numpy()})  # fmt: skip
        table.to_parquet(folder.path / "per_query.parquet", index=False)  # for the intervals of the curves
        accuracy = table.groupby("language")["value"].mean()
        scores = accuracy.to_dict() | {
            f"group:{name}": accuracy[group].mean() for name, group in groups.items()
        }
        scores["group:all"] = accuracy.mean()
        summary = {f"test/accuracy/{name}": score for name, score in scores.items()}
        tracker.finish(summary, files=[folder.path / "per_query.parquet"])
        return {"measures": {"test": {"accuracy": scores}}}

    def fit(self, module: Classifier, data: DataLoader, folder: RunFolder, interruption: Interruption) -> None:
        checkpoints = folder.path / "checkpoints"
        callbacks = [ModelCheckpoint(checkpoints, save_last=True), StopWhenInterrupted(interruption)]
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        epochs = self.config["training"]["epochs"]
        trainer = lightning.Trainer(accelerator="cpu", max_epochs=epochs, callbacks=callbacks, **quiet)
        last = checkpoints / "last.ckpt"
        trainer.fit(module, data, ckpt_path=last if last.exists() else None)


class StopWhenInterrupted(lightning.Callback):
    """Stops between two epochs; the next call resumes from the checkpoint of the last epoch."""

    def __init__(self, interruption: Interruption) -> None:
        self.interruption = interruption

    def on_train_start(self, trainer, module):
        self.interruption.listen()  # Lightning has installed its own signal handlers

    def on_train_epoch_start(self, trainer, module):
        self.interruption.check()
