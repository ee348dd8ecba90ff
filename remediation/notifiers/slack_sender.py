"""Brings the cards of one channel up to date, in a thread of its own: what Slack does holds up no run and no other channel.

A call whose answer was lost is not repeated blindly: the next try first looks in the channel whether the message is there.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace

from remediation.notifiers.slack_card import CardFacts, Message, render_card
from remediation.notifiers.slack_client import MessageGoneError, RateLimitedError, SlackClient, UnsureError
from remediation.notifiers.slack_pictures import CardPictures
from sentinel.approvals import ApprovalRequest, ApprovalStatus
from sentinel.canonical import digest
from sentinel.errors import PermanentError, SentinelError, TransientError
from sentinel.logs import get_logger
from sentinel.metrics import NOTIFICATIONS
from sentinel.runs import TimelineRow
from sentinel.slack_blocks import line, slack_time
from sentinel.stores.sql.cards import Card
from sentinel.stores.sql.stores import SqlStores

LEASE = 30.0
"""Wall seconds that one card belongs to one sender; longer than the calls that it takes."""
SKEW = 300.0
"""Seconds that the clocks of Slack and of this machine may differ when a lost message is looked for."""
RETRY_FIRST, RETRY_MAX, RETRY_REFUSED = 1.0, 60.0, 300.0
"""Pauses before a card is tried again: after the first failure, the longest, and when Slack refuses the call."""
MAX_STEPS = 12
"""Timeline rows in one message of the thread."""

log = get_logger(__name__)


class SlackSender:
    """The sender of one channel."""

    def __init__(
        self,
        client: SlackClient,
        stores: SqlStores,
        channel: str,
        now: Callable[[], float],
        *,
        pictures: CardPictures,
    ) -> None:
        """`now` is wall time in seconds."""
        self._client = client
        self._pictures = pictures
        self._stores = stores
        self._channel = channel
        self._now = now
        self._blocked_until = 0.0
        self._wake = threading.Event()

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()

    def run(self, stop: threading.Event, poll: float) -> None:
        """Send until `stop` is set (call `wake` then); looks for changes of other processes every `poll` seconds."""
        while not stop.is_set():
            self._wake.clear()
            try:
                worked = self.step()
            except SentinelError as error:
                log.warning("slack waits", channel=self._channel, reason=str(error))
                worked = False
            if not worked:
                self._wake.wait(poll)

    def step(self) -> bool:
        """Work on one card; False when there is none or Slack wants a pause. Raises when the database is away."""
        now = self._now()
        if now < self._blocked_until:
            return False
        self._stores.snoozes.wake(now)
        card = self._stores.cards.take(self._channel, now=now, lease=LEASE)
        if card is None:
            return False
        try:
            self._deliver(card)
        except RateLimitedError as error:
            self._blocked_until = self._now() + error.seconds
            # The call did nothing, so only what was unsure before it still is.
            self._put_back(card, "rate_limited", str(error), lease_until=0.0, unsure_since=card.unsure_since)
        except UnsureError as error:
            self._put_back(card, "unsure", str(error), **self._later(card, RETRY_FIRST))
        except TransientError:
            raise
        except (
            Exception
        ) as error:  # a defect in one card, or what Slack refuses, must not hold up the others: it is told loudly
            log.exception("card failed", channel=self._channel, incident_id=card.incident_id)
            values = self._later(card, RETRY_REFUSED)
            self._put_back(card, "refused", str(error), **values, unsure_since=card.unsure_since)
        return True

    def _deliver(self, card: Card) -> None:
        facts = self._facts(card.incident_id)
        if card.unsure_since:
            card = self._look_for_lost(card)
        if card.behind:
            self._show(card, facts)
        elif self._pictures.behind(facts):
            self._add_picture(card, facts)
        else:
            self._tell(card, facts)

    def _facts(self, incident_id: str) -> CardFacts:
        facts = facts_of(self._stores, incident_id, self._now())
        return replace(facts, plot=self._pictures.plot(facts))

    def _look_for_lost(self, card: Card) -> Card:
        if not card.message:
            found = self._client.find_card(self._channel, card.incident_id, card.unsure_since - SKEW)
            self._stores.cards.update(card, message=found, unsure_since=0.0)
        else:
            told = self._client.find_steps(self._channel, card.message)
            self._stores.cards.update(card, steps=sorted(told | set(card.steps)), unsure_since=0.0)
        return self._stores.cards.get(card.destination, card.incident_id) or card

    def _show(self, wanted: Card, facts: CardFacts) -> None:
        try:
            self._show_as(wanted, facts)
        except MessageGoneError:
            log.warning("card was deleted, posted anew", channel=self._channel, incident_id=wanted.incident_id)
            self._stores.cards.update(wanted, message="", steps=())
            self._show_as(replace(wanted, message=""), facts)
        except PermanentError:
            if facts.plot is None or not facts.plot.file:
                raise
            # What Slack refuses may be the picture: somebody deleted the file.
            self._pictures.drop(facts)
            self._show_as(wanted, replace(facts, plot=self._pictures.plot(facts)))

    def _show_as(self, wanted: Card, facts: CardFacts) -> None:
        message = render_card(facts)
        content = digest({"blocks": message.blocks, "text": message.text})
        ts = wanted.message
        if not ts:
            ts = self._post(wanted, message)
        elif content != wanted.content:
            self._client.update(self._channel, ts, message)
        self._stores.cards.update(
            wanted,
            message=ts,
            content=content,
            shown=wanted.wanted,
            urgent=int(facts.waiting),
            **_success(),
        )
        NOTIFICATIONS.labels("slack", "shown").inc()

    def _add_picture(self, card: Card, facts: CardFacts) -> None:
        """After the card itself, which people wait for, and before its thread."""
        file = self._pictures.bring(facts)
        if not file or facts.plot is None:
            self._stores.cards.update(card, lease_until=0.0)
            return
        try:
            self._show_as(card, replace(facts, plot=replace(facts.plot, file=file)))
        except MessageGoneError:
            self._show(card, facts)
        except PermanentError as error:
            pause = self._pictures.refused(facts, str(error))
            self._stores.cards.update(card, lease_until=0.0, due_at=self._now() + pause)
        else:
            self._pictures.taken(facts)

    def _post(self, wanted: Card, message: Message) -> str:
        # Written before the call: after a crash in it the next try looks for the message before it posts another.
        self._stores.cards.update(wanted, unsure_since=self._now())
        return self._client.post(self._channel, message, wanted.incident_id)

    def _tell(self, card: Card, facts: CardFacts) -> None:
        if facts.snooze is not None:
            # Quiet: what happens meanwhile is told when the snooze is over, or with the answer that ends it.
            self._stores.cards.update(card, told=card.wanted, **_success())
            return
        told = [*self._stores.runs.timeline(card.incident_id), *_reminders(facts, self._stores, self._now())]
        rows = [row for row in told if row.row_id not in card.steps]
        batch = rows[:MAX_STEPS]
        ids = [row.row_id for row in batch]
        if batch:
            self._stores.cards.update(card, unsure_since=self._now())
            self._client.reply(self._channel, card.message, "\n".join(map(_step, batch)), ids)
        reached = card.wanted if len(batch) == len(rows) else card.told
        self._stores.cards.update(card, steps=(*card.steps, *ids), told=reached, **_success())
        NOTIFICATIONS.labels("slack", "told").inc()

    def _later(self, card: Card, first: float) -> dict[str, float]:
        """When to try again: exponential with jitter, so that cards do not come back all at once."""
        pause = min(first * 2 ** min(card.attempts, 10), max(first, RETRY_MAX))
        return {"due_at": self._now() + pause * random.uniform(0.5, 1.0), "lease_until": 0.0}

    def _put_back(self, card: Card, result: str, error: str, **values: float) -> None:
        NOTIFICATIONS.labels("slack", result).inc()
        attempts = card.attempts + (result != "rate_limited")
        self._stores.cards.update(card, attempts=attempts, last_error=error, **values)


def facts_of(stores: SqlStores, incident_id: str, now: float) -> CardFacts:
    """What the card of an incident shows, from SQL; raises `PermanentError` for an unknown incident."""
    incident = stores.incidents.get(incident_id)
    if incident is None:
        raise PermanentError(f"there is no incident {incident_id!r}")
    asked = stores.approvals.find(incident_id=incident_id, limit=1).items
    request = asked[0] if asked else None
    status = _status(request, now) if request else None
    snooze = stores.snoozes.get(request.id) if request and status is ApprovalStatus.PENDING else None
    return CardFacts(
        incident=incident,
        request=request,
        status=status,
        snooze=snooze if snooze and snooze.active(now) else None,
        votes=stores.approvals.votes(request.id) if request else (),
        outcomes=tuple(stores.outcomes.find(incident_id)),
    )


def _status(request: ApprovalRequest, now: float) -> ApprovalStatus:
    due = request.status is ApprovalStatus.PENDING and now >= request.expires_at
    return ApprovalStatus.EXPIRED if due else request.status


def _reminders(facts: CardFacts, stores: SqlStores, now: float) -> list[TimelineRow]:
    """What the thread says when a snooze is over and the question still waits."""
    request = facts.request
    snooze = stores.snoozes.get(request.id) if request and facts.waiting else None
    if request is None or snooze is None or snooze.active(now):
        return []
    return [
        TimelineRow(
            row_id=f"snooze:{request.id}:{snooze.until:.0f}",
            incident_id=request.incident_id,
            run_id=request.run_id,
            attempt=request.attempt,
            kind="reminder",
            text=f"the snooze of {snooze.actor} is over; {request.id} still waits for an answer",
            at=snooze.until,
        )
    ]


def _step(row: TimelineRow) -> str:
    return f"{slack_time(row.at)} *{line(row.kind, 40)}* {line(row.text, 250)}"


def _success() -> dict[str, float | str]:
    return {"unsure_since": 0.0, "attempts": 0, "due_at": 0.0, "lease_until": 0.0, "last_error": ""}
