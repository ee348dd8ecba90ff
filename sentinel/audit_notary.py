"""The notary: signs the heads of the audit when they are due, and brings every one to every place outside."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from sentinel import metrics
from sentinel.audit_anchor import HeadAnchor, HeadFile
from sentinel.audit_anchor_s3 import S3Anchor
from sentinel.audit_anchor_webhook import WebhookAnchor
from sentinel.audit_heads import Signer
from sentinel.audit_settings import AnchorSettings, AuditSettings, FileAnchorSettings, WebhookAnchorSettings
from sentinel.config import resolve
from sentinel.errors import PermanentError, TransientError
from sentinel.logs import get_logger
from sentinel.stores.sql.audit_heads import HeadStore

_LOOK = 1.0
_WAIT = (5.0, 300.0)

log = get_logger("audit")


def open_anchor(settings: AnchorSettings, state_dir: Path, now: Callable[[], float]) -> HeadAnchor:
    """The place that the settings describe; connects to nothing."""
    if isinstance(settings, FileAnchorSettings):
        return HeadFile(settings.name, resolve(state_dir, settings.path))
    if isinstance(settings, WebhookAnchorSettings):
        return WebhookAnchor(settings, now)
    return S3Anchor(settings, now)


class Notary:
    """Signs and delivers; several processes may run one (a head is signed once, and may arrive twice).

    Places do not wait for one another: each gets the heads in their order, and one that fails is tried again after 5 s,
    then twice as long each time, up to 5 min. `now` is wall time in seconds.
    """

    def __init__(
        self,
        heads: HeadStore,
        signer: Signer,
        anchors: Sequence[HeadAnchor],
        settings: AuditSettings,
        now: Callable[[], float],
    ) -> None:
        self._heads = heads
        self._signer = signer
        self._anchors = tuple(anchors)
        self._settings = settings
        self._now = now
        self._pause: dict[str, tuple[float, float]] = {}

    def run(self, stop: threading.Event) -> None:
        """Step every second until `stop` is set; at the end everything is signed and sent, due or not."""
        while not stop.wait(_LOOK):
            self._step_if_possible(self._settings.sign_every)
        self._step_if_possible(0.0)

    def step(self, every: float | None = None) -> int:
        """Sign what is due (`every` seconds after the last head) and deliver what is owed; returns how many heads.

        Raises `TransientError` while the database is away; a place that is away only waits for the next step.
        """
        settings = self._settings
        wait = settings.sign_every if every is None else every
        signed = self._heads.sign_due(self._signer, now=self._now(), every=wait, grace=settings.day_grace)
        for anchor in self._anchors:
            self._deliver(anchor)
        self._measure()
        return len(signed)

    def _step_if_possible(self, every: float) -> None:
        try:
            self.step(every)
        except TransientError as error:
            log.warning("audit_not_signed", error=str(error))

    def _deliver(self, anchor: HeadAnchor) -> None:
        due, _ = self._pause.get(anchor.name, (0.0, 0.0))
        if self._now() < due:
            return
        number = self._heads.delivered(anchor.name)
        while heads := self._heads.after(number):
            for head in heads:
                try:
                    anchor.put(head)
                except (TransientError, PermanentError) as error:
                    self._failed(anchor.name, number, error)
                    return
                number = head.number
                self._heads.note_delivery(anchor.name, number, now=self._now())
        self._pause.pop(anchor.name, None)

    def _failed(self, place: str, number: int, error: Exception) -> None:
        now = self._now()
        _, wait = self._pause.get(place, (0.0, 0.0))
        wait = min(max(2 * wait, _WAIT[0]), _WAIT[1])
        self._pause[place] = (now + wait, wait)
        self._heads.note_delivery(place, number, now=now, error=str(error))
        metrics.AUDIT_ANCHOR_FAILURES.inc()
        log.error("audit_anchor_failed", place=place, head=number + 1, error=str(error), retry_in=wait)

    def _measure(self) -> None:
        now = self._now()
        for one in self._heads.deliveries():
            metrics.AUDIT_ANCHOR_LATE.labels(one.place).set(0.0 if one.owed_since is None else now - one.owed_since)
        unsigned = self._heads.unsigned_since()
        metrics.AUDIT_UNSIGNED.set(0.0 if unsigned is None else max(0.0, now - unsigned))
