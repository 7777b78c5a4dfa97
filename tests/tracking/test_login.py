from pathlib import Path

import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.login import is_logged_in, preferred_mode, server_problem
from optical_sweeps.tracking.wandb_api import public_api
from optical_sweeps.tracking.wandb_settings import WandbSettings

KEY = "0123456789abcdef" * 3


@pytest.fixture(autouse=True)
def fresh_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without any W&B setup."""
    for name in ("API_KEY", "IDENTITY_TOKEN_FILE", "MODE", "BASE_URL", "CONFIG_DIR"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_netrc(home: Path, text: str) -> None:
    (home / ".netrc").write_text(text)
    (home / ".netrc").chmod(0o600)


def write_settings(home: Path, text: str) -> None:
    folder = home / ".config/wandb"
    folder.mkdir(parents=True)
    (folder / "settings").write_text(f"[default]\n{text}\n")


def test_nobody_is_logged_in_at_first() -> None:
    assert not is_logged_in()
    assert preferred_mode() == "offline"


@pytest.mark.parametrize("variable", ["WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"])
def test_credentials_in_the_environment(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, KEY)
    assert preferred_mode() == "online"
    monkeypatch.setenv(variable, "")
    assert preferred_mode() == "offline"


@pytest.mark.parametrize("host", ["api.wandb.ai", "api.forge.coreweave.com"])
def test_credentials_in_netrc(fresh_home: Path, host: str) -> None:
    write_netrc(fresh_home, f"machine {host}\n  login user\n  password {KEY}\n")
    assert preferred_mode() == "online"


def test_credentials_of_another_machine_do_not_count(fresh_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_netrc(fresh_home, f"machine example.org\n  login user\n  password {KEY}\n")
    assert preferred_mode() == "offline"
    monkeypatch.setenv("WANDB_BASE_URL", "https://example.org")
    assert preferred_mode() == "online"


@pytest.mark.parametrize("content", ["machine\n", "\xff\xfe", "machine api.wandb.ai login user\n"])
def test_a_broken_netrc_does_not_count_as_a_login(fresh_home: Path, content: str) -> None:
    (fresh_home / ".netrc").write_bytes(content.encode("latin1"))
    assert preferred_mode() == "offline"


def test_the_users_settings_take_precedence(fresh_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    write_settings(fresh_home, "mode = offline")
    assert preferred_mode() == "offline"
    monkeypatch.setenv("WANDB_MODE", "online")
    assert preferred_mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert preferred_mode() == "disabled"


def test_credentials_in_wandbs_settings(fresh_home: Path) -> None:
    write_settings(fresh_home, f"api_key = {KEY}%")
    assert preferred_mode() == "online"


def test_broken_settings_are_ignored(fresh_home: Path) -> None:
    write_settings(fresh_home, "= nonsense\n[[")
    assert preferred_mode() == "offline"


def write_local_settings(folder: Path, name: str, server: str) -> None:
    (folder / name).mkdir()
    (folder / name / "settings").write_text(f"[default]\nbase_url = {server}\n")


@pytest.mark.parametrize("name", ["wandb", ".wandb"])
def test_the_working_folder_does_not_choose_who_gets_the_key(
    fresh_home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert server_problem() is None
    write_local_settings(fresh_home, name, "http://evil.example")
    assert f"{fresh_home} would send your key to http://evil.example; " in str(server_problem())
    with pytest.raises(UserError, match=r"evil\.example.*WANDB_BASE_URL"):
        public_api(1.0)
    with pytest.raises(UserError, match=r"evil\.example.*logger=offline"):
        WandbSettings().check("sweep")
    WandbSettings(mode="offline").check("sweep")
    monkeypatch.setenv("WANDB_BASE_URL", "http://evil.example")
    assert server_problem() is None


def test_the_users_own_server_is_accepted_everywhere(fresh_home: Path) -> None:
    write_settings(fresh_home, "base_url = https://wandb.lab.example/")
    write_local_settings(fresh_home, "wandb", "https://wandb.lab.example")
    assert server_problem() is None
    (fresh_home / "wandb" / "settings").write_text("[default]\nbase_url = https://api.wandb.ai\n")
    assert server_problem() is None
