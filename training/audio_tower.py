"""The audio tower: a small network of our own, taught by EfficientAT mn04 and by nothing else.

The student never sees a label. It is trained to give what the teacher gives (Schmid et al., "Efficient Large-Scale
Audio Tagging via Transformer-to-CNN Knowledge Distillation", ICASSP 2023), at seven depths and not only at the end
(FitNets, Romero et al., ICLR 2015): each stage first learns from the teacher's input to that stage, all stages at
once, then the chain is trained on its own outputs. A stage is so small a problem that hours of unlabelled sound on
2 cores are enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from onnx import TensorProto
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from kilonova.models.mini.mel import FRAMES_PER_SECOND, mel_filters, window
from training.audio_data import RATE, Bank, coloured
from training.graph import Graph

__all__ = ["Round", "Student", "distil", "export"]

SECONDS = 4.0
# The teacher's features after these layers, and their channels: what the stages of the student learn to give.
_HINTS = (
    ("/features/features.1/Add_output_0", 8), ("/features/features.3/Add_output_0", 16),
    ("/features/features.6/Add_output_0", 16), ("/features/features.10/Add_output_0", 32),
    ("/features/features.12/Add_output_0", 48), ("/features/features.15/Add_output_0", 64),
    ("/features/features.16/features.16.2/HardSwish_output_0", 384),
)  # fmt: skip
_STEM = 16
# The student's stages: blocks as (expanded channels, kernel, stride).
_STAGES = (
    ((16, 3, 1),),
    ((40, 3, 2), (40, 3, 1)),
    ((48, 5, 2), (64, 5, 1), (64, 5, 1)),
    ((128, 3, 2), (128, 3, 1), (128, 3, 1)),
    ((256, 3, 1), (384, 3, 1)),
    ((384, 5, 2), (512, 5, 1), (512, 5, 1)),
)


class _Block(nn.Module):
    """An inverted residual with squeeze-and-excite (Howard et al., "Searching for MobileNetV3", ICCV 2019)."""

    def __init__(self, inside: int, wide: int, outside: int, kernel: int, stride: int) -> None:
        super().__init__()
        widen = [nn.Conv2d(inside, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.Hardswish(inplace=True)]
        self.expand = nn.Sequential(*widen) if wide > inside else nn.Identity()
        self.depthwise = nn.Sequential(
            nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.Hardswish(inplace=True),
        )
        self.squeeze, self.excite = nn.Linear(wide, max(8, wide // 4)), nn.Linear(max(8, wide // 4), wide)
        self.project = nn.Sequential(nn.Conv2d(wide, outside, 1, bias=False), nn.BatchNorm2d(outside))
        self.residual = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(self.expand(x))
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(y.mean((2, 3))))))
        y = self.project(y * gate[:, :, None, None])
        return x + y if self.residual else y


class Student(nn.Module):
    """Log-mel float32 [n, 1, 128, frames] → AudioSet logits [n, 527] and features [n, 384]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, _STEM, 3, 2, 1, bias=False), nn.BatchNorm2d(_STEM), nn.Hardswish())
        stages, inside = [], _STEM
        for blocks, (_, outside) in zip(_STAGES, _HINTS, strict=False):
            layers = []
            for wide, kernel, stride in blocks:
                layers.append(_Block(inside, wide, outside, kernel, stride))
                inside = outside
            stages.append(nn.Sequential(*layers))
        self.stages = nn.ModuleList(stages)
        self.top = nn.Sequential(nn.Conv2d(64, 384, 1, bias=False), nn.BatchNorm2d(384), nn.Hardswish())
        self.classify = nn.Sequential(nn.Linear(384, 512), nn.Hardswish(), nn.Linear(512, 527))

    def parts(self) -> list[nn.Module]:
        """The stages in order, one for each hint."""
        return [nn.Sequential(self.stem, self.stages[0]), *self.stages[1:], self.top]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for part in self.parts():
            x = part(x)
        features = x.mean((2, 3))
        return self.classify(features), features


class LogMel(nn.Module):
    """Samples float32 [n, samples] at 32 kHz → the teacher's log-mel, as ``kilonova.models.mini.mel`` computes it."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.from_numpy(window()))
        self.register_buffer("filters", torch.from_numpy(mel_filters()))

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, 1:] - 0.97 * x[:, :-1]
        spectrum = torch.stft(
            x, 1024, RATE // FRAMES_PER_SECOND, 800, self.window, center=True, pad_mode="reflect", return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return ((torch.log(self.filters @ power + 1e-5) + 4.5) / 5)[:, None]


class _Teacher:
    def __init__(self, path: Path) -> None:
        model = onnx.load(path)
        names = [name for name, _ in _HINTS]
        model.graph.output.extend(onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        self._names = [*names, "logits"]

    def __call__(self, mel: Tensor) -> list[Tensor]:
        return [torch.from_numpy(value) for value in self._session.run(self._names, {"log_mel": mel.numpy()})]


def _sounds(bank: Bank, batch: int, favoured: int, favour: float, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Endless batches float32 [batch, samples] of changed and mixed sounds."""
    size = int(SECONDS * RATE)
    seconds = np.diff(bank.starts) / RATE
    weight = np.sqrt(np.clip(seconds, 0.5, 60))  # long music counts for more than a click, but not by its length
    weight[:favoured] *= favour
    weight /= weight.sum()

    def one() -> np.ndarray:
        sound = bank.sound(int(rng.choice(len(bank), p=weight)))
        speed = float(np.exp(rng.normal(0, 0.25))) if rng.random() < 0.5 else 1.0
        need = int(size * speed) + 2
        if len(sound) > need:
            start = int(rng.integers(len(sound) - need))
            piece = sound[start : start + need].astype(np.float32) / 32768
        else:
            piece = np.zeros(need, np.float32)
            start = int(rng.integers(need - len(sound) + 1))
            piece[start : start + len(sound)] = sound / np.float32(32768)
            if len(sound) > RATE // 2 and rng.random() < 0.5:
                piece = np.resize(sound.astype(np.float32) / 32768, need)
        if speed != 1.0:
            piece = np.interp(np.arange(size) * speed, np.arange(need), piece).astype(np.float32)
        piece = piece[:size]
        peak = float(np.abs(piece).max())
        return piece * np.float32(10 ** rng.uniform(-1.2, 0) / peak) if peak > 1e-4 else piece

    while True:
        rows = np.zeros((batch, size), np.float32)
        for row in rows:
            row += one()
            if rng.random() < 0.5:
                row += one() * np.float32(10 ** rng.uniform(-1.0, 0))
            chance = rng.random()
            if chance < 0.15:  # coloured noise: white to brown
                noise = coloured(rng, size, rng.uniform(0, 1.2)).astype(np.float32)
                row += noise * np.float32(10 ** rng.uniform(-2.5, -0.3) / (np.abs(noise).max() + 1e-9))
            elif chance < 0.3:  # a low-pass or high-pass like a poor recording's
                spectrum = np.fft.rfft(row)
                cut = int(len(spectrum) * 10 ** rng.uniform(-1.3, -0.1))
                spectrum[cut:] *= 10 ** rng.uniform(-2, -0.5)
                row[:] = np.fft.irfft(spectrum, size)
        yield rows.clip(-1, 1)


class _Lessons(IterableDataset[tuple[Tensor, list[Tensor]]]):
    """Endless log-mel batches with what the teacher says to them; made by a process of its own."""

    def __init__(self, teacher: Path, sounds: Iterator[np.ndarray]) -> None:
        self._teacher, self._sounds = teacher, sounds

    def __iter__(self) -> Iterator[tuple[Tensor, list[Tensor]]]:
        mel, teach = LogMel(), _Teacher(self._teacher)
        for rows in self._sounds:
            inputs = mel(torch.from_numpy(rows))
            yield inputs, teach(inputs)


@dataclass(frozen=True)
class Round:
    """A part of the training: how many batches, how many of them stage by stage, and how often the first sounds
    of the bank (recordings of real rooms; the rest is mostly made for games) are drawn compared to the others."""

    steps: int
    apart: int
    rate: float
    favour: float


def distil(
    teacher: Path, bank: Bank, rounds: Sequence[Round], favoured: int, batch: int, seed: int, kept: Path
) -> Student:
    """Train the student, first stage by stage on the teacher's features, then as a chain.

    Args:
        teacher: mn04 as ONNX.
        bank: the sounds.
        rounds: one after the other, each with a learning rate that falls to nearly nothing.
        favoured: how many sounds at the bank's beginning a round may favour.
        batch: sounds of four seconds in a batch.
        seed: of everything random.
        kept: a folder where the student is kept after each round, so that an interrupted run goes on there.
    """
    torch.manual_seed(seed)
    student = Student().to(memory_format=torch.channels_last)
    kept.mkdir(parents=True, exist_ok=True)
    for number, plan in enumerate(rounds):
        place = kept / f"student-{number}.pt"
        if place.is_file():
            student.load_state_dict(torch.load(place, weights_only=True))
            continue
        sounds = _sounds(bank, batch, favoured, plan.favour, np.random.default_rng(seed + number))
        _train(student, plan, DataLoader(_Lessons(teacher, sounds), batch_size=None, num_workers=1))
        torch.save(student.state_dict(), place)
    return student.eval()


def _train(student: Student, plan: Round, lessons: DataLoader[tuple[Tensor, list[Tensor]]]) -> None:
    optimizer = torch.optim.AdamW(student.parameters(), lr=plan.rate, weight_decay=1e-4)

    def factor(step: int) -> float:
        return min(1, step / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1, step / plan.steps))))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    scales: list[Tensor] = []
    student.train()
    for step, (inputs, (*hints, logits)) in enumerate(islice(lessons, plan.steps), start=1):
        if not scales:
            scales = [hint.std((0, 2, 3)).clamp(min=0.05) for hint in hints]
        losses, state = [], inputs.to(memory_format=torch.channels_last)
        for part, hint, scale in zip(student.parts(), hints, scales, strict=True):
            found = part(state)
            losses.append(((found - hint) / scale[:, None, None]).square().mean())
            state = found if step > plan.apart else hint
        features = state.mean((2, 3))
        given = student.classify(features)
        last = F.binary_cross_entropy_with_logits(given, torch.sigmoid(logits), reduction="none").sum(1).mean()
        shape = (given - logits).square().mean()
        pooled = ((features - hints[-1].mean((2, 3))) / scales[-1]).square().mean()
        loss = sum(losses) + 0.3 * last + 0.3 * shape + 2 * pooled
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            same = (given.argmax(1) == logits.argmax(1)).float().mean()
            told = " ".join(f"{value.item():.2f}" for value in losses)
            print(f"{step}/{plan.steps} stages {told} | logits {shape.item():.2f} same top {same:.2f}", flush=True)


def export(student: Student) -> onnx.ModelProto:
    """``log_mel`` [1, 1, 128, frames] → ``pooled`` [1, 384], ``texture`` [1, 768] and ``classes`` [1, 527].

    ``texture`` is what tells one recording from another of its kind: means and standard deviations over time of the
    128 mel bands (256) and of the third stage's 16 channels in 16 bands of frequency (512).
    """
    graph, student = Graph(), student.eval()
    time, places = graph.constant("time", np.array([3])), graph.constant("places", np.array([2, 3]))

    def conv(value: str, name: str, layer: nn.Conv2d, norm: nn.BatchNorm2d) -> str:
        assert norm.running_mean is not None and norm.running_var is not None
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight, bias = layer.weight * gain[:, None, None, None], norm.bias - norm.running_mean * gain
        inputs = [
            value,
            graph.int8(f"{name}.weight", weight.detach().numpy(), 0),
            graph.constant(f"{name}.bias", bias.detach().numpy()),
        ]
        pads = [layer.padding[0], layer.padding[1]] * 2
        return graph.node("Conv", inputs, f"{name}.out", strides=list(layer.stride), pads=pads, group=layer.groups)

    def active(value: str, name: str, stack: nn.Sequential) -> str:
        return graph.node("HardSwish", [conv(value, name, stack[0], stack[1])], f"{name}.active")

    def linear(value: str, name: str, layer: nn.Linear) -> str:
        return graph.linear(name, value, layer.weight.detach().numpy().T, layer.bias.detach().numpy())

    def block(value: str, name: str, layer: _Block) -> str:
        state = active(value, f"{name}.expand", layer.expand) if isinstance(layer.expand, nn.Sequential) else value
        state = active(state, f"{name}.depthwise", layer.depthwise)
        mean = graph.node("ReduceMean", [state, places], f"{name}.mean", keepdims=0)
        gate = graph.node("Relu", [linear(mean, f"{name}.squeeze", layer.squeeze)], f"{name}.relu")
        gate = graph.node("Sigmoid", [linear(gate, f"{name}.excite", layer.excite)], f"{name}.gate")
        gate = graph.node("Unsqueeze", [gate, graph.constant(f"{name}.places", np.array([2, 3]))], f"{name}.gates")
        state = graph.node("Mul", [state, gate], f"{name}.gated")
        state = conv(state, f"{name}.project", layer.project[0], layer.project[1])
        return graph.node("Add", [value, state], f"{name}.sum") if layer.residual else state

    def statistics(value: str, name: str) -> list[str]:
        """Mean and standard deviation over time, each flattened to [1, channels x bands]."""
        mean = graph.node("ReduceMean", [value, time], f"{name}.mean", keepdims=1)
        apart = graph.node("Sub", [value, mean], f"{name}.apart")
        spread = graph.node(
            "ReduceMean", [graph.node("Mul", [apart, apart], f"{name}.square"), time], f"{name}.variance"
        )
        deviation = graph.node("Sqrt", [spread], f"{name}.deviation")
        return [graph.node("Flatten", [part], f"{part}.flat", axis=1) for part in (mean, deviation)]

    state = active("log_mel", "stem", student.stem)
    texture = statistics("log_mel", "mel")
    for index, stage in enumerate(student.stages):
        for place, layer in enumerate(stage):  # type: ignore[arg-type]
            state = block(state, f"stage{index}.{place}", layer)
        if index == 2:
            texture += statistics(state, "timbre")
    top = active(state, "top", student.top)
    pooled = graph.node("ReduceMean", [top, places], "pooled", keepdims=0)
    hidden = graph.node("HardSwish", [linear(pooled, "hidden", student.classify[0])], "hidden.active")
    graph.node("Identity", [linear(hidden, "logits", student.classify[2])], "classes")
    graph.node("Concat", texture, "texture", axis=1)
    return graph.model(
        "kilonova-mini-audio",
        {"log_mel": (TensorProto.FLOAT, [1, 1, 128, "frames"])},
        {"pooled": [1, 384], "texture": [1, 768], "classes": [1, 527]},
    )
