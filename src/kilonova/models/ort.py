"""How ONNX files are opened."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from kilonova import _home

__all__ = ["open_session"]


def open_session(path: Path, threads: int | None = None, unpack: bool = False) -> onnxruntime.InferenceSession:
    """A session on all cores that this process may use, or on ``threads``.

    Args:
        path: the file.
        threads: small graphs take one; a second pool's would spin against those of the tower that ran before.
        unpack: weights of 4 and 8 bits become float32 when the session is made.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or _home.cores()
    if unpack:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    # A thread that waits for its sister spins; where a decoder has the sister's core it would spin for long.
    options.add_session_config_entry("session.intra_op.spin_duration_us", "50")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
