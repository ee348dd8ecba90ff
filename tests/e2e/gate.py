"""A door between worker and fleet that a test can hold: an action is kept back, or done without an answer."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx


class Gate:
    """Forwards HTTP to the fleet. Holds actions (no dry runs) before they reach the fleet, or their answers, when told to.

    What is held is dropped when its caller dies and let go by `open`.
    """

    def __init__(self, fleet: str) -> None:
        self.fleet = fleet
        self.hold_action = False
        self.hold_answer = False
        self.held = threading.Event()
        """Set while an action or its answer is held."""
        self._open = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def open(self) -> None:
        """Hold nothing any more; an action that waited before the fleet is dropped, as if the network had lost it."""
        self.hold_action = self.hold_answer = False
        self._open.set()
        self._open = threading.Event()
        self.held.clear()

    def close(self) -> None:
        """Stop forwarding."""
        self.open()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self) -> None:
        """Stand still until `open`."""
        gate = self._open
        self.held.set()
        gate.wait(60)


def _handler(gate: Gate) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._forward(b"")

        def do_POST(self) -> None:
            self._forward(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _forward(self, body: bytes) -> None:
            acts = "/actions/" in self.path and b'"dry_run":false' in body.replace(b" ", b"")
            if acts and gate.hold_action:
                gate.wait()
                self.close_connection = True
                return
            answer = httpx.request(
                self.command, gate.fleet + self.path, content=body, headers={"Content-Type": "application/json"}
            )
            if acts and gate.hold_answer:
                gate.wait()
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["content-type"])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
            """Requests are not worth a line each."""

    return Handler
