"""torch and sentence-transformers, imported where a model needs them, and the memory that they use."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kilonova.errors import Unavailable

__all__ = ["Memory", "libraries"]

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
# glibc's mallopt(3): memory that a pass gave back is kept for the next one. By default each large tensor is mapped and
# zeroed anew by the kernel, which took a fifth of the time of EmbeddingGemma 2 on a CPU (benchmarks/README.md).
_KEEP = {"M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, 2**31 - 1), "M_TOP_PAD": (-2, 64 << 20)}

_kept: list[Any] = []  # what declares operators takes them back when it is collected


def libraries(what: str) -> tuple[Any, Any]:
    """The modules ``torch`` and ``sentence_transformers``, without progress bars.

    Args:
        what: for whom, in the error.

    Raises:
        Unavailable: one of them is not installed.
    """
    try:
        torch = import_module("torch")
        if find_spec("torchvision") is not None:
            _torchvision(torch)
        import_module("transformers.utils").logging.disable_progress_bar()
        return torch, import_module("sentence_transformers")
    except ImportError as error:
        raise Unavailable(
            f"{error.name or error} is missing, which {what} needs.",
            "pip install torch torchvision 'kilonova[models]' (CPU builds of torch and torchvision will do).",
        ) from None


def _torchvision(torch: Any) -> None:
    """Import it even beside another build of torch, where its operators cannot be loaded and it dies of two of them.

    Nothing here needs operators, only its transforms; declared, the two do no harm.
    """
    try:
        import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        operators = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            operators.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        _kept.append(operators)
        import_module("torchvision")


class Memory:
    """The memory of the device that a model runs on; of a CPU, this process keeps what it once had.

    Args:
        torch: the module.
        device: ``cuda`` or ``cpu``.
    """

    def __init__(self, torch: Any, device: str) -> None:
        self._torch, self._gpu = torch, device == "cuda"
        if not self._gpu and hasattr(ctypes.CDLL(None), "mallopt"):
            for option, value in _KEEP.values():
                ctypes.CDLL(None).mallopt(option, value)

    def free(self) -> int | None:
        """Bytes that nobody uses; None where that cannot be known."""
        if self._gpu:
            return int(self._torch.cuda.mem_get_info()[0])
        found = [_number(Path("/proc/meminfo"), r"MemAvailable:\s+(\d+)", 1024)]
        group = _number(Path("/sys/fs/cgroup/memory.max"), r"(\d+)")
        if group is not None:  # of a container
            found.append(group - (_number(Path("/sys/fs/cgroup/memory.current"), r"(\d+)") or 0))
        known = [one for one in found if one is not None]
        return min(known) if known and self._resettable() else None

    def peak(self, work: Callable[[], object]) -> int:
        """Do some work; the bytes that it took at most beyond those in use before."""
        if self._gpu:
            self._torch.cuda.reset_peak_memory_stats()
            before = self._torch.cuda.memory_allocated()
            work()
            return int(self._torch.cuda.max_memory_allocated() - before)
        ctypes.CDLL(None).malloc_trim(0)  # what is kept for later would hide what the work takes
        _RESET.write_text("5")  # the peak begins again, see proc(5)
        before = _number(_STATUS, r"VmRSS:\s+(\d+)", 1024) or 0
        work()
        return (_number(_STATUS, r"VmHWM:\s+(\d+)", 1024) or 0) - before

    def release(self) -> None:
        """Give back what is kept for later, after memory ran out."""
        if self._gpu:
            self._torch.cuda.empty_cache()

    def _resettable(self) -> bool:
        return hasattr(ctypes.CDLL(None), "malloc_trim") and os.access(_RESET, os.W_OK)


def _number(path: Path, pattern: str, unit: int = 1) -> int | None:
    try:
        found = re.search(pattern, path.read_text())
    except OSError:
        return None
    return int(found[1]) * unit if found else None
