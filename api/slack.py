"""`/slack/events`: what people do on the cards. Checks the signature, answers at once, and works after that.

A click is only a message that says who pressed what: the user's role is asked from Slack, and the decision is taken by the
same code as one through the API. Configure the app's interactivity URL as `https://…/slack/events`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from slack_bolt import Ack, App, BoltContext, BoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient

from api.deciding import Exchange, refuse, take_answer
from api.failures import FailureBudget
from api.parts import ApiParts
from api.problems import ProblemError
from api.slack_clicks import Click, read_click, read_submission
from api.slack_signature import SIGNATURE_HEADER, check_signature
from api.slack_users import SlackUsers, call, open_client
from api.slack_views import MAX_REASON, REASON_BLOCK, details_view, reject_view
from sentinel import metrics
from sentinel.approvals import Choice, Role
from sentinel.errors import PermanentError, RefusedError, TransientError
from sentinel.logs import get_logger
from sentinel.slack_blocks import APPROVE, DETAILS, REJECT, REJECT_VIEW, line
from sentinel.slack_settings import SlackSettings
from sentinel.stores.sql.approvals import Answer

PATH = "/slack/events"
"""Where Slack sends clicks."""
RETRY_HEADER = "x-slack-retry-num"

log = get_logger("api")


async def _raw_body(request: Request) -> bytes:
    return await request.body()


def slack_router(settings: SlackSettings, parts: ApiParts, failures: FailureBudget) -> APIRouter:
    """The route for Slack; connects to nothing. `failures` bounds what strangers can put into the audit."""
    client = open_client(settings)
    clicks = _Clicks(settings, parts, client)
    app = App(
        client=client,
        authorize=_authorize(settings),
        # The route checks it: with its own clock, in SQL against replays, and on the raw bytes.
        request_verification_enabled=False,
    )
    clicks.listen(app)
    entrance = _Entrance(settings, parts, failures, app)
    router = APIRouter()

    @router.post(PATH, include_in_schema=False)
    def receive(request: Request, body: Annotated[bytes, Depends(_raw_body)]) -> Response:
        """Not a coroutine: database and dispatch wait in a thread of the pool."""
        return entrance.receive(request, body)

    return router


def _authorize(settings: SlackSettings) -> Callable[[], AuthorizeResult]:
    """One workspace and one token: nothing to look up."""

    def authorize() -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id=None, bot_token=settings.token.get_secret_value())

    return authorize


class _Entrance:
    """From the HTTP request to Bolt: signature, replay, repetition."""

    def __init__(self, settings: SlackSettings, parts: ApiParts, failures: FailureBudget, app: App) -> None:
        self._secret = settings.signing_secret.get_secret_value()
        self._parts = parts
        self._failures = failures
        self._app = app

    def receive(self, request: Request, body: bytes) -> Response:
        headers, now = request.headers, self._parts.now()
        if reason := check_signature(self._secret, headers, body, now):
            raise self._refused(request, "signature", reason)
        signature = headers[SIGNATURE_HEADER]
        again = RETRY_HEADER in headers
        if not self._parts.stores.seen.add(f"slack-signature:{signature}", now=now):
            if again:
                return Response()
            raise self._refused(request, "replayed", "its signature was seen before")
        key = hashlib.sha256(body).hexdigest()
        if self._parts.stores.seen.has(_done(key)):
            log.info("slack repeated a request that is done", retry=headers.get(RETRY_HEADER, ""))
            return Response()
        return self._dispatch(request, body, key)

    def _dispatch(self, request: Request, body: bytes, key: str) -> Response:
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise ProblemError(400, "the body is not UTF-8", rule="not_utf8") from error
        incoming = BoltRequest(body=text, headers=dict(request.headers))
        incoming.context["sentinel_key"] = key
        incoming.context["sentinel_exchange"] = Exchange(request.state.request_id, request.state.trace_id)
        answer = self._app.dispatch(incoming)
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


class _Clicks:
    """What the buttons and the modal do, after Slack has its answer."""

    def __init__(self, settings: SlackSettings, parts: ApiParts, client: WebClient) -> None:
        self._channels = settings.allowed_channels
        self._parts = parts
        self._client = client
        self._users = SlackUsers(client, settings.users)

    def listen(self, app: App) -> None:
        app.action(APPROVE)(self._approve)
        app.action(REJECT)(self._ask_why)
        app.action(DETAILS)(self._details)
        app.view(REJECT_VIEW)(self._reject)

    def _approve(self, ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        ack()
        self._decide(read_click(body), Choice.APPROVE, context)

    def _reject(self, ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        click = read_submission(body)
        if not 0 < len(click.reason) <= MAX_REASON:
            ack(response_action="errors", errors={REASON_BLOCK: f"Give a reason of at most {MAX_REASON} characters."})
            return
        ack()
        self._decide(click, Choice.REJECT, context)

    def _ask_why(self, ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        ack()
        click = read_click(body)
        self._open(click, context, lambda: reject_view(click.request_id, click.digest, click.channel))

    def _details(self, ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        ack()
        click = read_click(body)
        self._open(click, context, lambda: self._details_of(click))

    def _details_of(self, click: Click) -> dict[str, Any]:
        request = self._parts.stores.approvals.get(click.request_id)
        if request is None:
            raise RefusedError("unknown_request", f"there is no approval request {click.request_id!r}")
        return details_view(request, self._parts.stores.runs.timeline(request.incident_id))

    def _open(self, click: Click, context: BoltContext, make: Callable[[], dict[str, Any]]) -> None:
        try:
            self._check_channel(click)
            call(self._client.views_open, trigger_id=click.trigger_id, view=make())
        except (RefusedError, TransientError, PermanentError) as error:
            self._say(click, f"That did not work: {error}")
        self._finish(context)

    def _decide(self, click: Click, choice: Choice, context: Mapping[str, Any]) -> None:
        exchange: Exchange = context["sentinel_exchange"]
        answer = Answer(
            request_id=click.request_id,
            digest=click.digest,
            choice=choice,
            actor=f"slack:{click.user}",
            role=Role.VIEWER,
            reason=click.reason,
            idempotency_key=str(context["sentinel_key"]),
        )
        try:
            take_answer(self._parts, self._with_role(click, answer, exchange), exchange)
        except RefusedError as error:
            self._say(click, f"Not recorded: {error.reason}.")
        except TransientError as error:
            log.warning("slack_answer_not_recorded", error=str(error))
            self._say(click, "Not recorded, because something is away. Try again, or use `sentinel approvals`.")
            return
        self._finish(context)

    def _with_role(self, click: Click, answer: Answer, exchange: Exchange) -> Answer:
        """The answer with the role that the user has now; who may not answer here is refused, with an audit record."""
        try:
            self._check_channel(click)
            role = self._users.role_of(click.user)
        except RefusedError as error:
            refuse(self._parts, answer, error, exchange)
            raise
        return replace(answer, role=role)

    def _check_channel(self, click: Click) -> None:
        if click.channel not in self._channels:
            raise RefusedError("channel", f"answers in the channel {click.channel!r} do not count")

    def _say(self, click: Click, text: str) -> None:
        """Tell the one person; that they cannot be told changes nothing."""
        try:
            call(self._client.chat_postEphemeral, channel=click.channel, user=click.user, text=line(text, 1000))
        except (TransientError, PermanentError) as error:
            log.warning("slack_user_not_told", error=str(error))

    def _finish(self, context: Mapping[str, Any]) -> None:
        """The same body again (Slack repeats what it thinks was lost) is answered without doing anything."""
        self._parts.stores.seen.add(_done(str(context["sentinel_key"])), now=self._parts.now())


def _done(key: str) -> str:
    return f"slack-done:{key}"
