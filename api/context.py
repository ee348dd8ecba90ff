"""Around every request: its id and trace, the log lines' fields, metrics, the size limit, and errors nobody caught."""

from __future__ import annotations

import re
import uuid
from time import perf_counter

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem_response
from sentinel import metrics
from sentinel.logs import get_logger, trace
from sentinel.traces import read_traceparent, trace_hex, write_traceparent

MAX_BODY = 65_536
"""Bytes of a request's body; the largest legal one, a decision with its reason, is below 10 kB."""
LARGER = {"/slack/events": 1_048_576}
"""Routes with another limit: Slack sends the whole card along with each click, and encodes it twice."""

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

log = get_logger("api")


class RequestContext:
    """The outermost ASGI layer. Sets `request.state.request_id` and `request.state.trace_id`.

    `X-Request-ID` comes back as it came when it is 1 to 128 of `A-Z a-z 0-9 . _ -`; otherwise a new one is made, so
    that nothing foreign gets into logs and headers. `traceparent` (W3C) gives the trace id.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        with trace(exchange.trace_id, request_id=exchange.request_id):
            try:
                await exchange.run(self._app)
            finally:
                exchange.count()


class _Exchange:
    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        parent = read_traceparent(headers.get("traceparent", "").encode("latin-1"))
        self.trace_id = trace_hex(*parent) if parent else uuid.uuid4().hex
        scope.setdefault("state", {}).update(request_id=self.request_id, trace_id=self.trace_id)
        self._scope, self._receive, self._send = scope, receive, send
        self._started = perf_counter()
        self._status = 0
        self._limit = self._left = LARGER.get(scope["path"], MAX_BODY)
        self._declared = headers.get("content-length", "0")

    async def run(self, app: ASGIApp) -> None:
        request = Request(self._scope)
        try:
            if self._declared.isdigit() and int(self._declared) > self._limit:
                await self._answer(request, 413, self._too_large(), "too_large")
            else:
                await app(self._scope, self._receive_limited, self._send_marked)
        except Exception:
            # The last line: any defect must still be answered as a problem, and logged with its traceback.
            log.exception("unhandled_error", path=self._scope["path"])
            if self._status:
                raise
            await self._answer(request, 500, "an unexpected error; the log has the reason", "internal")

    def count(self) -> None:
        route = getattr(self._scope.get("route"), "path", "unmatched")
        method, seconds = self._scope["method"], perf_counter() - self._started
        metrics.HTTP_REQUESTS.labels(method if method in _METHODS else "other", route, str(self._status)).inc()
        metrics.HTTP_SECONDS.labels(route).observe(seconds)
        log.info("request", method=method, path=self._scope["path"], status=self._status, seconds=round(seconds, 6))

    def _too_large(self) -> str:
        return f"the body is larger than {self._limit} bytes"

    async def _answer(self, request: Request, status: int, detail: str, rule: str) -> None:
        response = problem_response(request, status, detail, rule=rule)
        await response(self._scope, self._receive, self._send_marked)

    async def _receive_limited(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise HTTPException(413, self._too_large())
        return message

    async def _send_marked(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self.request_id
            headers["traceparent"] = write_traceparent(self.trace_id).decode()
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Cache-Control"] = "no-store"
        await self._send(message)
