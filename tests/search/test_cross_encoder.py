"""Reranking by a cross-encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kilonova.errors import InvalidInput
from kilonova.search.rerank import CrossEncoder
from tests.models.tiny import torch, transformers

pytestmark = pytest.mark.models


def test_scores_are_those_of_the_model(tmp_path: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"港口的灯塔", "harbour", "lamp", "##s"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    tokenizer = transformers.BertTokenizerFast(str(tmp_path / "vocab.txt"))
    torch.manual_seed(1)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        num_labels=1,
    )
    model = transformers.BertForSequenceClassification(config).eval()
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    query, texts = "港口", ["harbour lamps", "灯塔", "港口的灯塔 harbour harbour"]
    found = CrossEncoder(str(tmp_path / "model"))(query, texts)
    with torch.no_grad():
        right = [model(**tokenizer(query, text, return_tensors="pt")).logits.sigmoid().item() for text in texts]
    assert found.dtype == np.float32
    assert np.allclose(found, right, atol=1e-5)
    assert len(set(found.tolist())) == 3
    config.num_labels = 3
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path / "three")
    tokenizer.save_pretrained(tmp_path / "three")
    with pytest.raises(InvalidInput, match="has 3 scores"):
        CrossEncoder(str(tmp_path / "three"))
    with pytest.raises(InvalidInput, match="cannot be loaded"):
        CrossEncoder(str(tmp_path / "nothing"))
