"""Words of any script."""

from __future__ import annotations

import pytest

from kilonova.stores.lexical import query_weights, terms, weights


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("The Quick ＦＯＸ, don't!", ["the", "quick", "fox", "don", "t"]),
        ("日落海滩", ["日", "落", "海", "滩", "日落", "落海", "海滩"]),
        ("東京タワー", ["東", "京", "タ", "ワ", "ー", "東京", "京タ", "タワ", "ワー"]),
        ("iPhone15拍摄", ["iphone", "15", "拍", "摄", "拍摄"]),
        ("서울 날씨", ["서울", "날씨"]),
        ("Straße ÉTÉ", ["strasse", "été"]),
        ("IMG_2034.jpg", ["img", "2034", "jpg"]),
        ("…！ ", []),
    ],
)
def test_terms(text: str, right: list[str]) -> None:
    assert terms(text) == right


def test_a_word_said_often_counts_more_and_a_long_text_less() -> None:
    (key,) = query_weights("海")
    assert weights("海")[key] < weights("海 海")[key] < 2.2
    assert weights("海 " + "filler " * 500)[key] < weights("海")[key]
