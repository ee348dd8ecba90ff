"""What doubles of HTTP destinations share: a real server on the loopback, and faults on demand."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import deque
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

_DROPPED = {"x-dropped": "1"}


class HttpDouble:
    """Listens on a free port of 127.0.0.1 until `close`. `taken` has (path, headers, body) of all that was processed.

    Faults are queued with `fail`, one for each request: `lose` (not processed, no answer), `lose_answer` (processed, no
    answer), `repeat` (processed twice, as by a network that sends again), `delay` (`seconds`, then as usual), `late`
    (answers 504 and processes it at `release`, after others), `drip` (a byte of the answer now and then), `status`
    (`status`, `headers`, `body`), `echo` (400 with all that was sent), `hold` (answers when `go` is set; `inside` is set
    meanwhile; `taken_first`: processed before that, else not at all).
    """

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, str], bytes]] = []
        self._faults: deque[tuple[str, dict[str, Any]]] = deque()
        self._held: list[tuple[str, dict[str, str], bytes]] = []
        self._lock = threading.Lock()
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.requests = 0
        self.inside, self.go = threading.Event(), threading.Event()
        app = Starlette(routes=[Route("/{path:path}", self._serve, methods=["GET", "POST", "PUT"])])
        self._server = uvicorn.Server(uvicorn.Config(_cut_off(app), log_config=None, lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]})
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    @property
    def host(self) -> str:
        """`host:port`."""
        return self.url.removeprefix("http://")

    def close(self):
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(10)

    def fail(self, fault, times=1, **more):
        self._faults.extend([(fault, more)] * times)

    def release(self):
        """What was held comes in now, in reverse order."""
        while self._held:
            self._process(*self._held.pop())

    def reset(self):
        self.taken.clear()
        self._faults.clear()
        self._held.clear()
        self.requests = 0

    def answer(self, path, headers, body):
        """What the destination does with a request: (status, body). Called under a lock."""
        return 200, b"ok"

    def _process(self, path, headers, body):
        with self._lock:
            status, answer = self.answer(path, headers, body)
            if status < 300:
                self.taken.append((path, headers, body))
        return status, answer

    async def _serve(self, request: Request) -> Response:
        path, headers, body = request.url.path, dict(request.headers), await request.body()
        return await run_in_threadpool(self._respond, request.method, path, headers, body)

    def _respond(self, method, path, headers, body):
        with self._lock:
            self.requests += 1
            fault, more = self._faults.popleft() if self._faults else ("", {})
        if method != "POST":
            return Response(status_code=405)
        early = self._early(fault, more, path, headers, body)
        if early is not None:
            return early
        if fault == "delay":
            time.sleep(more["seconds"])
        if fault == "repeat":
            self._process(path, headers, body)
        status, answer = self._process(path, headers, body)
        if fault == "lose_answer":
            return Response(headers=_DROPPED)
        if fault == "drip":
            return StreamingResponse(_dripped(more["seconds"]), 200)
        return Response(answer, status)

    def _early(self, fault, more, path, headers, body):
        """The answer of faults that do not process the request as usual; None for others."""
        match fault:
            case "lose":
                return Response(headers=_DROPPED)
            case "status":
                return Response(more.get("body", "upstream error"), more["status"], headers=more.get("headers"))
            case "echo":
                shown = "\n".join(f"{name}: {value}" for name, value in headers.items())
                return Response(f"{body.decode()[:400]}\n{shown}", 400)
            case "late":
                self._held.append((path, headers, body))
                return Response("gateway time-out", 504)
            case "hold":
                answer = self._process(path, headers, body)[1] if more["taken_first"] else b""
                self.inside.set()
                self.go.wait(60)
                return Response(answer, 200)
        return None


async def _dripped(seconds):
    for _ in range(int(seconds / 0.05)):
        yield b"x"
        await asyncio.sleep(0.05)


def _cut_off(app):
    """Closes the connection, without a byte of an answer, where a route answers with `_DROPPED`."""

    async def guarded(scope, receive, send):
        async def send_or_cut(message):
            if dict(message.get("headers", ())).get(b"x-dropped"):
                send.__self__.transport.abort()
                await asyncio.sleep(0.01)
            await send(message)

        await app(scope, receive, send_or_cut)

    return guarded
