"""Where the weights of kilonova-mini are, and how its ONNX files are opened."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import onnxruntime

from kilonova.wire.errors import Unavailable

__all__ = ["open_session", "weights_folder"]


def open_session(path: Path, threads: int | None = None) -> onnxruntime.InferenceSession:
    """A session on all cores that this process may use, or on ``threads``.

    Small graphs take one: the threads of a second pool would spin against those of the tower that ran before.

    The files hold weights of 4 and 8 bits that are unpacked to float32 when the session is made: in batches 20 % to
    40 % faster on 2 cores than products of packed weights (benchmarks/text_tower.py).
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    # A thread that waits for its sister spins; where a decoder has the sister's core it would spin for long.
    options.add_session_config_entry("session.intra_op.spin_duration_us", "50")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def weights_folder() -> Path:
    """The folder of the installed weights.

    Raises:
        Unavailable: their distribution is not installed.
    """
    spec = find_spec("kilonova_mini")
    folder = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
    if folder is None or not (folder / "text.onnx").is_file():
        raise Unavailable("The weights of kilonova-mini are not installed.", "Run: pip install kilonova-mini")
    return folder
