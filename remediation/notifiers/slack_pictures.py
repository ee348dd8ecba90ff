"""The picture on each card of one channel: drawn, uploaded and remembered, without ever holding up the card itself."""

from __future__ import annotations

from remediation.notifiers.slack_card import CardFacts, CardPlot
from remediation.notifiers.slack_client import RateLimitedError, SlackClient
from remediation.notifiers.slack_series import SeriesSource, sparkline, telling_alert
from sentinel.errors import PermanentError, TransientError
from sentinel.logs import get_logger
from sentinel.metrics import NOTIFICATIONS
from sentinel.plots import draw_card
from sentinel.stores.sql.card_pictures import CardPicture
from sentinel.stores.sql.stores import SqlStores

MAX_ATTEMPTS = 3
"""How often a picture of one moment is tried; then the line of bars stays."""

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
        """Whether another picture shall be made."""
        picture = self._stores.pictures.get(self._channel, facts.incident.id)
        return picture.moment != _moment(facts) or (not picture.file and picture.attempts < MAX_ATTEMPTS)

    def bring(self, facts: CardFacts) -> bool:
        """Draw and upload the picture of this moment; False when there is none after all.

        Raises `RateLimitedError` and nothing else of Slack's: a picture is worth a few tries and no more.
        """
        before = self._stores.pictures.get(self._channel, facts.incident.id)
        moment = _moment(facts)
        attempts = before.attempts if before.moment == moment else 0
        try:
            file = self._upload(facts)
        except RateLimitedError:
            raise
        except (TransientError, PermanentError) as error:
            NOTIFICATIONS.labels("slack", "no_picture").inc()
            log.warning("card has no picture", incident_id=facts.incident.id, reason=str(error))
            # The picture of an earlier moment is better than none.
            tried = CardPicture(moment=moment, file=before.file, attempts=attempts + 1)
            self._stores.pictures.put(self._channel, facts.incident.id, tried)
            return False
        kept = CardPicture(moment=moment, file=file, attempts=0 if file else MAX_ATTEMPTS)
        self._stores.pictures.put(self._channel, facts.incident.id, kept)
        return bool(file)

    def drop(self, facts: CardFacts) -> None:
        """Slack does not take the picture (any more): the card goes on without, until the next moment."""
        gone = CardPicture(moment=_moment(facts), attempts=MAX_ATTEMPTS)
        self._stores.pictures.put(self._channel, facts.incident.id, gone)

    def _upload(self, facts: CardFacts) -> str:
        plot = self._source.plot(facts.incident)
        if plot is None:
            return ""
        return self._client.upload(f"{facts.incident.id}.png", plot.title, draw_card(plot))


def _moment(facts: CardFacts) -> str:
    """When a picture is worth another one: asked, ended, resolved. Not each window: files stay in Slack."""
    asked = facts.request.id if facts.request else ""
    return f"{asked}:{len(facts.outcomes)}:{facts.incident.status.value}"
