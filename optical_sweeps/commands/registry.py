"""The commands of `optical-sweeps`: their modules, summaries and examples."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Command:
    """A command and the module in `optical_sweeps.commands` that implements it.

    A module may define `add_arguments(parser)`. Its `run` receives the parsed arguments as keyword arguments,
    and the composed config first where `config` is set.

    Args:
        module: name of the module.
        summary: one line for the list of commands.
        examples: complete command lines.
        details: further paragraphs of `--help`.
        config: name of the root config that Hydra composes; None for a command without a config.
        folder: what the optional first argument of a command with a config names.
    """

    module: str
    summary: str
    examples: tuple[str, ...]
    details: str = ""
    config: str | None = None
    folder: Literal["sweep", "run"] | None = None


COMMANDS = {
    "train": Command(
        "train",
        "distil, search and evaluate: one run, or a sweep with -m",
        (
            "optical-sweeps train objective=optical mixture.ratio=0.5",
            "optical-sweeps train -m objective=optical,contrastive mixture.ratio=0,0.5,1",
        ),
        config="train",
    ),
    "teacher": Command(
        "teacher",
        "build what runs share: teacher and document index",
        ("optical-sweeps teacher teacher.training.epochs=10",),
        config="teacher",
    ),
    "evaluate": Command(
        "evaluate",
        "search and evaluate with the student of a finished run",
        (
            "optical-sweeps evaluate multirun/demo/0123456789ab split=test",
            "optical-sweeps evaluate checkpoint=DIR data=emoji index=int8",
        ),
        config="evaluate",
        folder="run",
    ),
    "search": Command(
        "search",
        "show the passages and matched tokens that a student finds for a query",
        (
            "optical-sweeps search multirun/demo/0123456789ab --query 'lachende Katze' k=5",
            "optical-sweeps search multirun/demo/0123456789ab --queries topics.tsv --json",
        ),
        config="search",
        folder="run",
    ),
    "inspect": Command(
        "inspect",
        "show a pair's transport plan, alignment error, and statistics of an encoder's vectors",
        (
            "optical-sweeps inspect multirun/demo/0123456789ab language=de row=7",
            "optical-sweeps inspect multirun/demo/0123456789ab --pair 'rote Katze' --english 'red cat'",
            "optical-sweeps inspect multirun/demo/0123456789ab alignment=true report=true",
        ),
        config="inspect",
        folder="run",
    ),
    "export": Command(
        "export",
        "write a student or a teacher as a folder for transformers or PyLate",
        (
            "optical-sweeps export multirun/demo/0123456789ab to=student format=huggingface",
            "optical-sweeps export checkpoint=artifacts/teacher/KEY to=teacher",
        ),
        config="export",
        folder="run",
    ),
    "compare": Command(
        "compare",
        "tabulate systems by languages: trained students, BM25, translated queries, PSQ",
        ("optical-sweeps compare experiment=demo 'systems=[bm25_untranslated,psq,zero_shot,optical]'",),
        config="compare",
    ),
    "tune": Command(
        "tune",
        "search the settings of every objective of a study with equal effort, on dev",
        (
            "optical-sweeps tune experiment=demo",
            "optical-sweeps tune experiment=demo 'tuning.objectives=[mse]' tuning.trials=16",
        ),
        "Trials are ordinary runs of the sweep <sweep.name>_tuning. Run the same command again to continue,\n"
        "or in several processes at once to share the trials. A sweep takes the result with tuned=FOLDER.",
    ),
    "sweep plan": Command(
        "sweep_plan",
        "list the runs of a grid, their states and their estimated cost; run nothing",
        ("optical-sweeps sweep plan objective=optical mixture.ratio=0,0.5,1 sweep.name=mine",),
    ),
    "sweep submit": Command(
        "sweep_submit",
        "submit the missing runs of a grid to Slurm, and return",
        ("optical-sweeps sweep submit experiment=demo hydra/launcher=slurm_gpu",),
    ),
    "sweep status": Command(
        "sweep_status",
        "show the state of every run of a sweep",
        ("optical-sweeps sweep status multirun/demo --map",),
    ),
    "sweep retry": Command(
        "sweep_retry",
        "run failed runs again, here or in Slurm if the sweep was submitted",
        (
            "optical-sweeps sweep retry multirun/demo --cause memory",
            "optical-sweeps sweep retry multirun/demo --run 0123456789ab --here",
        ),
    ),
    "sweep cancel": Command(
        "sweep_cancel",
        "remove runs from Slurm's queue",
        ("optical-sweeps sweep cancel multirun/demo --run 0123456789ab",),
    ),
    "sweep logs": Command(
        "sweep_logs",
        "print the log of a run, and why it failed",
        ("optical-sweeps sweep logs multirun/demo/0123456789ab --follow",),
    ),
    "sweep sync": Command(
        "sweep_sync",
        "upload the finished runs that W&B logged offline",
        ("optical-sweeps sweep sync multirun/demo",),
    ),
    "sweep work": Command(
        "sweep_work",
        "execute one task of a submission; only Slurm jobs call it",
        ("optical-sweeps sweep work multirun/demo/submissions/1 --task 0",),
    ),
    "curves": Command(
        "curves",
        "write nDCG@10 curves and tables of a sweep from its W&B logs",
        (
            "optical-sweeps curves multirun/demo",
            "optical-sweeps curves source=wandb project=optical-sweeps group=demo",
        ),
        config="curves",
        folder="sweep",
    ),
    "claims": Command(
        "claims",
        "test differences, equivalences and crossings between objectives",
        (
            "optical-sweeps claims multirun/demo",
            "optical-sweeps claims multirun/demo 'pairs=[[optical,contrastive]]' margin=0.02",
        ),
        config="claims",
        folder="sweep",
    ),
    "figures": Command(
        "figures",
        "write every figure and table of a study at paper size",
        ("optical-sweeps figures multirun/demo widths.column=3.33 widths.text=7.0",),
        config="figures",
        folder="sweep",
    ),
    "report": Command(
        "report",
        "write a sweep as one HTML page: curves, runs, queries, settings",
        ("optical-sweeps report multirun/demo", "optical-sweeps report multirun/demo --output page.html"),
    ),
    "dashboard": Command(
        "dashboard",
        "create or update the W&B workspace and report of a sweep",
        (
            "optical-sweeps dashboard multirun/demo --dry-run",
            "optical-sweeps dashboard --project optical-sweeps --group demo",
        ),
        "With a folder, the content comes from the logs in that folder; otherwise from W&B.\n"
        "Each sweep has one workspace and one report: saving again replaces their content.",
    ),
    "verify": Command(
        "verify",
        "recompute the scores of a sweep from its run files and compare them with its logs",
        (
            "optical-sweeps verify multirun/demo",
            "optical-sweeps verify multirun/check --expected conf/expected_demo.yaml",
        ),
        "Scores are recomputed from runs/*.trec.gz and the relevance judgements, and compared with\n"
        "record.json, per_query.parquet and W&B's offline log. Each comparison is OK, close or FAIL.\n"
        "The exit code is 1 if a comparison fails.",
    ),
    "cache": Command(
        "cache",
        "list, verify or prune the artifact store",
        (
            "optical-sweeps cache ls",
            "optical-sweeps cache verify artifacts --kind index",
            "optical-sweeps cache prune --unfinished",
        ),
        "`prune` removes broken entries and the remains of killed builds. With --kind or --all it also\n"
        "removes sound entries.",
    ),
    "warm-up": Command(
        "warm_up",
        "compile the kernels of measures and transport, once per environment",
        ("optical-sweeps warm-up",),
    ),
}
