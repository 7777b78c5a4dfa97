"""Whether a W&B run could go online, judged from files and environment without contacting the server.

W&B looks for credentials in the environment, in a netrc file and in its settings files, in this order. Only
their presence is checked here. No key is bound to a name, so no traceback or log can show one.
"""

import configparser
import netrc
import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT_HOSTS = ("api.wandb.ai", "api.forge.coreweave.com")
"""Hosts of the public service; a netrc entry for either counts if no server is configured."""

PUBLIC_SERVER = "https://api.wandb.ai"
LOCAL_SETTINGS = (".wandb/settings", "wandb/settings")
"""Settings of the working directory, as `wandb init` writes them."""

_SECTION = "default"
_LIKE_A_KEY = re.compile(r"[A-Za-z0-9_-]{32,}")


def preferred_mode() -> str:
    """`online`, `offline` or `disabled`, according to the user's W&B setup.

    WANDB_MODE and `wandb offline` take precedence; otherwise the mode is `online` if the user is logged in.
    """
    settings = _settings()
    mode = os.environ.get("WANDB_MODE") or settings.get(_SECTION, "mode", fallback="")
    if mode in ("offline", "dryrun"):
        return "offline"
    if mode == "disabled":
        return "disabled"
    return "online" if is_logged_in() else "offline"


def is_logged_in() -> bool:
    """Whether credentials for the configured server exist (the server is not contacted)."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    settings = _settings()
    if settings.has_option(_SECTION, "api_key"):
        return True
    server = os.environ.get("WANDB_BASE_URL") or settings.get(_SECTION, "base_url", fallback="")
    hosts = (urlsplit(server).netloc,) if server else DEFAULT_HOSTS
    return any(_has_netrc_entry(host) for host in hosts)


def server_problem() -> str | None:
    """What is wrong with the server to which the client would send the user's key; None if nothing is.

    The working directory can be somebody else's folder. Its settings may not choose a server that neither the
    user's own settings nor WANDB_BASE_URL name.
    """
    server = _settings().get(_SECTION, "base_url", fallback=PUBLIC_SERVER).rstrip("/")
    own = _settings(local=()).get(_SECTION, "base_url", fallback=PUBLIC_SERVER).rstrip("/")
    if os.environ.get("WANDB_BASE_URL") or server in (own, PUBLIC_SERVER):
        return None
    return (
        f"the settings of W&B in {Path.cwd()} would send your key to {server}; if it is your server, set "
        f"WANDB_BASE_URL={server}, otherwise remove them"
    )


def server_url() -> str:
    """The address of the server to which the client sends requests, without credentials."""
    settings = _settings()
    url = os.environ.get("WANDB_BASE_URL") or settings.get(_SECTION, "base_url", fallback=PUBLIC_SERVER)
    parts = urlsplit((url or PUBLIC_SERVER).rstrip("/"))
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def without_keys(text: str) -> str:
    """The first line of a text, without anything that could be a key.

    >>> without_keys("key 0123456789abcdef0123456789abcdef refused")
    'key *** refused'
    """
    return _LIKE_A_KEY.sub("***", next(iter(text.splitlines()), ""))


def one_line(error: BaseException) -> str:
    """An error as one line without keys.

    >>> one_line(TimeoutError("no answer"))
    'TimeoutError: no answer'
    """
    return f"{type(error).__name__}: {text}" if (text := without_keys(str(error))) else type(error).__name__


def _has_netrc_entry(host: str) -> bool:
    path = Path(os.path.expanduser(os.environ.get("NETRC") or "~/.netrc"))  # noqa: PTH111 - never raises
    try:
        return bool((netrc.netrc(str(path)).authenticators(host) or ("", "", ""))[2])
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return False


def _settings(local: Sequence[str] = LOCAL_SETTINGS) -> configparser.ConfigParser:
    """W&B's settings: the user's, overridden by those of the working directory."""
    home = Path(os.path.expanduser(os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb"))  # noqa: PTH111
    settings = configparser.ConfigParser(interpolation=None)
    for path in (home / "settings", *map(Path, local)):
        try:
            settings.read(path, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
    return settings
