"""Tells people through Slack: writes down that an incident's card is wanted; a thread per channel does the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from remediation.notifiers.background import in_background
from remediation.notifiers.protocol import Notice
from remediation.notifiers.slack_client import SlackClient
from remediation.notifiers.slack_pictures import CardPictures, prepare
from remediation.notifiers.slack_sender import SlackSender
from remediation.notifiers.slack_series import SeriesSource
from sentinel.slack_settings import SlackSettings
from sentinel.stores.history.protocol import SeriesHistory
from sentinel.stores.sql.stores import SqlStores


class SlackNotifier:
    """Cards for incidents; the wish is in SQL before `notify` returns, so that a crash loses none."""

    def __init__(
        self,
        settings: SlackSettings,
        stores: SqlStores,
        now: Callable[[], float],
        *,
        history: SeriesHistory | None = None,
    ) -> None:
        """Connects to nothing; `settings.on` must hold. `now` is wall time in seconds.

        `history` gives what the pictures show of the time before the alert.
        """
        self._settings = settings
        self._stores = stores
        self._now = now
        client = SlackClient(settings)
        source = SeriesSource(stores, history)
        self.senders = {
            channel: SlackSender(
                client,
                stores,
                channel,
                now,
                pictures=CardPictures(client, stores, source, channel),
            )
            for channel in settings.card_channels
        }
        """The sender of each channel."""

    def notify(self, notice: Notice) -> None:
        """See `Notifier.notify`."""
        incident = self._stores.incidents.get(notice.incident_id)
        channel = self._settings.channel_for(incident.services if incident else ())
        urgent = notice.kind == "asked"
        self._stores.cards.want(channel, notice.incident_id, now=self._now(), urgent=urgent)
        self.senders[channel].wake()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send in the background meanwhile. What is not sent at the end stays in SQL for the next start."""
        work: dict[str, Callable[[threading.Event], None]] = {
            f"slack-{channel}": partial(sender.run, poll=self._settings.poll)
            for channel, sender in self.senders.items()
        }
        work["slack-prepare"] = lambda _stop: prepare()
        with in_background(work, [sender.wake for sender in self.senders.values()]):
            yield
