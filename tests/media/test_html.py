"""The words of web pages."""

from __future__ import annotations

import time

import pytest

from kilonova.media.html import words_of_html


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("<html><script>var x</script><p>一个网页 about <b>lighthouses</b></p></html>", "一个网页 about lighthouses"),
        ("<p>one<p>two<br>three", "one\ntwo\nthree"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
        ("<![if !supportLists]>a<![endif]><![foo bar", "a"),
        ("a &lt; b &amp; &#x4E2D; &#xD800;&#0;", "a < b & 中"),
        ("<style>p {}</style><!-- not shown --><div>shown</div>", "shown"),
        ('<?xml version="1.0" encoding="gbk"?><html><body>港口</body></html>', "港口"),
        ("before\0after", "beforeafter"),
        ("", ""),
        (" \n", ""),
        ("no tags at all", "no tags at all"),
        ("<div>" * 5_000 + "deep", "deep"),
    ],
)
def test_words(text: str, right: str) -> None:
    assert words_of_html(text).strip("\ufffd ") == right


@pytest.mark.parametrize("piece", ["<!--", "<![", "<!", "<a ", "&", "<script>", "</", "<p", "<a b='", "]]>"])
def test_pages_that_were_made_to_take_long(piece: str) -> None:
    begin = time.monotonic()
    words_of_html("shown " + piece * (600_000 // len(piece)))
    assert time.monotonic() - begin < 5
