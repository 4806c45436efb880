"""torch and sentence-transformers, imported where a model needs them."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from kilonova.wire.errors import Unavailable

__all__ = ["libraries"]

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
