"""Socket Mode of Slack's double: tickets that count once, envelopes, acknowledgements, and connections that end.

An envelope that was not acknowledged is delivered again, with a retry number, when the next connection is open.
"""

import asyncio
import itertools
import json
import threading
import time

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect


class Sockets:
    """`open` counts the connections; `acks` holds the answer to each envelope."""

    def __init__(self):
        self.acks = {}
        self.tickets, self.used = itertools.count(1), set()
        self._waiting, self._sent = {}, itertools.count(1)
        self._open, self._loop = [], None
        self._changed = threading.Condition()

    @property
    def open(self):
        return len(self._open)

    def new_url(self, base):
        ticket = next(self.tickets)
        return f"{base.replace('http:', 'ws:').removesuffix('api/')}link/?ticket={ticket}&app_id=A1"

    def serve(self, app):
        async def link(socket):
            ticket = socket.query_params["ticket"]
            if ticket in self.used:
                await socket.close(4001)
                return
            self.used.add(ticket)
            await socket.accept()
            await self._talk(socket)

        app.router.routes.append(WebSocketRoute("/link/", link))

    async def _talk(self, socket):
        self._loop = asyncio.get_running_loop()
        await socket.send_text(json.dumps({"type": "hello", "num_connections": 1}))
        for envelope in [*self._waiting.values()]:
            again = {**envelope, "retry_attempt": envelope.get("retry_attempt", 0) + 1, "retry_reason": "timeout"}
            self._waiting[envelope["envelope_id"]] = again
            await socket.send_text(json.dumps(again))
        with self._changed:
            self._open.append(socket)
            self._changed.notify_all()
        try:
            while True:
                answer = json.loads(await socket.receive_text())
                self._waiting.pop(answer["envelope_id"], None)
                with self._changed:
                    self.acks.setdefault(answer["envelope_id"], []).append(answer.get("payload"))
                    self._changed.notify_all()
        except WebSocketDisconnect:
            pass
        finally:
            with self._changed:
                self._open.remove(socket)
                self._changed.notify_all()

    def wait_open(self, count=1, seconds=20.0):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._open) >= count, seconds), "no connection"

    def wait_acks(self, envelope_id, count=1, seconds=10.0):
        def there():
            return len(self.acks.get(envelope_id, ())) >= count

        with self._changed:
            assert self._changed.wait_for(there, seconds), "no acknowledgement"
        return self.acks[envelope_id]

    def deliver(self, kind, payload, *, envelope_id=None):
        """Send an envelope over the newest connection; returns its id and what came back, once it did."""
        sent, _ = self.post(kind, payload, envelope_id=envelope_id)
        return sent, self.wait_acks(sent)[-1]

    def post(self, kind, payload, *, envelope_id=None):
        """Send an envelope and wait for nothing."""
        name = envelope_id or f"envelope-{next(self._sent)}"
        envelope = {"envelope_id": name, "type": kind, "payload": payload, "accepts_response_payload": True}
        self._waiting[name] = envelope
        self._run(self._open[-1].send_text(json.dumps(envelope)))
        return name, envelope

    def refresh(self):
        """Slack renews the connection: says so, waits for another, closes the old one."""
        old = self._open[-1]
        self._run(old.send_text(json.dumps({"type": "disconnect", "reason": "refresh_requested"})))
        return old

    def drop(self):
        """Every connection breaks without a word."""
        for socket in [*self._open]:
            self._run(socket.close(1011))
        end = time.monotonic() + 5
        while self._open and time.monotonic() < end:
            time.sleep(0.01)

    def _run(self, coroutine):
        assert self._loop is not None, "no connection yet"
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(5)
