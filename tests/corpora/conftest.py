"""Miniature collections in the exact layouts of their providers, where ir_datasets looks for them."""

import importlib
import sys

import pytest

from tests.support.provider_files import write_all
from tests.support.shared_folders import built_once


@pytest.fixture(scope="session")
def provider_home(tmp_path_factory):
    """A folder like $IR_DATASETS_HOME after every download, with a few documents in each collection."""
    return built_once(tmp_path_factory, "ir_datasets_home", write_all)


@pytest.fixture(scope="session")
def imported():
    """The modules of ir_datasets for each home, which is fixed when the package is imported."""
    return {}


@pytest.fixture
def irds(provider_home, imported, monkeypatch):
    """The real ir_datasets on the miniature files, without network access."""
    return use_home(provider_home, imported, monkeypatch)


@pytest.fixture
def irds_without_files(tmp_path, imported, monkeypatch):
    """The real ir_datasets before any download; returns its home."""
    use_home(tmp_path / "home", imported, monkeypatch)
    return tmp_path / "home"


def use_home(home, imported, monkeypatch):
    settings = {
        "IR_DATASETS_HOME": home,
        "IR_DATASETS_TMP": home / "tmp",
        "IR_DATASETS_DL_TRIES": 1,
        "IR_DATASETS_DL_403_TRIES": 1,
        "IR_DATASETS_DL_DISABLE_PBAR": "true",
        **dict.fromkeys(("NO_PROXY", "no_proxy"), ""),
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    for name in _loaded_modules():
        monkeypatch.delitem(sys.modules, name)
    for name, module in imported.get(home, {}).items():
        monkeypatch.setitem(sys.modules, name, module)
    package = importlib.import_module("ir_datasets")
    imported[home] = {name: sys.modules[name] for name in _loaded_modules()}
    return package


def _loaded_modules():
    return [name for name in sys.modules if name.split(".")[0] == "ir_datasets"]
