"""ClickHouse's HTTP interface over the real engine in this process: `python clickhouse_front.py DIRECTORY PORT`.

It stands for a server in tests, so that several processes can share one history by URL. What it knows of the interface
is what clients use: statements as body, `param_*`, `database` and settings as query parameters, inserts in Native
format (statement, line end and binary in one body), compressed bodies, errors with ClickHouse's code in a header.
"""

from __future__ import annotations

import gzip
import re
import signal
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame
from backports import zstd

TRANSPORT = {
    *("database", "query", "query_id", "session_id", "session_timeout", "session_check", "quota_key", "compress"),
    *("decompress", "wait_end_of_query", "client_protocol_version", "role", "send_progress_in_http_headers"),
    *("http_headers_progress_interval_ms", "enable_http_compression", "buffer_size"),
}
"""Query parameters of the HTTP interface itself; every other one is a setting of the statement."""

INSERT = re.compile(rb"(INSERT INTO [^\n]*) FORMAT (\w+)\n", re.IGNORECASE)
CODE = re.compile(r"Code: (\d+)")


def unpack(body: bytes, encoding: str) -> bytes:
    """The body as it was before compression."""
    if encoding == "lz4":
        return unpack_lz4(body)
    if encoding == "zstd":
        return zstd.decompress(body)
    return gzip.decompress(body) if encoding == "gzip" else body


def unpack_lz4(body: bytes) -> bytes:
    """Every frame: the client sends one per block, and `lz4.frame.decompress` reads the first and drops the rest."""
    parts = []
    while body:
        frame = lz4.frame.LZ4FrameDecompressor()
        parts.append(frame.decompress(body))
        body = frame.unused_data or b""
    return b"".join(parts)


class Session:
    """One client connection's handle on the engine: its database and settings are its own."""

    def __init__(self, path: str) -> None:
        self._handle = chdb.connect(path)

    def run(self, parameters: dict[str, str], body: bytes) -> bytes:
        """Run one request's statement; raises the engine's error."""
        bound = {name.removeprefix("param_"): value for name, value in parameters.items() if name.startswith("param_")}
        settings = {k: v for k, v in parameters.items() if k not in TRANSPORT and not k.startswith("param_")}
        if parameters.get("database"):
            self._handle.query(f"USE `{parameters['database']}`", "TabSeparated")
        for name, value in settings.items():
            self._handle.query(f"SET {name} = '{value}'", "TabSeparated")
        try:
            if insert := INSERT.match(body):
                return self._insert(insert.group(1).decode(), insert.group(2).decode(), body[insert.end() :])
            statement = "\n".join(part for part in (parameters.get("query", ""), body.decode()) if part)
            return bytes(self._handle.query(statement, "TabSeparated", params=bound).bytes() or b"")
        finally:
            for name in settings:
                self._handle.query(f"SET {name} = DEFAULT", "TabSeparated")

    def _insert(self, statement: str, data_format: str, data: bytes) -> bytes:
        with tempfile.NamedTemporaryFile(suffix=".native") as file:
            file.write(data)
            file.flush()
            self._handle.query(f"{statement} FROM INFILE '{file.name}' FORMAT {data_format}", "TabSeparated")
        return b""

    def close(self) -> None:
        """Give the handle back."""
        self._handle.close()


class Handler(BaseHTTPRequestHandler):
    """One client connection (HTTP/1.1, kept alive)."""

    protocol_version = "HTTP/1.1"
    path_of_data = ""
    # Head and body in one packet at once, or each answer waits 40 ms for the client's delayed acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self.session = Session(self.path_of_data)

    def finish(self) -> None:
        self.session.close()
        super().finish()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/ping":
            self._answer(200, b"Ok.\n", {})
        else:
            self._run(dict(parse_qsl(url.query, keep_blank_values=True)), b"")

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        body = unpack(self._body(), self.headers.get("Content-Encoding", ""))
        self._run(dict(parse_qsl(url.query, keep_blank_values=True)), body)

    def _run(self, parameters: dict[str, str], body: bytes) -> None:
        try:
            result = self.session.run(parameters, body)
        except RuntimeError as error:
            code = CODE.search(str(error))
            self._answer(500, str(error).encode(), {"X-ClickHouse-Exception-Code": code.group(1) if code else "1001"})
        else:
            self._answer(200, result, {"X-ClickHouse-Format": "TabSeparated"} if result else {})

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "X-ClickHouse-Summary": "{}", "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Requests are not worth a line each."""


def main(directory: str, port: int) -> None:
    """Serve until SIGTERM."""
    keep_open = chdb.connect(directory)  # the engine ends with its last handle
    Handler.path_of_data = directory
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    try:
        server.serve_forever(poll_interval=0.05)
    finally:
        keep_open.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
