"""The heads that put text and images into one space, trained together on frozen features.

Contrastive training with symmetric InfoNCE (Radford et al., CLIP, ICML 2021) on the prefixes of 256, 384 and 1,024
numbers at once (Kusupati et al., Matryoshka Representation Learning, NeurIPS 2022), of which texts and pictures share
the trained part, "sense" (``kilonova.models.mini.space``). Pairs of words teach the text head that a thing has names
in many languages. Several such trainings, which differ in their seed only, are joined to one pair of heads.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kilonova.models.mini.space import SENSE, SHARED, WORDING

__all__ = ["PREFIXES", "Group", "ImageHead", "Joined", "TextHead", "Words", "info_nce", "join", "train"]

#: Numbers of sense within the first 256, 384 and 1,024 of a vector.
PREFIXES = tuple(size * SENSE // SHARED for size in (256, 384, 1024))


class _Mlp(nn.Module):
    def __init__(self, inside: int, hidden: int, outside: int, drop: tuple[float, float], skip: bool) -> None:
        super().__init__()
        self.first, self.norm, self.second = nn.Linear(inside, hidden), nn.LayerNorm(hidden), nn.Linear(hidden, outside)
        self.skip = nn.Linear(inside, outside, bias=False) if skip else None
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(x, self.drop[0], self.training)
        y = self.second(F.dropout(F.gelu(self.norm(self.first(x))), self.drop[1], self.training))
        return y + self.skip(x) if self.skip is not None else y


class TextHead(nn.Module):
    """e5 vectors [n, 384] → sense [n, 640], of length one."""

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.mlp = _Mlp(WORDING, 1024, SENSE, (0.15, 0.3), skip=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.mlp((x - self.mean) / self.std), dim=1)


class ImageHead(nn.Module):
    """Tower features ``pooled`` [n, 2048], ``tokens`` [n, 36, 384] and ``classes`` [n, 1000] → sense [n, 640], of
    length one.

    Three things are added up: what a network makes of the pooled features; what four learned questions find among the
    tokens (attention pooling); and ConSE (Norouzi et al., ICLR 2014), class probabilities times the vectors of
    ImageNet's class names, which knows a thousand things that no caption names.
    """

    def __init__(self, mean: Tensor, std: Tensor, queries: int = 4) -> None:
        super().__init__()
        self.register_buffer("names", torch.zeros(1000, SENSE))
        self.sharpness, self.trust = nn.Parameter(torch.tensor(0.0)), nn.Parameter(torch.tensor(1.0))
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.mlp = _Mlp(len(mean), 1024, SENSE, (0.3, 0.45), skip=False)
        width = 128
        self.position = nn.Parameter(torch.zeros(36, 384))
        self.keys, self.values = nn.Linear(384, queries, bias=False), nn.Linear(384, width)
        self.out = nn.Linear(queries * width, SENSE)

    def forward(self, pooled: Tensor, tokens: Tensor, classes: Tensor) -> Tensor:
        found = self.mlp((pooled - self.mean) / self.std)
        tokens = F.layer_norm(tokens, (384,)) + self.position
        weights = self.keys(tokens).softmax(1)
        looked = (weights.transpose(1, 2) @ self.values(tokens)).flatten(1)
        seen = found + self.out(F.dropout(F.gelu(looked), 0.4, self.training))
        return F.normalize(seen + self.trust * (classes * self.sharpness.exp()).softmax(1) @ self.names, dim=1)

    def learn_names(self, text_head: TextHead, names: Tensor) -> None:
        """Take the vectors of the class names, e5 vectors [1000, 384], from a text head."""
        with torch.no_grad():
            vectors = text_head(names)
            self.names.copy_(vectors - vectors.mean(0))


class Joined(nn.Module):
    """Heads of one kind from several trainings as one: their vectors beside each other, so that a cosine is the mean of
    theirs (an ensemble), times a rotation [members · 640, 640] whose first numbers say most."""

    def __init__(self, members: Sequence[nn.Module], rotation: Tensor) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("rotation", rotation)

    def forward(self, *features: Tensor) -> Tensor:
        return F.normalize(torch.cat([member(*features) for member in self.members], 1) @ self.rotation, dim=1)


View = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Group:
    """Pictures that are drawn from together.

    Attributes:
        views: the pictures as they are, and changed: each pooled float32 [n, 2048], tokens float16 [n, 36, 384] and
            classes float16 [n, 1000]. Half of what is drawn is unchanged.
        captions: for each picture the rows of its captions, one list for each language.
        share: pictures of this group in a batch.
        languages: how the two captions of a step are drawn: (0, 1) is always those two; None is any two.
    """

    views: Sequence[View]
    captions: Sequence[Sequence[Sequence[int]]]
    share: int
    languages: tuple[int, int] | None = None

    def draw(self, rng: np.random.Generator) -> tuple[View, np.ndarray]:
        """Features of pictures [share, …], and rows of two captions for each [share, 2]."""
        rows = rng.permutation(len(self.captions))[: self.share]
        texts = np.empty((len(rows), 2), np.int64)
        for place, row in enumerate(rows):
            offered = self.captions[row]
            pair = self.languages or rng.choice(len(offered), 2, replace=len(offered) < 2)
            for side, language in enumerate(pair):
                texts[place, side] = offered[language][rng.integers(len(offered[language]))]
        changed = rng.integers(len(self.views), size=len(rows)) * (rng.random(len(rows)) < 0.75)
        views = [
            torch.stack([self.views[view][part][row] for view, row in zip(changed, rows, strict=True)])
            for part in range(3)
        ]
        return (views[0], views[1].float(), views[2].float()), texts


@dataclass(frozen=True)
class Words:
    """Words and their translations.

    Attributes:
        vectors: e5 vectors float32 [terms, 384].
        rows: for each word its own row, and the rows of its translations, one list for each language.
        share: words in a batch.
    """

    vectors: Tensor
    rows: Sequence[tuple[int, Sequence[Sequence[int]]]]
    share: int

    def draw(self, rng: np.random.Generator) -> Tensor:
        """Rows of so many words and of two translations of each [share, 3]."""
        found = np.empty((self.share, 3), np.int64)
        for place, index in enumerate(rng.integers(len(self.rows), size=self.share)):
            word, offered = self.rows[index]
            found[place, 0] = word
            for side in (1, 2):
                terms = offered[rng.integers(len(offered))]
                found[place, side] = terms[rng.integers(len(terms))]
        return torch.from_numpy(found)


def info_nce(left: Tensor, right: Tensor, scale: Tensor | float, same: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE, mean over the prefixes; ``same`` marks pairs off the diagonal that are not wrong."""
    target, total = torch.arange(len(left)), torch.zeros(())
    for size in PREFIXES:
        scores = scale * F.normalize(left[:, :size], dim=1) @ F.normalize(right[:, :size], dim=1).T
        if same is not None:
            scores = scores.masked_fill(same, -1e4)
        total = total + (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2
    return total / len(PREFIXES)


def _same(left: Tensor, right: Tensor | None = None) -> Tensor:
    right = left if right is None else right
    return (left[:, None] == right[None]) & ~torch.eye(len(left), dtype=torch.bool)


def _words_loss(head: TextHead, words: Words, scale: Tensor, rng: np.random.Generator) -> Tensor:
    rows = words.draw(rng)
    plain, first, second = (head(words.vectors[rows[:, side]]) for side in range(3))
    same = _same(rows[:, 0]) | _same(rows[:, 1]) | _same(rows[:, 2])
    return info_nce(plain, first, scale, same) + info_nce(first, second, scale, same | _same(rows[:, 1], rows[:, 2]))


def train(
    groups: Sequence[Group],
    texts: Sequence[Tensor],
    words: Words,
    names: Tensor,
    steps: int,
    seed: int,
) -> tuple[TextHead, ImageHead]:
    """Train both heads.

    Args:
        groups: the pictures.
        texts: e5 vectors float32 [captions, 384], once for each prompt.
        words: translations.
        names: e5 vectors [1000, 384] of ImageNet's class names.
        steps: how many batches.
        seed: of everything random.

    Returns:
        The heads with exponentially averaged weights.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    pooled, every = torch.cat([view[0] for group in groups for view in group.views]), torch.cat(list(texts))
    text_head = TextHead(every.mean(0), every.std(0) + 1e-4)
    image_head = ImageHead(pooled.mean(0), pooled.std(0) + 1e-3)
    model = nn.ModuleList([text_head, image_head])
    scale = nn.Parameter(torch.tensor(math.log(20.0)))
    optimizer = torch.optim.AdamW([*model.parameters(), scale], lr=1e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, step / 50) * 0.5 * (1 + math.cos(math.pi * min(1, step / steps)))
    )
    averaged = copy.deepcopy(model)
    model.train()
    for step in range(1, steps + 1):
        image_head.learn_names(text_head.eval(), names)
        text_head.train()
        drawn = [group.draw(rng) for group in groups]
        images = image_head(*(torch.cat([features[part] for features, _ in drawn]) for part in range(3)))
        captions = torch.from_numpy(np.concatenate([found for _, found in drawn]))
        chosen = torch.from_numpy(rng.integers(len(texts), size=captions.shape))
        vectors = torch.stack([every_prompt[captions] for every_prompt in texts])
        sides = [text_head(vectors[chosen[:, side], torch.arange(len(captions)), side]) for side in (0, 1)]
        factor = scale.exp().clamp(max=100)
        loss = sum(info_nce(images, sides[side], factor, _same(captions[:, side])) for side in (0, 1))
        loss = loss + 0.2 * info_nce(sides[0], sides[1], factor, _same(captions[:, 0]) | _same(captions[:, 1]))
        loss = loss + 0.3 * _words_loss(text_head, words, factor, rng)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        keep = min(0.99, step / (step + 10))
        with torch.no_grad():
            for mean, value in zip(averaged.parameters(), model.parameters(), strict=True):
                mean.lerp_(value, 1 - keep)
        if step % 50 == 0:
            told = f"temperature {1 / factor.item():.3f} trust {image_head.trust.item():.2f}"
            print(f"{step}/{steps} loss {loss.item():.3f} {told}", flush=True)
    averaged.eval()
    averaged[1].learn_names(averaged[0], names)  # type: ignore[operator]
    return averaged[0], averaged[1]  # type: ignore[return-value]


def join(
    members: Sequence[tuple[TextHead, ImageHead]], groups: Sequence[Group], texts: Tensor
) -> tuple[Joined, Joined]:
    """Join the heads of several trainings.

    The rotation is that of the principal components of what the heads make of captions and pictures, each group with
    its share in a batch: it leaves cosines almost as they are and puts into every prefix what matters most.

    Args:
        members: what ``train`` gave for several seeds.
        groups: what they learned from.
        texts: e5 vectors float32 [captions, 384].
    """
    moments = torch.zeros(len(members) * SENSE, len(members) * SENSE, dtype=torch.float64)
    with torch.no_grad():
        for group in groups:
            rows = sorted({row for offered in group.captions for language in offered for row in language})
            said = torch.cat([text(texts[rows]) for text, _ in members], 1)
            pooled, tokens, classes = group.views[0]
            parts = [
                torch.cat([image(pooled[few], tokens[few].float(), classes[few].float()) for _, image in members], 1)
                for few in torch.arange(len(pooled)).split(512)
            ]
            for vectors in (said, torch.cat(parts)):
                moments += group.share * (vectors.T @ vectors).double() / len(vectors)
    axes = torch.linalg.eigh(moments)[1].flip(1)[:, :SENSE].float()
    rotation = (axes * torch.sign(axes.sum(0))).contiguous()  # a fixed sign, so that runs agree
    return (
        Joined([text for text, _ in members], rotation).eval(),
        Joined([image for _, image in members], rotation).eval(),
    )
