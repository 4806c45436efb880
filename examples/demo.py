"""`make demo`: start a server, embed texts, images and audio with plain boto3 code, search them with text;
then index a folder with files of all five kinds and search that.

Nothing in `embed` below is specific to Kilonova: it is code written for Amazon Nova on Bedrock.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import sample_folder  # beside this file
from rich.console import Console
from rich.table import Table

ITEMS = (
    "Tickets for the night train to Vienna can be refunded until one hour before departure.",
    "Boil the pasta for nine minutes in salted water, then toss it with garlic and olive oil.",
    "The warranty covers the battery for two years, but not damage caused by water.",
    "A golden retriever barks at the waves while the sun goes down over the beach.",
    "To reset the router, hold the button on its back for ten seconds.",
    "The museum opens at ten o'clock and is closed on Mondays.",
    "Vaccinated travellers need no test when they enter the country.",
    "海边的日落把沙滩染成了金色，孩子们在浪花里奔跑。",
    "这款手机的电池可以连续使用两天，充满电只需四十分钟。",
    "小狗听到门铃声就汪汪大叫，把邻居家的猫吓跑了。",
    "西红柿炒鸡蛋：先把鸡蛋炒熟盛出，再炒西红柿，最后一起翻炒加盐。",
    "租房合同期满前一个月，房东应书面通知房客是否续租。",
    "高铁从北京到上海大约需要四个半小时，每天有四十多趟。",
    "心肌梗死的常见症状是胸口疼痛、出冷汗和呼吸困难。",
)
QUERIES = (
    "日落海滩",
    "boats on the sea at sunset",
    "狗",
    "a galloping horse",
    "钢琴",
    "people singing",
    "a bird cries",
    "How do I cook eggs with tomatoes?",
    "手机充一次电能用多久？",
    "how long does the train from Beijing take",
)
SEARCHED = ("a horse", "狗在海边", "帆船", "how much did revenue grow?", "singing voices")
MEDIA = Path(__file__).with_name("media")


def embed(client: Any, item: str | Path, purpose: str) -> np.ndarray:
    """Embed a text or a file, as in AWS's documentation."""
    if isinstance(item, Path):
        content: dict[str, Any] = {"source": {"bytes": base64.b64encode(item.read_bytes()).decode()}}
        kind, content["format"] = {".webp": ("image", "webp"), ".ogg": ("audio", "ogg")}[item.suffix]
    else:
        kind, content = "text", {"truncationMode": "END", "value": item}
    request = {
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {"embeddingPurpose": purpose, "embeddingDimension": 1024, kind: content},
    }
    answer = client.invoke_model(modelId="amazon.nova-2-multimodal-embeddings-v1:0", body=json.dumps(request))
    return np.array(json.loads(answer["body"].read())["embeddings"][0]["embedding"])


def main() -> None:
    kilonova = str(Path(sys.executable).with_name("kilonova"))
    with tempfile.NamedTemporaryFile("w+") as log:
        server = subprocess.Popen([kilonova, "serve", "--port", "0"], stderr=log)
        try:
            port = wait_until_ready(server, Path(log.name))
            # what `eval "$(kilonova env --port PORT)"` does in a shell
            lines = subprocess.run([kilonova, "env", "--port", port], capture_output=True, text=True, check=True).stdout
            os.environ.update(re.findall(r"^export (\w+)='?([^'\n]*)'?$", lines, re.MULTILINE))
            search(boto3.client("bedrock-runtime"))
        finally:
            server.terminate()
            server.wait()
    index_and_search(kilonova)
    print('Start it yourself: .venv/bin/kilonova serve    Point your code at it: eval "$(.venv/bin/kilonova env)"')


def index_and_search(kilonova: str) -> None:
    """Run what a user would type in a shell."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "media"
        sample_folder.write(folder, ITEMS)
        for arguments in (["index", str(folder)], *(["search", query, "-k", "5"] for query in SEARCHED)):
            print(f"\n$ kilonova {' '.join(arguments)}", flush=True)
            subprocess.run([kilonova, *arguments, "--data", f"{home}/data"], check=True)


def wait_until_ready(server: subprocess.Popen[bytes], log: Path) -> str:
    """Return the server's port, once it says that it is ready."""
    while server.poll() is None:
        if found := re.search(r"Ready\..*--port (\d+)", log.read_text()):
            return found[1]
        try:
            server.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    raise SystemExit(f"The server did not start:\n{log.read_text()}")


def search(client: Any) -> None:
    shelves: dict[str, list[Any]] = {
        "TEXT_RETRIEVAL": list(ITEMS),
        "IMAGE_RETRIEVAL": sorted(MEDIA.glob("*.webp")),
        "AUDIO_RETRIEVAL": sorted(MEDIA.glob("*.ogg")),
    }
    indexes = {
        purpose: np.stack([embed(client, item, "GENERIC_INDEX") for item in items])
        for purpose, items in shelves.items()
    }
    count = sum(map(len, shelves.values()))
    table = Table(
        title=f"{count} texts, images and audio files embedded with boto3, searched with text", show_lines=True
    )
    for heading in ("query", "best text", "best image", "best audio"):
        table.add_column(heading, overflow="fold")
    for query in QUERIES:
        best: list[str] = []
        for purpose, items in shelves.items():
            scores = indexes[purpose] @ embed(client, query, purpose)
            item = items[int(scores.argmax())]
            best.append(f"{item.name if isinstance(item, Path) else item} ({scores.max():.2f})")
        table.add_row(query, *best)
    Console(width=max(110, Console().width)).print(table)


if __name__ == "__main__":
    main()
