"""Matrices of 8-bit integers instead of float32 ones, for models of torch on CPUs.

A weight has one scale for each of its outputs and an input one for each token (vector-wise quantisation: Dettmers et
al., "LLM.int8()", NeurIPS 2022), so that no vector depends on what else is in the batch. Sums are 32-bit integers.
"""

from __future__ import annotations

from typing import Any

__all__ = ["quantize"]


def quantize(torch: Any, model: Any) -> int:
    """Replace the linear layers within a model; how many there were.

    Layers of classes of their own stay as they are: torch's attention reads their weights past them.
    """

    class Linear(torch.nn.Module):  # type: ignore[misc]
        """Tokens float32 [..., inputs] → [..., outputs], as the linear layer that it replaces within 1 %."""

        def __init__(self, layer: Any) -> None:
            super().__init__()
            whole = layer.weight.detach()
            scale = _scale(whole).squeeze(1)
            self.register_buffer("scale", scale)
            # its transpose is a view, which is the order that the product wants
            self.register_buffer("whole", (whole / scale[:, None]).round().to(torch.int8))
            self.bias = layer.bias

        @property
        def weight(self) -> Any:
            """The matrix in float32, for code that looks at it."""
            return self.whole * self.scale[:, None]

        def forward(self, x: Any) -> Any:
            tokens = x.reshape(-1, x.shape[-1])
            scale = _scale(tokens)
            product = torch._int_mm((tokens / scale).round().to(torch.int8), self.whole.T)
            found = product.to(x.dtype).mul_(scale).mul_(self.scale)
            if self.bias is not None:
                found += self.bias
            return found.view(*x.shape[:-1], -1)

    found = [
        (parent, name, layer)
        for parent in model.modules()
        for name, layer in parent.named_children()
        if type(layer) is torch.nn.Linear
    ]
    for parent, name, layer in found:
        setattr(parent, name, Linear(layer))
    return len(found)


def _scale(rows: Any) -> Any:
    """[n, 1]: what the largest number of each row is, in steps of int8."""
    return rows.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
