"""Delivers the queue of one destination, in a thread of its own: what one destination does holds up no run and no other one.

At least once: a worker that dies in a delivery leaves the row waiting, and it is sent again under the same id when the
lease has run out.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from remediation.notifiers.delivery import Destination, DroppedError, PauseError
from remediation.notifiers.delivery_settings import QueueSettings
from sentinel.errors import PermanentError, SentinelError, TransientError
from sentinel.incidents import IncidentStatus
from sentinel.logs import get_logger, trace
from sentinel.metrics import (
    NOTIFICATION_DELAY,
    NOTIFICATIONS,
    NOTIFICATIONS_DEAD,
    NOTIFICATIONS_OLDEST,
    NOTIFICATIONS_WAITING,
)
from sentinel.notifications import DeliveryState, Notification, NotificationKind
from sentinel.stores.sql.stores import SqlStores

MARGIN = 20.0
"""Wall seconds that a row belongs to its sender beyond the deadline of a delivery: room for the clocks of two machines."""
_HOUSEKEEPING = 3600.0
_MEASURE = 5.0

log = get_logger(__name__)


def retry_pause(
    attempts: int, settings: QueueSettings, draw: Callable[[float, float], float] = random.uniform
) -> float:
    """Seconds until the next try after `attempts` failures: even between 0 and an exponentially growing bound.

    Full jitter, as in https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/.
    """
    bound = settings.retry_first * 2.0 ** min(max(attempts - 1, 0), 60)
    return draw(0.0, min(bound, settings.retry_max))


class QueueSender:
    """The sender of one destination."""

    def __init__(
        self, destination: Destination, stores: SqlStores, settings: QueueSettings, now: Callable[[], float]
    ) -> None:
        """`now` is wall time in seconds."""
        self._destination = destination
        self._stores = stores
        self._queue = stores.notifications
        self._settings = settings
        self._now = now
        self._wake = threading.Event()
        self._clean_at = self._measure_at = 0.0

    @property
    def name(self) -> str:
        """The destination's."""
        return self._destination.name

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Send until `stop` is set (call `wake` then); a delivery that has begun ends first."""
        while not stop.is_set():
            self._wake.clear()
            try:
                worked = self.step()
                self._look_after()
            except SentinelError as error:
                log.warning("notifications wait", destination=self.name, reason=str(error))
                worked = False
            if not worked:
                self._wake.wait(self._settings.poll)

    def step(self) -> bool:
        """Deliver one notification; False when none is due. Raises `SentinelError` when the database is away."""
        taken = self._queue.take(self.name, now=self._now(), lease=self._destination.deadline + MARGIN)
        if taken is None:
            return False
        incident = self._stores.incidents.get(taken.event.incident.id)
        over = incident is not None and incident.status is IncidentStatus.RESOLVED
        with trace(taken.event.trace_id, notification_id=taken.id, incident_id=taken.event.incident.id):
            self._try(taken, over=over)
        return True

    def _try(self, taken: Notification, *, over: bool) -> None:
        if taken.attempts > self._settings.max_attempts:
            # Each try was begun and none ended: whoever began them died.
            self._bury(taken, f"{taken.attempts - 1} tries began and none ended")
            return
        if over and taken.event.kind is NotificationKind.LASTING:
            self._finish(taken, DeliveryState.DROPPED, "the incident is over")
            return
        try:
            self._destination.deliver(taken, over=over, now=self._now())
        except DroppedError as error:
            self._finish(taken, DeliveryState.DROPPED, str(error))
        except PauseError as error:
            self._pause(taken, error)
        except TransientError as error:
            self._later(taken, str(error))
        except PermanentError as error:
            self._bury(taken, str(error))
        except Exception as error:  # a defect in one body must not stop the queue: it is dead, and told loudly
            log.exception("notification failed", destination=self.name)
            self._bury(taken, f"defect: {type(error).__name__}")
        else:
            self._finish(taken, DeliveryState.DELIVERED, "")
            NOTIFICATION_DELAY.labels(self.name).observe(max(0.0, self._now() - taken.created_at))

    def _finish(self, taken: Notification, state: DeliveryState, reason: str) -> None:
        NOTIFICATIONS.labels(self.name, state.value).inc()
        if not self._queue.finish(taken, state, now=self._now(), reason=reason):
            log.warning("another sender took it meanwhile", destination=self.name)
        log.info("notification ended", destination=self.name, state=state.value, tries=taken.attempts, reason=reason)

    def _bury(self, taken: Notification, reason: str) -> None:
        log.error("notification is dead", destination=self.name, kind=taken.event.kind.value, reason=reason)
        self._finish(taken, DeliveryState.DEAD, reason)

    def _pause(self, taken: Notification, error: PauseError) -> None:
        now = self._now()
        if self._too_old(taken, now):
            self._bury(taken, f"too old: {error}")
            return
        NOTIFICATIONS.labels(self.name, "paused").inc()
        log.warning("destination wants a pause", destination=self.name, seconds=error.seconds)
        with self._stores.database.write():
            self._queue.pause(self.name, now + error.seconds)
            self._queue.put_back(taken, due_at=now + error.seconds, reason=str(error), counts=False)

    def _later(self, taken: Notification, reason: str) -> None:
        now = self._now()
        if taken.attempts >= self._settings.max_attempts or self._too_old(taken, now):
            self._bury(taken, f"{taken.attempts} tries: {reason}")
            return
        NOTIFICATIONS.labels(self.name, "retry").inc()
        pause = retry_pause(taken.attempts, self._settings)
        log.warning("notification is tried again", destination=self.name, seconds=round(pause, 3), reason=reason)
        self._queue.put_back(taken, due_at=now + pause, reason=reason)

    def _too_old(self, taken: Notification, now: float) -> bool:
        return now - taken.created_at >= self._settings.give_up_after

    def _look_after(self) -> None:
        """Now and then: measure the queue, and forget what is old."""
        now = self._now()
        if now >= self._measure_at:
            self._measure_at = now + _MEASURE
            depth = self._queue.depth(self.name, now)
            NOTIFICATIONS_WAITING.labels(self.name).set(depth.waiting)
            NOTIFICATIONS_DEAD.labels(self.name).set(depth.dead)
            NOTIFICATIONS_OLDEST.labels(self.name).set(max(0.0, now - depth.oldest_at) if depth.waiting else 0.0)
        if now >= self._clean_at:
            self._clean_at = now + _HOUSEKEEPING
            keep, keep_dead = self._settings.keep_delivered, self._settings.keep_dead
            self._queue.forget(finished_before=now - keep, dead_before=now - keep_dead)
