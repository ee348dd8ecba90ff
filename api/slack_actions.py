"""What the buttons and the modals of a card do, after Slack has its answer.

A click is only a message that says who pressed what: the user's role is asked from Slack, and the decision is taken by the
same code as one through the API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from slack_bolt import Ack, BoltContext
from slack_sdk import WebClient

from api.deciding import Exchange, refuse, take_answer
from api.parts import ApiParts
from api.slack_clicks import Click, read_click, read_snooze, read_submission
from api.slack_desk import EXCHANGE, KEY, SlackDesk
from api.slack_snoozes import take_snooze
from api.slack_users import call
from api.slack_views import MAX_REASON, REASON_BLOCK, details_view, reject_view, snooze_view
from sentinel.approvals import Choice, Role
from sentinel.errors import PermanentError, RefusedError, TransientError
from sentinel.logs import get_logger
from sentinel.stores.sql.approvals import Answer

log = get_logger("api")


class SlackActions:
    """The listeners of the card."""

    def __init__(self, parts: ApiParts, desk: SlackDesk, client: WebClient) -> None:
        self._parts = parts
        self._desk = desk
        self._client = client

    def approve(self, ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        """The button Approve."""
        ack()
        self._decide(read_click(body), Choice.APPROVE, context)

    def reject(self, ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        """The modal with the reason of a rejection."""
        click = read_submission(body)
        if not 0 < len(click.reason) <= MAX_REASON:
            ack(response_action="errors", errors={REASON_BLOCK: f"Give a reason of at most {MAX_REASON} characters."})
            return
        ack()
        self._decide(click, Choice.REJECT, context)

    def ask_why(self, ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        """The button Reject."""
        ack()
        click = read_click(body)
        self._open(click, context, lambda: reject_view(click.request_id, click.digest, click.channel))

    def details(self, ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        """The button Details."""
        ack()
        click = read_click(body)
        self._open(click, context, lambda: self._details_of(click))

    def ask_how_long(self, ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        """The button Snooze."""
        ack()
        click = read_click(body)
        self._open(click, context, lambda: snooze_view(click.request_id, click.digest, click.channel))

    def snooze(self, ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        """The modal that says for how long."""
        ack()
        click, seconds = read_snooze(body)
        exchange: Exchange = context[EXCHANGE]
        try:
            role = self._desk.require(click.user, click.channel, Role.APPROVER, "snoozing")
            take_snooze(self._parts, click, seconds, role, exchange)
        except RefusedError as error:
            self._desk.refused("approval.refused", click.request_id, f"slack:{click.user}", error, exchange)
            self._desk.say(click.channel, click.user, f"Not snoozed: {error.reason}.")
        except TransientError as error:
            log.warning("slack_snooze_not_recorded", error=str(error))
            self._desk.say(click.channel, click.user, "Not snoozed, because something is away. Try again.")
            return
        self._desk.finish(context)

    def _details_of(self, click: Click) -> dict[str, Any]:
        stores = self._parts.stores
        request = stores.approvals.get(click.request_id)
        incident = stores.incidents.get(request.incident_id) if request else None
        if request is None or incident is None:
            raise RefusedError("unknown_request", f"there is no approval request {click.request_id!r}")
        return details_view(request, incident, stores.runs.timeline(request.incident_id))

    def _open(self, click: Click, context: BoltContext, make: Callable[[], dict[str, Any]]) -> None:
        try:
            self._desk.check_channel(click.channel)
            call(self._client.views_open, trigger_id=click.trigger_id, view=make())
        except (RefusedError, TransientError, PermanentError) as error:
            self._desk.say(click.channel, click.user, f"That did not work: {error}")
        self._desk.finish(context)

    def _decide(self, click: Click, choice: Choice, context: Mapping[str, Any]) -> None:
        exchange: Exchange = context[EXCHANGE]
        answer = Answer(
            request_id=click.request_id,
            digest=click.digest,
            choice=choice,
            actor=f"slack:{click.user}",
            role=Role.VIEWER,
            reason=click.reason,
            idempotency_key=str(context[KEY]),
            final=click.final,
        )
        try:
            take_answer(self._parts, self._with_role(click, answer, exchange), exchange)
        except RefusedError as error:
            self._desk.say(click.channel, click.user, f"Not recorded: {error.reason}.")
        except TransientError as error:
            log.warning("slack_answer_not_recorded", error=str(error))
            text = "Not recorded, because something is away. Try again, or use `sentinel approvals`."
            self._desk.say(click.channel, click.user, text)
            return
        self._desk.finish(context)

    def _with_role(self, click: Click, answer: Answer, exchange: Exchange) -> Answer:
        """The answer with the role that the user has now; who may not answer here is refused, with an audit record."""
        try:
            role = self._desk.role_of(click.user, click.channel)
        except RefusedError as error:
            refuse(self._parts, answer, error, exchange)
            raise
        return replace(answer, role=role)
