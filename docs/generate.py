"""Write the pages of docs/ that are made from the code: ``make docs``. A test holds that they are up to date.

python -m docs.generate            # docs/limits.md, docs/reference/configuration.md and both in docs/zh/
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import kilonova.server.limits as server
from docs import configuration
from kilonova.media import limits as media
from kilonova.media.content import Modality
from kilonova.stores import checks, folders
from kilonova.stores.filters import tree as filter
from kilonova.wire import openai, search

__all__ = ["PAGES"]

_FOLDER = Path(__file__).parent
_Row = tuple[str, str, str]


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _bytes(value: float) -> str:
    """Bytes in the unit that gives a round number."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("GB", 10**9), ("MB", 10**6)):
        if value >= size and value % size == 0:
            return f"{value // size:,.0f} {unit}"
    return f"{value:,.0f} B"


def _seconds(value: float) -> str:
    return f"{value:g} s"


def _of(form: Callable[[float], str], values: dict[Modality, int]) -> str:
    return ", ".join(f"{modality} {form(value)}" for modality, value in values.items())


def _tables() -> list[tuple[str, str, list[_Row]]]:
    """Headings in English and Chinese, and rows: what in English, what in Chinese, the value."""
    return [
        (
            "Requests",
            "请求",
            [
                ("Body of a request", "请求体", _bytes(media.INLINE_BODY_BYTES)),
                ("Head of a request: URL, headers, trailers", "请求头（含 URL 和 trailer）", _bytes(server.HEAD_BYTES)),
                ("Headers of a request", "请求头字段数", _count(server.HEADERS)),
                ("Time for the head", "收完请求头的时间", _seconds(server.HEAD_SECONDS)),
                ("Time for the first byte of a body", "收到请求体第一个字节的时间",
                 _seconds(server.FIRST_BYTE_SECONDS)),
                ("Time for the whole body", "收完请求体的时间", _seconds(server.BODY_SECONDS)),
                ("Time that a client may stop reading an answer", "客户端不读取应答的时间",
                 _seconds(server.STALL_SECONDS)),
                ("Time that an idle connection is kept open", "空闲连接保留的时间",
                 _seconds(server.KEEP_ALIVE_SECONDS)),
                ("Simultaneous connections", "同时连接数", _count(server.CONNECTIONS)),
                ("HTTP/2: simultaneous requests per connection", "HTTP/2：每个连接的并发请求", _count(server.STREAMS)),
                ("HTTP/2: cancelled requests, burst and per second", "HTTP/2：放弃的请求（突发与每秒）",
                 " and ".join(map(_count, server.RESETS))),
                ("HTTP/2: control frames without effect, burst and per second", "HTTP/2：无用的帧（突发与每秒）",
                 " and ".join(map(_count, server.CONTROL_FRAMES))),
            ],
        ),
        (
            "Embedding",
            "生成向量",
            [
                ("Characters of an inline text", "内联文本的字符数", _count(media.TEXT_VALUE_CHARACTERS)),
                ("Characters of a text from S3", "S3 文本的字符数", _count(media.TEXT_S3_CHARACTERS)),
                ("File from S3, synchronous", "S3 文件（同步）", _of(_bytes, media.S3_BYTES)),
                ("File from S3, asynchronous", "S3 文件（异步）", _of(_bytes, media.ASYNC_BYTES)),
                ("Audio and video, synchronous", "音频和视频（同步）", _seconds(media.SYNC_SECONDS)),
                ("Audio and video, asynchronous", "音频和视频（异步）", _seconds(media.ASYNC_SECONDS)),
                ("Segments of a text; of audio or video", "文本的片段数；音频或视频的片段数",
                 f"{_count(media.TEXT_SEGMENTS)}; {_count(media.MEDIA_SEGMENTS)}"),
                ("Inputs of `/v1/embeddings`", "`/v1/embeddings` 的输入数", _count(openai.MAX_INPUTS)),
            ],
        ),
        (
            "Decoding",
            "解码",
            [
                ("Pixels of an image", "图像像素", _count(media.MAX_IMAGE_PIXELS)),
                ("Pixels of a video frame", "视频帧像素", _count(media.MAX_FRAME_PIXELS)),
                ("Longest side of a decoded image: standard, document", "解码后图像的最长边（标准、文档）",
                 f"{_count(media.STANDARD_SIDE)}, {_count(media.DOCUMENT_SIDE)}"),
                ("Time to decode a file", "每个文件的时间", _seconds(media.DECODE_SECONDS)),
                ("Memory of all decoding processes", "所有解码进程的内存",
                 "half of the machine's, from 1 to 4 GiB each"),
                ("Audio channels", "音频声道数", _count(media.MAX_CHANNELS)),
                ("Sample rates", "采样率", f"{_count(media.MIN_SAMPLE_RATE)} to {_count(media.MAX_SAMPLE_RATE)} Hz"),
            ],
        ),
        (
            "Collections and search",
            "集合与搜索",
            [
                ("Name of a collection", "集合名称",
                 f"{checks.NAME_CHARACTERS} characters, {checks.NAME_BYTES} bytes in UTF-8"),
                ("Characters of a point's id", "点的 id 的字符数", _count(checks.MAX_ID)),
                ("Characters of a point's text", "点的文本的字符数", _count(checks.MAX_TEXT)),
                ("Payload: depth, values, characters", "payload：深度、值的个数、字符数",
                 f"{checks.MAX_DEPTH}, {_count(checks.MAX_VALUES)}, {_count(checks.MAX_CHARACTERS)}"),
                ("Points per write", "一次写入的点数", _count(search.MAX_POINTS)),
                ("Characters and conditions of a filter", "过滤条件的字符数；条件个数",
                 f"{_count(filter.MAX_LENGTH)}; {_count(filter.MAX_CONDITIONS)}"),
                ("Texts, or files of one kind, per search", "一次搜索的文本数或每类文件数",
                 _count(search.MAX_CONTENTS)),
                ("Hits per search", "一次搜索的结果数", _count(search.MAX_HITS)),
                ("Collections kept open when idle", "空闲时保持打开的集合数", _count(folders.MAX_OPEN)),
                ("Free disk space below which writing stops", "停止写入的磁盘剩余空间", _bytes(folders.RESERVE)),
            ],
        ),
    ]  # fmt: skip


def _english() -> str:
    return f"""# Limits

[中文](zh/limits.md)

Generated from the constants in the code by `make docs`. Input that exceeds a limit is refused with a message that names
it: as a 4xx over HTTP, or as the file's entry in the list of failures of a run. The length of the queue, the memory for
requests in progress and the time for a batch are options of `kilonova serve --help`.
{_rendered("| what | limit |", 0)}"""


def _chinese() -> str:
    return f"""# 限制

[English](../limits.md)

本页由 `make docs` 根据代码里的常量生成。超过某项限制的输入会被拒绝，并说明是哪一项：HTTP 返回 4xx；
批量运行时记入该文件的失败原因。队列长度、在途请求占用的内存和每批的时限，见 `kilonova serve --help`。
{_rendered("| 项目 | 限制 |", 1)}"""


def _rendered(head: str, language: int) -> str:
    """The tables in English (0) or Chinese (1)."""
    lines: list[str] = []
    for english, chinese, rows in _tables():
        lines += ["", f"## {(english, chinese)[language]}", "", head, "|---|---|"]
        lines += [f"| {row[language]} | {_value(row[2], language)} |" for row in rows]
    return "\n".join([*lines, ""])


_WORDS_ZH = (
    ("half of the machine's, from 1 to 4 GiB each", "本机内存的一半，每个 1 到 4 GiB"),
    (" characters, ", " 个字符，UTF-8 编码 "),
    (" bytes in UTF-8", " 字节"),
    ("text ", "文本 "),
    ("image ", "图像 "),
    ("audio ", "音频 "),
    ("video ", "视频 "),
    (" and ", " 和 "),
    (" to ", " 至 "),
)


def _value(value: str, language: int) -> str:
    """A limit, with its words in English (0) or Chinese (1)."""
    for english, chinese in _WORDS_ZH if language else ():
        value = value.replace(english, chinese)
    return value


#: The pages and what makes them.
PAGES: dict[Path, Callable[[], str]] = {
    _FOLDER / "limits.md": _english,
    _FOLDER / "zh" / "limits.md": _chinese,
    _FOLDER / "reference" / "configuration.md": configuration.english,
    _FOLDER / "zh" / "reference" / "configuration.md": configuration.chinese,
}


if __name__ == "__main__":
    for path, make in PAGES.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make())
        print(path)
