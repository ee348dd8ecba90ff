"""Tells destinations outside through durable queues: `notify` writes rows, a thread for each destination delivers them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from remediation.notifiers.background import in_background
from remediation.notifiers.delivery import Destination
from remediation.notifiers.delivery_settings import NotificationSettings
from remediation.notifiers.pagerduty import open_pagerduty
from remediation.notifiers.protocol import Notice
from remediation.notifiers.queue_events import life_notice, make_event
from remediation.notifiers.queue_sender import QueueSender
from remediation.notifiers.webhook import open_webhooks
from sentinel.catalogue import ServiceCatalogue
from sentinel.incidents import Incident, IncidentStatus
from sentinel.logs import get_logger
from sentinel.notifications import NotificationKind
from sentinel.stores.sql.stores import SqlStores

log = get_logger(__name__)

KINDS = frozenset(kind.value for kind in NotificationKind)


def open_destinations(settings: NotificationSettings, env: Mapping[str, str]) -> list[Destination]:
    """Every destination of the configuration. Connects to nothing; raises `ConfigError` for what cannot work."""
    return [*open_pagerduty(settings, env), *open_webhooks(settings, env)]


class QueueNotifier:
    """Queues of all destinations; a notice is in SQL before `notify` returns, so that a crash loses none."""

    def __init__(
        self, destinations: Sequence[Destination], stores: SqlStores, services: ServiceCatalogue,
        settings: NotificationSettings, now: Callable[[], float],
    ) -> None:  # fmt: skip
        """`now` is wall time in seconds."""
        self._lasting_after = settings.lasting_after
        self._destinations = tuple(destinations)
        self._stores = stores
        self._services = services
        self._now = now
        self.senders = {one.name: QueueSender(one, stores, settings.queue, now) for one in destinations}
        """The sender of each destination."""

    def notify(self, notice: Notice) -> None:
        """See `Notifier.notify`. Joins the caller's transaction; the same notice again changes nothing."""
        incident = self._stores.incidents.get(notice.incident_id)
        if incident is None or notice.kind not in KINDS:
            log.warning(
                "nobody is told of an unknown incident or kind", incident_id=notice.incident_id, kind=notice.kind
            )
            return
        self._queue(notice, incident)

    def follow(self, incident: Incident) -> None:
        """The incident has a new revision: tell that it was opened, or that it is over. Repeats change nothing.

        That it lasts is queued with its beginning and dropped when it is over by then, so that nobody has to remember.
        """
        self._queue(life_notice(incident), incident)
        if incident.status is IncidentStatus.OPEN:
            lasting = replace(life_notice(incident), kind=NotificationKind.LASTING.value)
            self._queue(lasting, incident, not_before=self._now() + self._lasting_after)

    def _queue(self, notice: Notice, incident: Incident, *, not_before: float = 0.0) -> None:
        if not self._destinations:
            return
        event = make_event(notice, incident, self._services, self._now())
        told = self._stores.notifications.told(incident.id)
        wanted = [one.name for one in self._destinations if one.wants(event, told)]
        if not wanted:
            return
        with self._stores.database.write():
            for name in wanted:
                if self._stores.notifications.put(name, event, not_before=not_before):
                    self._stores.database.after_commit(self.senders[name].wake)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Deliver in the background meanwhile. What is not delivered at the end stays in SQL for the next start."""
        work = {f"notify-{name}": sender.run for name, sender in self.senders.items()}
        with in_background(work, [sender.wake for sender in self.senders.values()]):
            yield
