"""The command line: help, version, old spellings, free text, Hydra's flags, tab completion."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from optical_sweeps import __version__
from optical_sweeps.commands.arguments import parse, parse_composed
from optical_sweeps.commands.config_help import settings_help
from optical_sweeps.commands.registry import COMMANDS
from optical_sweeps.sweeps.conf_folder import conf_folder
from tests.support.command_line import invoke

CONF = conf_folder()
SCRIPT = str(Path(sys.executable).with_name("optical-sweeps"))


def command(*arguments: str, cwd: Path, program: tuple[str, ...] = (SCRIPT,), **environment: str):
    return subprocess.run(
        [*program, *arguments],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def output(*arguments: str, cwd: Path, **options) -> str:
    """The output of a command that succeeds without a message on standard error."""
    done = command(*arguments, cwd=cwd, **options)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def completions(line: str, cwd: Path) -> list[str]:
    state = {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    return output("-sc", "query=bash", cwd=cwd, **state).split()


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_help_lists_every_command(arguments, tmp_path):
    text = output(*arguments, cwd=tmp_path)
    for name, command in COMMANDS.items():
        assert f"  {name} " in text
        assert command.summary in text
        assert f"  {command.examples[0]}" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_has_one_style(name, tmp_path):
    text = invoke(tmp_path, *name.split(), "--help").out
    assert text.startswith(f"usage: optical-sweeps {name}")
    assert all(f"  {example}\n" in text for example in COMMANDS[name].examples)
    assert ("settings, as key=value:\n" in text) == (COMMANDS[name].config not in (None, "teacher"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("sweep",), ("sweep", "-h"), ("sweep", "help")])
def test_help_of_the_sweep_commands(words, tmp_path):
    assert re.search("^  plan +list the runs of a grid", invoke(tmp_path, *words).out, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.module)
def test_examples_are_quoted_for_every_shell(command):
    """zsh expands a bare bracket as a file name pattern."""
    for example in command.examples:
        assert set("[]{}*?").isdisjoint(re.sub("'[^']*'", "", example))


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_parse(name):
    for example in COMMANDS[name].examples:
        words = shlex.split(example)[1 + len(name.split()) :]
        if COMMANDS[name].config is None:
            parse(name, words)
        else:
            given = parse_composed(name, words)
            OverridesParser.create().parse_overrides([word for word in given.hydra if word[0] != "-"])


@pytest.mark.parametrize(
    ("line", "renewed"),
    [
        ("status multirun/demo --all", "sweep status multirun/demo --all"),
        ("curves sweep=multirun/demo source=records", "curves multirun/demo source=records"),
        ("figures experiment=demo", "figures multirun/demo"),
        (
            "search run=multirun/demo/RUN k=3 query='été chat'",
            "search multirun/demo/RUN k=3 --query 'été chat'",
        ),
        ("search multirun/demo/RUN queries=FILE json=true", "search multirun/demo/RUN --queries FILE --json"),
        (
            """inspect run=RUN pair="'rote Katze'" english="'red cat'" """,
            "inspect RUN --pair 'rote Katze' --english 'red cat'",
        ),
        ("export run=RUN to=student", "export RUN to=student"),
        ("dashboard project=P group=G --dry-run", "dashboard --project P --group G --dry-run"),
        ("cache prune kind=teacher unfinished all", "cache prune --kind teacher --unfinished --all"),
    ],
)
def test_old_spellings_print_the_new_one(line, renewed, tmp_path):
    done = invoke(tmp_path, *shlex.split(line))
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: this is now spelled: optical-sweeps {renewed}\n"


TEXTS = (
    "été",
    "a=b",
    "run=RUN",
    "query=x",
    "1e3",
    "true",
    "${oc.env:HOME}",
    "'half open",
    "-x",
    "--help",
    "고양이",
    "قطة",
    "l'eau",
    "cats, dogs",
    "50% off #1",
    "{a: [b]}",
    "a\\b",
    "~x",
    "+x=1",
)
"""Texts that Hydra's override grammar or argparse would refuse or change."""


def test_a_setting_longer_than_a_file_name_is_a_setting():
    setting = f"pairs=[{','.join(f'[first{number},second{number}]' for number in range(30))}]"
    given = parse_composed("figures", ["multirun/demo", setting])
    assert (given.folder, given.hydra) == (Path("multirun/demo"), [setting])


@pytest.mark.parametrize("text", [*TEXTS, ""])
def test_free_text_never_reaches_hydra(text):
    given = parse_composed("search", ["multirun/demo/RUN", "--query", text, "k=3"])
    assert (given.folder, given.hydra) == (Path("multirun/demo/RUN"), ["k=3"])
    assert given.options == {"query": text, "queries": None, "as_json": False}
    given = parse_composed("inspect", ["--pair", text, "RUN", "--english", text, "-cd", "conf", "row=1"])
    assert given.options == {"pair": text, "english": text}
    assert (given.folder, given.hydra) == (Path("RUN"), ["-cd", "conf", "row=1"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("frob", "frob: no such command; the commands are train, teacher, evaluate"),
        ("sweep frob", "sweep frob: no such command; the commands are plan, submit, status"),
        ("sweep status", "sweep status: the following arguments are required: SWEEP"),
        ("sweep status a b", "sweep status: unrecognized arguments: b"),
        ("sweep status a --frob", "sweep status: unrecognized arguments: --frob"),
        ("sweep retry a --cause", "sweep retry: argument --cause: expected one argument"),
        ("sweep work a --task one", "sweep work: argument --task: invalid int value: 'one'"),
        ("verify", "verify: the following arguments are required: SWEEP"),
        ("search a b", "search: b follows a; name one folder"),
        ("search a --query", "search: argument --query: expected one argument"),
        ("cache frob", "cache: argument action: invalid choice: 'frob'"),
        ("warm-up now", "warm-up: unrecognized arguments: now"),
    ],
)
def test_a_command_line_that_cannot_be_parsed_exits_with_2(line, message, tmp_path):
    done = invoke(tmp_path, *line.split())
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {message}")
    assert done.err.count("\n") == 1


def test_version(tmp_path):
    assert output("--version", cwd=tmp_path) == f"optical-sweeps {__version__}\n"


def test_python_m_is_the_same_program(tmp_path):
    program = (sys.executable, "-m", "optical_sweeps")
    assert output("--help", cwd=tmp_path, program=program) == output("--help", cwd=tmp_path)


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.config])
def test_cfg_prints_the_config_without_a_run(name, tmp_path):
    config = yaml.safe_load(output(name, "--cfg", "job", cwd=tmp_path))
    assert config
    assert "hydra" not in config
    assert list(tmp_path.iterdir()) == []


def test_cfg_shows_overrides_and_groups(tmp_path):
    text = output("train", "--cfg", "job", "objective=contrastive", "mixture.ratio=0.25", cwd=tmp_path)
    config = yaml.safe_load(text)
    assert config["objective"]["_target_"].endswith("Contrastive")
    assert config["mixture"]["ratio"] == 0.25


def test_hydras_info_and_help(tmp_path):
    assert "Config search path" in output("train", "--info", cwd=tmp_path)
    text = output("train", "--help", cwd=tmp_path)
    assert re.search(r"^objective: .*contrastive.*none.*optical", text, re.MULTILINE)
    assert "optical-sweeps train --cfg job prints all settings." in text
    assert "ratio: 0.5" not in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["curves", "claims", "figures", "search", "evaluate", "inspect", "export"])
def test_help_of_a_small_config_lists_its_keys_with_their_meanings_and_its_groups(name):
    text = settings_help(CONF, name)
    settings, _, groups = text.partition("config groups, as group=OPTION:")
    own = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    for key in own.keys() - {"defaults", "hydra"}:
        assert f"\n  {key}=" in settings
    chosen = [
        entry for entry in own["defaults"] if isinstance(entry, dict) and "override" not in next(iter(entry))
    ]
    assert re.findall(r"^  (\S+?)=", groups, re.MULTILINE) == [next(iter(entry)) for entry in chosen]


def test_help_of_a_config_includes_that_of_the_configs_it_extends():
    text = settings_help(CONF, "figures")
    for words in ("source=offline ", "margin=0.01 ", "plans=1 ", "wandb: user or team; null: your default"):
        assert words in text
    assert "hydra" not in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("line", ["optical-sweeps ", "optical-sweeps cur"])
def test_tab_completes_commands(line, tmp_path):
    assert set(completions(line, tmp_path)) == {name.split()[0] for name in COMMANDS}


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("optical-sweeps train ", {"objective=", "mixture.", "seed="}),
        ("optical-sweeps train objective=", {"objective=optical", "objective=contrastive", "objective=none"}),
        ("optical-sweeps train seed=2 mixture.ra", {"mixture.ratio="}),
        ("optical-sweeps curves so", {"source="}),
        ("optical-sweeps evaluate spl", {"split="}),
        ("optical-sweeps curves multirun/demo so", {"source="}),
        ("optical-sweeps search RUN --query 'une tête' index=", {"index=int8", "index=float32"}),
        ("optical-sweeps search RUN --qu", {"--query", "--queries"}),
        ("optical-sweeps cache ", {"ls", "verify", "prune"}),
        ("optical-sweeps cache prune --", {"--kind", "--all", "--unfinished"}),
        ("optical-sweeps report multirun/demo --no", {"--no-texts"}),
        ("optical-sweeps report ", set()),
        ("optical-sweeps sweep ", {"plan", "status", "retry", "sync"}),
        ("optical-sweeps sweep pl", {"plan"}),
        ("optical-sweeps sweep plan mixture.ra", {"mixture.ratio="}),
        ("optical-sweeps sweep status ", set()),
    ],
)
def test_tab_completes_arguments(line, some, tmp_path):
    words = set(completions(line, tmp_path))
    assert some <= words
    assert bool(some) == bool(words)
    composes_runs = " train " in line or " plan " in line
    assert not any(word.startswith(("mixture", "objective")) for word in words) or composes_runs


def test_tab_completion_in_a_real_shell(tmp_path):
    """Source the printed script, and complete as readline does."""
    script = """
        eval "$(optical-sweeps -sc install=bash)"
        COMP_LINE='optical-sweeps train objective=con' COMP_POINT=34
        COMP_WORDS=(optical-sweeps train objective = con) COMP_CWORD=4
        "$(complete -p optical-sweeps | grep -oP '(?<=-F )\\S+')"
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    path = f"{Path(SCRIPT).parent}{os.pathsep}{os.environ['PATH']}"
    done = command("-c", script, cwd=tmp_path, program=("bash",), PATH=path)
    assert "contrastive" in done.stdout, done.stderr
    assert "optical-sweeps train" not in done.stdout
