"""Questions and the passages that answer them: the Debian FAQ in ten languages (GPL-2+), from Debian's packages.

Only measured with, never trained on; its passages also centre the text tower's vectors (``training.heads``).
"""

from __future__ import annotations

import html
import re
from pathlib import Path

from training.sources import debian

__all__ = ["LANGUAGES", "faq"]

LANGUAGES = ("en", "zh-cn", "de", "fr", "it", "ja", "ko", "nl", "pt", "ru")
_HEADING = re.compile(r'<h[23] class="title"><a id="[^"]*"></a>(.*?)</h[23]>', re.DOTALL)


def _plain(markup: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", markup))).strip()


def faq(work: Path, language: str) -> list[tuple[str, str]]:
    """Questions and the first paragraphs of their answers, about a hundred for each language."""
    package = "debian-faq" if language == "en" else f"debian-faq-{language}"
    pairs = []
    for path in sorted(debian(work, package).rglob("*.html")):
        parts = _HEADING.split(path.read_text("utf-8"))
        for heading, body in zip(parts[1::2], parts[2::2], strict=True):
            question = re.sub(r"^[\d.]+\s*", "", _plain(heading))
            paragraphs = [_plain(part) for part in re.findall(r"<p>(.*?)</p>", body, re.DOTALL)]
            answer = " ".join(text for text in paragraphs if text)[:1200]
            if len(answer) > 60:
                pairs.append((question, answer))
    return list(dict(pairs).items())
