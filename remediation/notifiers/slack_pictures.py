"""The picture on each card of one channel: drawn, uploaded and remembered, without ever holding up the card itself."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from remediation.notifiers.slack_card import CardFacts, CardPlot
from remediation.notifiers.slack_client import RateLimitedError, SlackClient
from remediation.notifiers.slack_series import SeriesSource, sparkline, telling_alert
from sentinel.errors import PermanentError, TransientError
from sentinel.logs import get_logger
from sentinel.metrics import NOTIFICATIONS
from sentinel.plots import SeriesPlot, draw_card
from sentinel.stores.sql.card_pictures import CardPicture
from sentinel.stores.sql.stores import SqlStores

MAX_ATTEMPTS = 4
"""How often a picture of one moment is tried; then the line of bars, or the picture before it, stays."""
PAUSE = 1.0
"""Seconds until a card is tried again with a file that Slack did not take, times the attempts: it needs a while to be ready."""

log = get_logger(__name__)


class CardPictures:
    """Pictures for the cards of one channel; its sender alone calls this, while it has the card's lease."""

    def __init__(self, client: SlackClient, stores: SqlStores, source: SeriesSource, channel: str) -> None:
        self._client = client
        self._stores = stores
        self._source = source
        self._channel = channel

    def plot(self, facts: CardFacts) -> CardPlot | None:
        """What the card can show now: the picture that is there, or a line of bars."""
        alert = telling_alert(facts.incident)
        if alert is None:
            return None
        file = self._stores.pictures.get(self._channel, facts.incident.id).file
        known = {fact.series_key: fact.same_hour_last_week for fact in facts.incident.context.history}
        return CardPlot(
            name=f"{alert.series.name} of {alert.series.service}",
            now=alert.value,
            expected=alert.expected,
            last_week=known.get(alert.series.key),
            bars="" if file else sparkline(self._source.recent(facts.incident)),
            file=file,
        )

    def behind(self, facts: CardFacts) -> bool:
        """Whether another picture shall come onto the card."""
        picture = self._stores.pictures.get(self._channel, facts.incident.id)
        return picture.moment != _moment(facts) or not picture.settled

    def bring(self, facts: CardFacts) -> str:
        """The id of the file to show next, drawn and uploaded where it was not yet; empty when there is none (now).

        Raises `RateLimitedError` and nothing else of Slack's: a picture is worth a few tries and no more.
        """
        picture = self._wanted(facts)
        if picture.upload:
            return picture.upload
        try:
            file = self._upload(facts)
        except RateLimitedError:
            raise
        except (TransientError, PermanentError) as error:
            self._failed(facts, picture, str(error))
            return ""
        self._put(facts, replace(picture, upload=file, settled=not file))
        return file

    def taken(self, facts: CardFacts) -> None:
        """Slack shows it."""
        picture = self._wanted(facts)
        self._put(facts, replace(picture, file=picture.upload, upload="", settled=True))

    def refused(self, facts: CardFacts, reason: str) -> float:
        """Slack does not take it (yet); returns the seconds until it is worth another try."""
        picture = self._wanted(facts)
        self._failed(facts, picture, reason)
        return PAUSE * (picture.attempts + 1)

    def drop(self, facts: CardFacts) -> None:
        """Slack has lost the file that is on the card: it goes on without, until the next moment."""
        self._put(facts, CardPicture(moment=_moment(facts), settled=True))

    def _wanted(self, facts: CardFacts) -> CardPicture:
        """The row; of an earlier moment only what is on the card counts."""
        found = self._stores.pictures.get(self._channel, facts.incident.id)
        moment = _moment(facts)
        return found if found.moment == moment else CardPicture(moment=moment, file=found.file)

    def _failed(self, facts: CardFacts, picture: CardPicture, reason: str) -> None:
        NOTIFICATIONS.labels("slack", "no_picture").inc()
        log.warning("picture is not on the card", incident_id=facts.incident.id, reason=reason)
        attempts = picture.attempts + 1
        self._put(facts, replace(picture, attempts=attempts, settled=attempts >= MAX_ATTEMPTS))

    def _put(self, facts: CardFacts, picture: CardPicture) -> None:
        self._stores.pictures.put(self._channel, facts.incident.id, picture)

    def _upload(self, facts: CardFacts) -> str:
        plot = self._source.plot(facts.incident)
        if plot is None:
            return ""
        return self._client.upload(f"{facts.incident.id}.png", plot.title, draw_card(plot))


def prepare() -> None:
    """Load what draws, which costs a second or two once: at the start, and not while an approved action wants to begin."""
    with suppress(PermanentError):
        draw_card(SeriesPlot(title="-", unit="-", times=[0.0, 60.0], values=[0.0, 1.0]))


def _moment(facts: CardFacts) -> str:
    """When a picture is worth another one: asked, ended, resolved. Not each window: files stay in Slack."""
    asked = facts.request.id if facts.request else ""
    return f"{asked}:{len(facts.outcomes)}:{facts.incident.status.value}"
