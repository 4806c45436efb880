"""What the servers that stand in for others have in common."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.status, self.code = status, code


class StandIn(ABC):
    """Serves JSON on a free port of 127.0.0.1 until it is left."""

    def __init__(self) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer is one packet
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                """Quiet."""

            def _answer(self) -> None:
                body, url = self.rfile.read(int(self.headers.get("content-length") or 0)), urlsplit(self.path)
                headers = {"Content-Type": "application/json"}
                try:
                    status, found = 200, server.answer(self.command, unquote(url.path), url.query, body)
                except Refused as refused:
                    said = {"type": refused.code, "reason": str(refused)}
                    status, found = refused.status, {"message": str(refused), "error": said}
                    headers["x-amzn-errortype"] = refused.code
                data = json.dumps(found).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever)

    @abstractmethod
    def answer(self, method: str, path: str, query: str, body: bytes) -> Any:
        """What is answered, or ``Refused``."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
