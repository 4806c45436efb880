"""Tiny models with random weights, made with the real classes of transformers and sentence-transformers.

Importing this skips the tests of a module where those libraries are missing; the module is marked `models`.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from kilonova.models.torch import libraries
from tests.needs import skip_module

skip_module("models")
torch, sentence_transformers = libraries("a test")
transformers = import_module("transformers")

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_HOME = tempfile.TemporaryDirectory()  # as long as the tests


def vocabulary() -> list[str]:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return [
        *special,
        *"日落海滩狗叫声汉字词",
        *_LETTERS,
        *(f"##{one}" for one in _LETTERS),
        "query",
        "passage",
        "long",
        ":",
    ]


@cache
def bert() -> str:
    """A text model with prompts, mean pooling and a dense layer."""
    from sentence_transformers.sentence_transformer import modules
    from transformers import BertConfig, BertModel, BertTokenizerFast

    home = Path(_HOME.name)
    (home / "vocab.txt").write_text("\n".join(vocabulary()), encoding="utf-8")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary()),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=96,
    )
    BertModel(config).save_pretrained(home / "plain")
    BertTokenizerFast(str(home / "vocab.txt"), model_max_length=96).save_pretrained(home / "plain")
    transformer = modules.Transformer(str(home / "plain"))
    layers = [transformer, modules.Pooling(32, "mean"), modules.Dense(32, 24)]
    model = sentence_transformers.SentenceTransformer(
        modules=layers, prompts={"query": "query: ", "document": "passage: "}, device="cpu"
    )
    model.save(str(home / "bert"))
    return str(home / "bert")


class _States(torch.nn.Module):  # type: ignore[name-defined]
    """A model of transformers as an ONNX file has it: three inputs, the states of the last layer."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Any, mask: Any, types: Any) -> Any:
        return self.model(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state


@cache
def onnx_bert() -> str:
    """A text model as two ONNX files, of float32 and of 8 bits, in a folder without other weights."""
    import shutil

    from onnxruntime.quantization import quantize_dynamic
    from sentence_transformers.sentence_transformer import modules

    home = Path(_HOME.name) / "onnx-bert"
    model = sentence_transformers.SentenceTransformer(bert(), device="cpu")
    layers = [model[0], modules.Pooling(32, "cls"), modules.Normalize()]
    sentence_transformers.SentenceTransformer(modules=layers, prompts=model.prompts, device="cpu").save(str(home))
    states = _States(model[0].auto_model).eval()
    shape = torch.ones(2, 3, dtype=torch.int64)
    inputs = ("input_ids", "attention_mask", "token_type_ids")
    (home / "onnx").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is an old one, and says so
        torch.onnx.export(
            states,
            (shape, shape.tril(), 0 * shape),
            str(home / "onnx/model.onnx"),
            input_names=list(inputs),
            output_names=["last_hidden_state"],
            dynamic_axes={name: {0: "batch", 1: "tokens"} for name in inputs},
            dynamo=False,
        )
    quantize_dynamic(home / "onnx/model.onnx", home / "onnx/model_int8.onnx")
    (home / "model.safetensors").unlink()
    shutil.copytree(home, home.with_name("onnx-one"))
    (home.with_name("onnx-one") / "onnx/model_int8.onnx").unlink()
    return str(home)


@cache
def clip() -> str:
    """A model of texts and pictures, as transformers saves it."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPProcessor, CLIPTokenizerFast

    home = Path(_HOME.name)
    letters = sorted({*_LETTERS, *(f"{one}</w>" for one in _LETTERS)})
    words = {one: place for place, one in enumerate(["<|startoftext|>", "<|endoftext|>", *letters])}
    (home / "vocab.json").write_text(json.dumps(words))
    (home / "merges.txt").write_text("#version: 0.2\n")
    torch.manual_seed(0)
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    text = {**small, "vocab_size": len(words), "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 1}
    vision = {**small, "image_size": 64, "patch_size": 16}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    model.save_pretrained(home / "clip")
    tokenizer = CLIPTokenizerFast(str(home / "vocab.json"), str(home / "merges.txt"), model_max_length=64)
    pictures = CLIPImageProcessorPil(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    CLIPProcessor(pictures, tokenizer).save_pretrained(home / "clip")
    return str(home / "clip")


def _embedding_model(home: Path, pooling: str, width: int, prompts: dict[str, str]) -> None:
    """Turn a saved model of transformers with a chat template into one of sentence-transformers, in the same folder."""
    from sentence_transformers.sentence_transformer import modules

    layers = [modules.Transformer(str(home)), modules.Pooling(width, pooling), modules.Normalize()]
    model = sentence_transformers.SentenceTransformer(modules=layers, prompts=prompts, device="cpu")
    model.save(str(home))


def _bytes_and(*letters: str) -> list[str]:
    return [*letters, *(f"<0x{byte:02X}>" for byte in range(256))]


@cache
def gemma() -> str:
    """EmbeddingGemma 2 with one layer in each tower, and a template that puts prompt, text and media in a row."""
    from transformers import (
        EmbeddingGemma2Config,
        EmbeddingGemma2Model,
        Gemma4AudioFeatureExtractor,
        Gemma4ImageProcessorPil,
        GemmaTokenizer,
    )
    from transformers.models.embedding_gemma2 import EmbeddingGemma2Processor, EmbeddingGemma2VideoProcessor

    home = Path(_HOME.name) / "gemma"
    names = {
        "boi_token": "<|image>", "image_token": "<|image|>", "eoi_token": "<image|>",
        "boa_token": "<|audio>", "audio_token": "<|audio|>", "eoa_token": "<audio|>",
    }  # fmt: skip
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *names.values(), "<|video|>"]
    words = [*special, *_bytes_and(*_LETTERS, *"ABCDEFGHIJKLMNOPQRSTUVWXYZ:|,.!?▁", *"日落海滩狗叫声汉字词")]
    ids = {word: place for place, word in enumerate(words)}
    tokenizer = GemmaTokenizer(vocab=ids, merges=[], model_max_length=512, extra_special_tokens=names)
    torch.manual_seed(0)
    heads = {"num_attention_heads": 2, "hidden_size": 32}
    config = EmbeddingGemma2Config(
        text_config={
            **heads, "vocab_size": len(ids), "intermediate_size": 64, "num_hidden_layers": 2, "num_key_value_heads": 1,
            "head_dim": 16, "hidden_size_per_layer_input": 8, "embedding_dim": 768, "max_position_embeddings": 512,
            "sliding_window": 64, "global_head_dim": 16, "num_global_key_value_heads": 1, "sliding_window_pattern": 2,
        },
        vision_config={
            **heads, "model_type": "gemma4_vision", "intermediate_size": 64, "num_hidden_layers": 1, "head_dim": 16,
            "num_key_value_heads": 2, "patch_size": 8, "pooling_kernel_size": 2, "position_embedding_size": 256,
        },
        audio_config={**heads, "model_type": "gemma4_audio", "num_hidden_layers": 1, "output_proj_dims": 32},
        video_token_id=ids["<|video|>"],
        eoa_token_index=ids["<audio|>"],
        **{f"{name}_id": ids[word] for name, word in names.items() if name != "eoa_token"},
    )  # fmt: skip
    EmbeddingGemma2Model(config).save_pretrained(home)
    patches = {"patch_size": 8, "pooling_kernel_size": 2, "max_soft_tokens": 70}
    EmbeddingGemma2Processor(
        feature_extractor=Gemma4AudioFeatureExtractor(),
        image_processor=Gemma4ImageProcessorPil(**patches),
        tokenizer=tokenizer,
        video_processor=EmbeddingGemma2VideoProcessor(**patches),
        image_seq_length=70,
        chat_template="{% for message in messages %}{% for part in message.content %}"
        "{{ part.text if part.type == 'text' else '<|' + part.type + '|>' }}{% endfor %}{% endfor %}",
    ).save_pretrained(home)
    prompts = {
        "Retrieval-query": "task: search result | query: ",
        "Retrieval-document": "title: none | text: ",
        "Classification": "task: classification | query: ",
        "Clustering": "task: clustering | query: ",
    }
    _embedding_model(home, "mean", 768, prompts)
    return str(home)


@cache
def qwen() -> str:
    """Qwen3-VL-Embedding with two layers and two in the vision tower; the template ends with the token that is read."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer, Qwen2VLImageProcessorPil, Qwen3VLConfig, Qwen3VLModel, Qwen3VLProcessor
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

    home = Path(_HOME.name) / "qwen"
    letters = ByteLevel.alphabet()
    special = [
        "<|endoftext|>", "<|im_start|>", "<|im_end|>",
        "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>",
    ]  # fmt: skip
    ids = {word: place for place, word in enumerate([*letters, *special])}
    tokenizer = Qwen2Tokenizer(vocab=ids, merges=[], model_max_length=1024, additional_special_tokens=special)
    torch.manual_seed(0)
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(ids), "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 16,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [4, 2, 2]},
        },
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 8,
            "out_hidden_size": 64, "num_position_embeddings": 64, "deepstack_visual_indexes": [0],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )  # fmt: skip
    Qwen3VLModel(config).save_pretrained(home)
    size = {"shortest_edge": 32 * 32, "longest_edge": 96 * 96}
    Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessorPil(patch_size=8, merge_size=2, temporal_patch_size=2, size=size),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(
            patch_size=8, size={**size, "longest_edge": 4 * 96 * 96}, cap_pixels_per_frame=False
        ),
        chat_template="{% if messages[0].role != 'system' %}"
        "<|im_start|>system\nRepresent the user's input.<|im_end|>\n{% endif %}"
        "{% for message in messages %}<|im_start|>{{ message.role }}\n{% for part in message.content %}"
        "{% if part.type == 'text' %}{{ part.text }}"
        "{% elif part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
        "{% else %}<|video_pad|>{% endif %}{% endfor %}<|im_end|>\n{% endfor %}<|im_start|>assistant\n<|endoftext|>",
    ).save_pretrained(home)
    _embedding_model(home, "lasttoken", 64, {})
    return str(home)
