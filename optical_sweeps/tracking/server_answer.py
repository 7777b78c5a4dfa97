"""Whether W&B's server answers at all: a line for users who wait, and the reason for an error.

The client repeats requests silently. Only its answer counts: a proxy or a certificate that is known to the
client alone can let it reach a server that the request of this module does not reach.
"""

import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from http.client import HTTPException

from optical_sweeps.tracking.login import without_keys

REQUEST_SECONDS = 2.0


def no_answer_reason(url: str, timeout: float = REQUEST_SECONDS) -> str | None:
    """Why a server does not answer a plain request (without a key); None if it answers.

    Args:
        timeout: seconds to wait for the answer.
    """
    try:
        with urllib.request.urlopen(url, timeout=timeout):
            return None
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}" if error.code >= 500 else None
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, ssl.SSLError):
            return None  # it answers, and W&B's client has its own certificates
        if isinstance(reason, TimeoutError):
            return f"no connection within {timeout:g} s"
        return without_keys((isinstance(reason, OSError) and reason.strerror) or str(reason))
    except (OSError, HTTPException, ValueError) as error:
        return without_keys((isinstance(error, OSError) and error.strerror) or str(error)) or "no answer"


@contextmanager
def announced_wait(url: str, seconds: float, warn: Callable[[str], None], patience: float) -> Iterator[None]:
    """Call `warn` with one line if the block takes longer than `patience` seconds.

    Args:
        url: the server from which the block expects an answer.
        seconds: after which the block gives up.
    """
    ended, start = threading.Event(), time.monotonic()
    until = time.strftime("%H:%M:%S", time.localtime(time.time() + seconds))

    def watch() -> None:
        if ended.wait(max(patience - REQUEST_SECONDS, 0)):
            return
        reason = no_answer_reason(url) or "it accepts connections, but is slow"
        if not ended.wait(max(start + patience - time.monotonic(), 0)):
            warn(f"W&B does not answer at {url} ({reason}); retrying until {until}")

    # in the caller's context, which knows whether standard output is for JSON alone
    threading.Thread(target=copy_context().run, args=(watch,), daemon=True).start()
    try:
        yield
    finally:
        ended.set()
