"""The head that puts sounds into the space of texts.

A sound's vector starts as ConSE (Norouzi et al., ICLR 2014): AudioSet class probabilities times the vectors of what
people call the classes. A trained part corrects it. What teaches it: the probabilities of the network that was taught
by mn04, the class names of kitchen20's training folds, and pairs of cuts from the same sound. A class counts by how
much likelier it is than usual: "music", "speech" and "sound effect" are a little likely everywhere.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kilonova.models.mini.space import SENSE
from training.heads import PREFIXES, info_nce

__all__ = ["AudioHead", "Sounds", "train"]

_RARITY, _SHARPNESS = 0.75, 1.5  # the powers of a class's usual probability and of its own, in what is taught


def _shares(classes: Tensor, usual: Tensor, rarity: Tensor | float, sharpness: Tensor | float) -> Tensor:
    """What each class has of a sound [n, 527], with a sum of one: its probability beside the usual one, sharpened."""
    return F.softmax((F.logsigmoid(classes) - rarity * usual) * sharpness, dim=1)


class AudioHead(nn.Module):
    """Tower features ``pooled`` [n, 384] and ``classes`` [n, 527] → sense [n, 640], of length one."""

    def __init__(self, mean: Tensor, std: Tensor, usual: Tensor, names: Tensor) -> None:
        super().__init__()
        centred = names - names.mean(0)
        for name, value in (
            ("mean", mean),
            ("std", std),
            ("usual", usual),
            ("names", centred),
            ("base", names.mean(0)),
        ):
            self.register_buffer(name, value)
        self.power, self.rarity = nn.Parameter(torch.tensor(0.0)), nn.Parameter(torch.tensor(_RARITY))
        self.first, self.norm = nn.Linear(len(mean), 512), nn.LayerNorm(512)
        self.second = nn.Linear(512, SENSE)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def conse(self, classes: Tensor) -> Tensor:
        """The classes' shares times the vectors of their names."""
        return _shares(classes, self.usual, self.rarity, 1 + F.softplus(self.power)) @ self.names + self.base

    def forward(self, pooled: Tensor, classes: Tensor) -> Tensor:
        x = (torch.cat([pooled, classes], 1) - self.mean) / self.std
        x = F.gelu(self.norm(self.first(F.dropout(x, 0.3, self.training))))
        correction = self.second(F.dropout(x, 0.3, self.training))
        return F.normalize(self.conse(classes) + correction, dim=1)


@dataclass(frozen=True)
class Sounds:
    """Features of two cuts of n sounds.

    Attributes:
        pooled: float32 [n, 2, 384]; classes: [n, 2, 527].
        labels: int64 [n], the row of the sound's own name among the extra names, -1 where it has none.
    """

    pooled: Tensor
    classes: Tensor
    labels: Tensor


def _against(vectors: Tensor, names: Tensor, wanted: Tensor, scale: Tensor) -> Tensor:
    """Cross-entropy of the softmax over names with wanted shares [n, names], mean over the prefixes."""
    total = torch.zeros(())
    for size in PREFIXES:
        scores = scale * F.normalize(vectors[:, :size], dim=1) @ F.normalize(names[:, :size], dim=1).T
        total = total + F.cross_entropy(scores, wanted)
    return total / len(PREFIXES)


def train(sounds: Sounds, names: list[Tensor], extra: list[Tensor], steps: int, seed: int) -> AudioHead:
    """Train the head.

    Args:
        sounds: what to learn from.
        names: sense [527, 640] of what AudioSet's classes are called, once for each language.
        extra: sense [k, 640] of the k labels' names, once for each language.
        steps: how many batches.
        seed: of everything random.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    joined = torch.cat([sounds.pooled, sounds.classes], 2).flatten(0, 1)
    usual = torch.sigmoid(sounds.classes).mean((0, 1)).log()
    head = AudioHead(joined.mean(0), joined.std(0) + 1e-2, usual, torch.stack(names).mean(0))
    scale = nn.Parameter(torch.tensor(math.log(20.0)))
    optimizer = torch.optim.AdamW([*head.parameters(), scale], lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)))
    averaged = copy.deepcopy(head)
    labelled = np.flatnonzero(sounds.labels.numpy() >= 0)
    for step in range(1, steps + 1):
        rows = np.concatenate(
            [rng.choice(len(sounds.labels), 384, replace=False), rng.choice(labelled, 128, replace=False)]
        )
        both = [head(sounds.pooled[rows, cut], sounds.classes[rows, cut]) for cut in (0, 1)]
        factor = scale.exp().clamp(max=100)
        shares = _shares(sounds.classes[rows, 0], usual, _RARITY, _SHARPNESS)
        vectors, labels, loss = both[0][384:], sounds.labels[rows[384:]], torch.zeros(())
        for plain, own in zip(names, extra, strict=True):
            loss = loss + _against(both[0], plain, shares, factor)
            wanted = F.one_hot(labels, len(own) + len(plain)).float()
            loss = loss + 0.5 * _against(vectors, torch.cat([own, plain]), wanted, factor)
        loss = loss + 0.3 * info_nce(both[0][:384], both[1][:384], 20.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for mean, value in zip(averaged.parameters(), head.parameters(), strict=True):
                mean.lerp_(value, 1 - min(0.99, step / (step + 10)))
        if step % 100 == 0:
            print(f"{step}/{steps} loss {loss.item():.3f}", flush=True)
    return averaged.eval()
