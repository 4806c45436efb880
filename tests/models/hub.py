"""A hub of models on this machine, in the shapes of huggingface.co's API: listing and files with ranges."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Its models, and what befalls whoever downloads."""

    models: dict[str, dict[str, bytes]]
    licence: str = "apache-2.0"
    broken: set[str] = field(default_factory=set)  # files whose bytes are not what the listing says
    break_off: int | None = None  # bytes of a large file, after which connections close
    ended: bool = False  # the first such break is the last answer of all
    ranges: list[str] = field(default_factory=list)
    sent: int = 0
    broke_off: bool = False
    url: str = ""

    def entry(self, path: str, data: bytes) -> dict[str, object]:
        git = hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
        found: dict[str, object] = {"size": len(data), "blobId": git}
        if path.endswith((".safetensors", ".onnx")):
            sha = hashlib.sha256(data).hexdigest()
            found["lfs"] = {"size": len(data), "sha256": sha, "pointerSize": 130}
        return found

    @contextmanager
    def serve(self) -> Iterator[Hub]:
        with _Server(("127.0.0.1", 0), _Handler) as server:
            server.hub = self
            thread = Thread(target=server.serve_forever)
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_address[1]}"
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


class _Server(ThreadingHTTPServer):
    hub: Hub


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.server.hub.ended and self.server.hub.broke_off:
            self.close_connection = True
            return
        path = unquote(self.path.partition("?")[0])
        if listing := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/([^/]+)", path):
            self.listing(listing[1], listing[2])
        elif file := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
            self.file(self.server.hub.models[file[1]][file[2]], file[2])
        else:
            self.answer(404, b"{}", {"X-Error-Code": "EntryNotFound"})

    def listing(self, repository: str, revision: str) -> None:
        hub = self.server.hub
        if revision not in ("main", COMMIT):
            return self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        if repository not in hub.models:
            return self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        files = [{**hub.entry(path, data), "rfilename": path} for path, data in hub.models[repository].items()]
        facts = {"id": repository, "sha": COMMIT, "siblings": files, "cardData": {"license": hub.licence}}
        return self.answer(200, json.dumps(facts).encode(), {})

    def file(self, data: bytes, path: str) -> None:
        hub, size = self.server.hub, len(data)
        headers = {"Accept-Ranges": "bytes"}
        if path in hub.broken:
            data = data[::-1]
        status = 200
        if (wanted := self.headers.get("Range")) and (found := re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)):
            hub.ranges.append(wanted)
            status, data = 206, data[int(found[1]) :]
            headers["Content-Range"] = f"bytes {found[1]}-{size - 1}/{size}"
        self.answer(status, data, headers)

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        hub = self.server.hub
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if hub.break_off is not None and len(body) > hub.break_off:
            body = body[: hub.break_off]
            self.close_connection = hub.broke_off = True
        self.wfile.write(body)
        hub.sent += len(body)
