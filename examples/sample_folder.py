"""A folder with files of all five kinds: texts, a PDF, images, audio, and a video made of the images."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

__all__ = ["pdf", "write"]

MEDIA = Path(__file__).with_name("media")
PAGES = (
    ("Annual report", "Revenue grew by nine percent to 41 million euros.", "Most of it came from the ferries."),
    ("Safety on board", "Life jackets lie under the seats of each deck.", "Children wear them at all times."),
    ("Timetable", "Boats leave the harbour every hour from six to ten.", "Bicycles travel free on Sundays."),
)
_SECONDS, _RATE, _SIDE = 5, 5, 320


def write(folder: Path, texts: tuple[str, ...]) -> None:
    """Write everything into a new folder."""
    folder.mkdir()
    for number, text in enumerate(texts, 1):
        (folder / f"note-{number}.txt").write_text(text, encoding="utf-8")
    for path in [*MEDIA.glob("*.webp"), *MEDIA.glob("*.ogg")]:
        shutil.copy(path, folder)
    (folder / "report.pdf").write_bytes(pdf([_page(*page) for page in PAGES]))
    _video(folder / "film.mp4")


def _video(path: Path) -> None:
    """Write a video that shows each image for five seconds."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=_RATE)
        stream.width = stream.height = _SIDE
        stream.pix_fmt = "yuv420p"
        number = 0
        for source in sorted(MEDIA.glob("*.webp")):
            with Image.open(source) as image:
                pixels = np.asarray(image.convert("RGB").resize((_SIDE, _SIDE)))
            for _ in range(_SECONDS * _RATE):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, _RATE)
                out.mux(stream.encode(frame))
                number += 1
        out.mux(stream.encode(None))


def _page(title: str, *lines: str) -> str:
    shown = "".join(f"0 -30 Td ({line}) Tj " for line in lines)
    return f"BT /F1 26 Tf 50 330 Td ({title}) Tj /F1 16 Tf {shown}ET"


def pdf(contents: Sequence[str]) -> bytes:
    """A PDF file of pages of 600 x 400 points with these content streams; /F1 is Helvetica."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for content in contents:
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 400] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {len(objects)} 0 R >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(kids)}] >>"
    out, places = "%PDF-1.4\n", []
    for number, item in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{item}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    tail = f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return f"{out}xref\n0 {size}\n0000000000 65535 f \n{table}{tail}".encode()
