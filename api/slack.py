"""`/slack/events`: what people do on the cards, over HTTP. Checks the signature, and hands on what Slack really sent.

Configure the app's interactivity URL and the URL of its slash command as `https://…/slack/events`. Where Slack cannot
reach the API, `slack_socket.py` takes the same requests in over a connection to Slack.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.deciding import Exchange
from api.failures import FailureBudget
from api.parts import ApiParts
from api.problems import ProblemError
from api.slack_app import RETRY_HEADER, SlackApp
from api.slack_signature import SIGNATURE_HEADER, check_signature
from sentinel import metrics
from sentinel.slack_settings import SlackSettings

PATH = "/slack/events"
"""Where Slack sends clicks and commands."""


async def _raw_body(request: Request) -> bytes:
    return await request.body()


def slack_router(settings: SlackSettings, parts: ApiParts, failures: FailureBudget) -> APIRouter:
    """The route for Slack; connects to nothing. `failures` bounds what strangers can put into the audit."""
    entrance = _Entrance(settings, parts, failures)
    router = APIRouter()

    @router.post(PATH, include_in_schema=False)
    def receive(request: Request, body: Annotated[bytes, Depends(_raw_body)]) -> Response:
        """Not a coroutine: database and dispatch wait in a thread of the pool."""
        return entrance.receive(request, body)

    return router


class _Entrance:
    """From the HTTP request to Bolt: signature and replay."""

    def __init__(self, settings: SlackSettings, parts: ApiParts, failures: FailureBudget) -> None:
        self._secret = settings.signing_secret.get_secret_value()
        self._parts = parts
        self._failures = failures
        self._app = SlackApp(settings, parts)

    def receive(self, request: Request, body: bytes) -> Response:
        headers, now = request.headers, self._parts.now()
        if reason := check_signature(self._secret, headers, body, now):
            raise self._refused(request, "signature", reason)
        if not self._parts.stores.seen.add(f"slack-signature:{headers[SIGNATURE_HEADER]}", now=now):
            if RETRY_HEADER in headers:
                return Response()
            raise self._refused(request, "replayed", "its signature was seen before")
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise ProblemError(400, "the body is not UTF-8", rule="not_utf8") from error
        exchange = Exchange(request.state.request_id, request.state.trace_id)
        answer = self._app.take(text, dict(headers), hashlib.sha256(body).hexdigest(), exchange)
        return Response(answer.body, answer.status, answer.first_headers_without_set_cookie())

    def _refused(self, request: Request, rule: str, reason: str) -> ProblemError:
        metrics.AUTHENTICATION_FAILURES.inc()
        now = self._parts.now()
        if not self._failures.spend(now):
            return ProblemError(
                429, "too many refused requests", rule="too_many_failures", headers={"Retry-After": "60"}
            )
        self._parts.stores.audit.append(
            actor="unknown",
            action="approval.login_failed",
            target=PATH,
            reason=reason,
            at=now,
            details={
                "request_id": request.state.request_id,
                "rule": rule,
                "client": request.client.host if request.client else "",
            },
            trace_id=request.state.trace_id,
        )
        return ProblemError(401, reason, rule=rule)
