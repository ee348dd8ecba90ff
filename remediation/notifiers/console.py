"""Tells people through the log: the notifier that always works."""

from __future__ import annotations

from remediation.notifiers.protocol import Notice
from sentinel.logs import get_logger

log = get_logger(__name__)


class ConsoleNotifier:
    """One log line per notice, with the request's id where an answer is wanted."""

    def notify(self, notice: Notice) -> None:
        """See `Notifier.notify`."""
        waiting = {"request_id": notice.request.id, "digest": notice.request.digest} if notice.request else {}
        log.info(notice.text, kind=notice.kind, incident_id=notice.incident_id, trace_id=notice.trace_id, **waiting)
