"""EmbeddingGemma 2 at its real size, with random weights: our engine beside a plain loop, and full load.

    python benchmarks/gemma2.py                      # texts of 128 and 1,024 tokens, images, sounds
    python benchmarks/gemma2.py --int8               # our engine with matrices of 8 bits, on a CPU
    python benchmarks/gemma2.py --load 40            # texts up to 8,192 tokens, images and films at once: no failure

Needs torch, torchvision and kilonova[models]; takes a GPU where there is one (bfloat16), else the CPU (float32).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kilonova.engine.engine import Engine
from kilonova.media.content import Audio, Content, Image, Text, Video
from kilonova.models.card import Purpose
from kilonova.models.torch import libraries

INDEX = Purpose.GENERIC_INDEX
#: bfloat16 peaks without sparsity, from NVIDIA's data sheets.
_PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12}
_RNG = np.random.default_rng(0)


def make(home: Path) -> int:
    """Save a model with the published configuration and a tokenizer of letters; parameters of its text layers."""
    torch, sentence_transformers = libraries("this benchmark")
    import transformers
    from sentence_transformers.sentence_transformer import modules
    from transformers.models.embedding_gemma2 import EmbeddingGemma2Processor, EmbeddingGemma2VideoProcessor

    names = {
        "boi_token": "<|image>", "image_token": "<|image|>", "eoi_token": "<image|>",
        "boa_token": "<|audio>", "audio_token": "<|audio|>", "eoa_token": "<audio|>",
    }  # fmt: skip
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *names.values(), "<|video|>"]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    ids = {word: place for place, word in enumerate([*special, *map(chr, range(33, 127)), "▁", *bytes_])}
    tokenizer = transformers.GemmaTokenizer(vocab=ids, merges=[], model_max_length=8192, extra_special_tokens=names)
    config = transformers.EmbeddingGemma2Config(
        text_config={},
        vision_config={"model_type": "gemma4_vision"},
        audio_config={"model_type": "gemma4_audio", "output_proj_dims": 1536},
        video_token_id=ids["<|video|>"],
        eoa_token_index=ids["<audio|>"],
        **{f"{name}_id": ids[word] for name, word in names.items() if name != "eoa_token"},
    )
    torch.manual_seed(0)
    model = transformers.EmbeddingGemma2Model(config).to(torch.bfloat16)
    model.save_pretrained(home)
    EmbeddingGemma2Processor(
        feature_extractor=transformers.Gemma4AudioFeatureExtractor(),
        image_processor=transformers.Gemma4ImageProcessorPil(),
        tokenizer=tokenizer,
        video_processor=EmbeddingGemma2VideoProcessor(max_soft_tokens=140),
        chat_template="{% for message in messages %}{% for part in message.content %}"
        "{{ part.text if part.type == 'text' else '<|' + part.type + '|>' }}{% endfor %}{% endfor %}",
    ).save_pretrained(home)
    layers = [modules.Transformer(str(home)), modules.Pooling(768, "mean"), modules.Normalize()]
    sentence_transformers.SentenceTransformer(modules=layers, device="cpu").save(str(home))
    return sum(one.numel() for one in model.language_model.layers.parameters())


def letters(count: int) -> str:
    """A text of that many tokens of the tokenizer above, without its prompt."""
    return "".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=count))


def plain(home: Path, contents: Sequence[Content], size: int) -> float:
    """Inputs a second of what one writes first: transformers, batches in the order of the list."""
    torch, _ = libraries("this benchmark")
    from transformers import AutoModel, AutoProcessor

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    processor = AutoProcessor.from_pretrained(home)
    model = AutoModel.from_pretrained(home, dtype=dtype).eval().to(device)

    def batch(few: Sequence[Content]) -> Any:
        match few[0]:
            case Text():
                said = [f"title: none | text: {one.value}" for one in few if isinstance(one, Text)]
                inputs = processor(text=said, padding=True, return_tensors="pt")
            case Image():
                seen = [[one.pixels] for one in few if isinstance(one, Image)]
                inputs = processor(images=seen, return_tensors="pt")
            case _:
                heard = [one.samples for one in few if isinstance(one, Audio)]
                inputs = processor(audio=heard, sampling_rate=16_000, return_tensors="pt", padding=True)
        inputs = {
            name: value.to(device, dtype if value.is_floating_point() else None) for name, value in inputs.items()
        }
        with torch.inference_mode():
            hidden, mask = model(**inputs).last_hidden_state, inputs["attention_mask"][..., None]
            return ((hidden * mask).sum(1) / mask.sum(1)).float().cpu().numpy()

    batch(contents[:size])
    begin = time.perf_counter()
    for first in range(0, len(contents), size):
        batch(contents[first : first + size])
    return len(contents) / (time.perf_counter() - begin)


async def ours(model: str, contents: Sequence[Content]) -> float:
    """Inputs a second through the engine, all at once."""
    async with Engine(model, queue=len(contents) + 1, batch_seconds=600) as engine:
        await engine.ready()
        await asyncio.gather(*(engine.embed(one, INDEX, 768) for one in contents[:8]))
        begin = time.perf_counter()
        await asyncio.gather(*(engine.embed(one, INDEX, 768) for one in contents))
        return len(contents) / (time.perf_counter() - begin)


def speed(home: Path, layers: int, scale: int, only: str, ending: str) -> None:
    """Print both rates for each kind, and what share of the device's peak texts reach."""
    torch, _ = libraries("this benchmark")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    peak = next((flops for name, flops in _PEAKS.items() if name in gpu), None)
    kinds: dict[str, tuple[int, Callable[[], Content], int]] = {
        "text of 128 tokens": (64, lambda: Text(letters(108)), 128),
        "text of 1,024 tokens": (8, lambda: Text(letters(1004)), 1024),
        "image of 768 x 512": (6, lambda: Image(_RNG.integers(0, 256, (512, 768, 3), np.uint8)), 0),
        "sound of 10 s": (6, lambda: Audio(_RNG.normal(size=160_000).astype(np.float32) * 0.1, 16_000), 0),
    }
    for kind, (count, new, tokens) in kinds.items():
        if only not in kind:
            continue
        contents = [new() for _ in range(count * scale)]
        rates = {"plain": plain(home, contents, 32), "ours": asyncio.run(ours(f"{home}{ending}", contents))}
        # two operations a weight and token, and attention's four a pair of tokens and channel of full attention
        share = rates["ours"] * tokens * (2 * layers + 4 * 4 * tokens * 2048) / peak if peak and tokens else None
        print(json.dumps({"kind": kind, "device": gpu or "cpu", **rates, "share of peak": share}), flush=True)


async def load(home: Path, count: int) -> None:
    """Everything at once, long and short: failures, and what one input after the other takes at most."""
    random.seed(0)

    def new() -> Content:
        match random.choice(["short", "short", "long", "image", "film"]):
            case "short":
                return Text(letters(random.randint(5, 200)))
            case "long":
                return Text(letters(random.choice([2000, 4000, 8100])))
            case "image":
                return Image(_RNG.integers(0, 256, (random.randint(300, 900), 640, 3), np.uint8))
            case _:
                frames = _RNG.integers(0, 256, (random.randint(1, 8), 240, 320, 3), np.uint8)
                return Video(frames, np.arange(float(len(frames))))

    seconds: list[float] = []

    async def one(engine: Engine, content: Content) -> None:
        begin = time.perf_counter()
        await engine.embed(content, INDEX, 768)
        seconds.append(time.perf_counter() - begin)

    async with Engine(str(home), queue=count + 1, batch_seconds=3600) as engine:
        await engine.ready()
        begin = time.perf_counter()
        found = await asyncio.gather(*(one(engine, new()) for _ in range(count)), return_exceptions=True)
        took = time.perf_counter() - begin
        status = Path(f"/proc/{engine.worker_pid}/status").read_text()  # noqa: ASYNC240
    failures = [str(one) for one in found if one is not None]
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    said = {
        "inputs": count, "failures": failures, "seconds": round(took, 1), "peak GB of the process": int(peak) / 1e6,
        "median seconds": round(statistics.median(seconds), 1),
    }  # fmt: skip
    print(json.dumps(said), flush=True)


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=1, help="times as many inputs; 50 or more on a GPU")
    parser.add_argument("--only", default="", help="kinds whose name has this in it")
    parser.add_argument("--int8", action="store_true", help="ours in 8 bits, on the CPU")
    parser.add_argument("--load", type=int, default=0, metavar="INPUTS", help="full load instead of speed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "embeddinggemma-2-random"
        layers = make(home)
        if arguments.load:
            asyncio.run(load(home, arguments.load))
        else:
            speed(home, layers, arguments.scale, arguments.only, ":int8" if arguments.int8 else "")


if __name__ == "__main__":
    main()
