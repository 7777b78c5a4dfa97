"""The command as a person starts it: help, version, what Hydra gives, tab completion."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from optical_sweeps import __version__
from optical_sweeps.cli import VERBS

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
    """What a command prints that ends well and complains about nothing."""
    done = command(*arguments, cwd=cwd, **options)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def completions(line: str, cwd: Path) -> list[str]:
    asked = {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    return output("-sc", "query=bash", cwd=cwd, **asked).split()


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_help_names_every_verb(arguments, tmp_path):
    text = output(*arguments, cwd=tmp_path)
    for name, verb in VERBS.items():
        assert f"  {name} " in text
        assert verb.summary in text
        assert f"  {verb.example}" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if verb.config is None])
def test_help_of_a_verb_without_a_config_is_its_usage(verb, flag, tmp_path):
    first = output(verb, flag, cwd=tmp_path).splitlines()[0]
    assert re.search(rf"optical-sweeps (sweep )?{verb}\b", first)
    assert list(tmp_path.iterdir()) == []


def test_examples_are_quoted_for_every_shell():
    """zsh takes a bare bracket for a pattern of file names."""
    for verb in VERBS.values():
        assert set("[]{}*?").isdisjoint(re.sub("'[^']*'", "", verb.example))


def test_version(tmp_path):
    assert output("--version", cwd=tmp_path) == f"optical-sweeps {__version__}\n"


def test_python_m_is_the_same_program(tmp_path):
    program = (sys.executable, "-m", "optical_sweeps")
    assert output("--help", cwd=tmp_path, program=program) == output("--help", cwd=tmp_path)


def test_help_and_version_import_nothing_heavy(tmp_path):
    """What makes them answer within a second."""
    program = (sys.executable, "-X", "importtime", "-m", "optical_sweeps")
    told = command("--help", cwd=tmp_path, program=program)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in told.stderr.splitlines()}
    assert "optical_sweeps" in imported
    assert imported.isdisjoint({"torch", "transformers", "lightning", "wandb", "pandas", "numpy", "hydra"})


@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if verb.config])
def test_cfg_prints_the_config_without_a_run(verb, tmp_path):
    config = yaml.safe_load(output(verb, "--cfg", "job", cwd=tmp_path))
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
    assert "ratio: 0.5" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", ["optical-sweeps ", "optical-sweeps cur"])
def test_tab_completes_verbs(line, tmp_path):
    assert set(completions(line, tmp_path)) == set(VERBS)


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("optical-sweeps train ", {"objective=", "mixture.", "seed="}),
        ("optical-sweeps train objective=", {"objective=optical", "objective=contrastive", "objective=none"}),
        ("optical-sweeps train seed=2 mixture.ra", {"mixture.ratio="}),
        ("optical-sweeps curves so", {"source="}),
        ("optical-sweeps evaluate spl", {"split="}),
        ("optical-sweeps status ", set()),
        ("optical-sweeps sweep ", {"plan", "status", "retry", "sync"}),
        ("optical-sweeps sweep pl", {"plan"}),
        ("optical-sweeps sweep plan mixture.ra", {"mixture.ratio="}),
        ("optical-sweeps sweep status ", set()),
    ],
)
def test_tab_completes_what_follows_a_verb(line, some, tmp_path):
    found = set(completions(line, tmp_path))
    assert some <= found
    assert bool(some) == bool(found)
    of_runs = " train " in line or " plan " in line
    assert not any(word.startswith(("mixture", "objective")) for word in found) or of_runs


def test_tab_completion_in_a_real_shell(tmp_path):
    """The printed script, sourced, and completion asked for as readline does."""
    asked = """
        eval "$(optical-sweeps -sc install=bash)"
        COMP_LINE='optical-sweeps train objective=con' COMP_POINT=34
        COMP_WORDS=(optical-sweeps train objective = con) COMP_CWORD=4
        "$(complete -p optical-sweeps | grep -oP '(?<=-F )\\S+')"
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    path = f"{Path(SCRIPT).parent}{os.pathsep}{os.environ['PATH']}"
    told = command("-c", asked, cwd=tmp_path, program=("bash",), PATH=path)
    assert "contrastive" in told.stdout, told.stderr
    assert "optical-sweeps train" not in told.stdout
