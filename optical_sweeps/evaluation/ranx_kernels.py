"""ranx's kernels without the rest of ranx: its plots and data sets take 2 s to import, its kernels 0.1 s."""

import sys
import threading
from importlib.util import find_spec, module_from_spec
from types import ModuleType

from optical_sweeps.errors import UserError

NO_CACHE_FOLDER = "ranx: numba finds no folder for compiled functions; set NUMBA_CACHE_DIR to a writable folder"
_IMPORT_LOCK = threading.Lock()


class _DeferredPackage(ModuleType):
    """A package whose `__init__` runs when one of its names is used, not when a part of it is imported."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__") or self.__spec__ is None or self.__spec__.loader is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.__class__ = ModuleType  # type: ignore[assignment]
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def ranx_metrics() -> ModuleType:
    """The module `ranx.metrics`; other parts of ranx are imported when they are used.

    Raises:
        UserError: numba has no folder for compiled functions.
    """
    with _IMPORT_LOCK:
        if "ranx" not in sys.modules:
            spec = find_spec("ranx")
            assert spec is not None
            package = module_from_spec(spec)
            package.__class__ = _DeferredPackage
            sys.modules["ranx"] = package
        try:
            import numba
            import ranx.metrics
        except RuntimeError as error:
            if "cache" not in str(error):
                raise
            raise UserError(NO_CACHE_FOLDER) from error
        numba.config.THREADING_LAYER = "workqueue"  # as ranx sets it
        metrics: ModuleType = ranx.metrics
        return metrics
