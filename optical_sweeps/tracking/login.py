"""Whether a W&B run started now could go online: told from files and environment, without network and keys.

W&B looks for credentials in the environment, in a netrc file and in its settings files, in this order. Here
only their presence is asked for; no key is bound to a name, so that no traceback or log can show one.
"""

import configparser
import netrc
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT_HOSTS = ("api.wandb.ai", "api.forge.coreweave.com")
"""Hosts of the public service; netrc entries of either count where no server is configured."""

_SECTION = "default"
_LIKE_A_KEY = re.compile(r"[A-Za-z0-9_-]{32,}")


def preferred_mode() -> str:
    """`online` or `offline` (or `disabled`, where the environment says so), as the user has set W&B up.

    WANDB_MODE and `wandb offline` are obeyed; otherwise `online` if and only if the user is logged in.
    """
    settings = _settings()
    wanted = os.environ.get("WANDB_MODE") or settings.get(_SECTION, "mode", fallback="")
    if wanted in ("offline", "dryrun"):
        return "offline"
    if wanted == "disabled":
        return "disabled"
    return "online" if is_logged_in() else "offline"


def is_logged_in() -> bool:
    """Credentials for the configured server are there (whether the server accepts them is not asked)."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    settings = _settings()
    if settings.has_option(_SECTION, "api_key"):
        return True
    server = os.environ.get("WANDB_BASE_URL") or settings.get(_SECTION, "base_url", fallback="")
    hosts = (urlsplit(server).netloc,) if server else DEFAULT_HOSTS
    return any(_netrc_knows(host) for host in hosts)


def without_keys(text: str) -> str:
    """A text for people: its first line, without anything that could be a key.

    >>> without_keys("key 0123456789abcdef0123456789abcdef refused")
    'key *** refused'
    """
    return _LIKE_A_KEY.sub("***", next(iter(text.splitlines()), ""))


def one_line(error: BaseException) -> str:
    """An error for people.

    >>> one_line(TimeoutError("no answer"))
    'TimeoutError: no answer'
    """
    return f"{type(error).__name__}: {text}" if (text := without_keys(str(error))) else type(error).__name__


def _netrc_knows(host: str) -> bool:
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        return bool((netrc.netrc(str(path)).authenticators(host) or ("", "", ""))[2])
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return False


def _settings() -> configparser.ConfigParser:
    """W&B's settings: those of the user, then those of the working directory."""
    home = Path(os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb").expanduser()
    settings = configparser.ConfigParser(interpolation=None)
    for path in (home / "settings", Path(".wandb/settings"), Path("wandb/settings")):
        try:
            settings.read(path)
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
    return settings
