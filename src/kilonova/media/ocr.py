"""The words on the image of a page, by PP-OCR (PaddleOCR's models, inside PyPI's ``rapidocr``, Apache-2.0)."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from kilonova import _home

__all__ = ["PageReader"]

_SHORTEST = 64  # pixels of a side


class PageReader:
    """Reads pages; its models are loaded at the first one, for most servers never see any."""

    def __init__(self) -> None:
        self._reader: Any = None

    def __call__(self, pixels: np.ndarray) -> str:
        """The lines of text on a page uint8 [height, width, 3], from top to bottom; empty when there are none."""
        if self._reader is None:
            self._reader = _load()
        missing = [(0, max(0, _SHORTEST - side)) for side in pixels.shape[:2]]
        pixels = np.pad(pixels, (*missing, (0, 0)), constant_values=255)  # it refuses strips, receipts among them
        found = self._reader(pixels[:, :, ::-1])  # BGR, as OpenCV has it
        return "\n".join(found.txts or ())


def _load() -> Any:
    from rapidocr import RapidOCR

    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    threads = _home.cores()
    return RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.use_cls": False,  # lines that are upside down: seconds for a case that scans do not have
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.enable_cpu_mem_arena": True,
            # where lines are shows at half the size of what they say; a batch pads every line to its longest
            "Det.limit_type": "max",
            "Det.limit_side_len": 1216,
            "Rec.rec_batch_num": 1,
        }
    )
