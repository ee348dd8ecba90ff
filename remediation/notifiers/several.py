"""Tells people in several places."""

from __future__ import annotations

from collections.abc import Sequence

from remediation.notifiers.protocol import Notice, Notifier


class SeveralNotifiers:
    """Hands each notice to all of them, in order."""

    def __init__(self, notifiers: Sequence[Notifier]) -> None:
        self._notifiers = tuple(notifiers)

    def notify(self, notice: Notice) -> None:
        """See `Notifier.notify`."""
        for notifier in self._notifiers:
            notifier.notify(notice)
