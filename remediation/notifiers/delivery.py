"""A destination of a queue: takes one notification at a time, and says by its error what the next try is worth."""

from __future__ import annotations

from typing import Protocol

from sentinel.errors import TransientError
from sentinel.notifications import Event, Notification


class PauseError(TransientError):
    """The destination wants a pause of `seconds` and did nothing."""

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(f"{text}; pause of {seconds:g} s")
        self.seconds = seconds


class DroppedError(Exception):
    """The notification has become untrue or unwanted; it is not sent. The text says why."""


class Destination(Protocol):
    """One place outside. Called by one thread at a time; connects to nothing before `deliver`."""

    name: str
    """Name of its queue; in metrics, logs and the command line."""
    deadline: float
    """Seconds that one delivery takes at most."""

    def wants(self, event: Event, told: frozenset[str]) -> bool:
        """Whether the event is for this destination; `told` are those that know of the incident already."""

    def deliver(self, notification: Notification, *, over: bool, now: float) -> None:
        """Send it; returns when the destination has taken it. `over`: whether the incident has ended by now.

        Raises `PauseError` and `TransientError` when it may be tried again, `PermanentError` when it was refused for
        good, `DroppedError` when it is not to be sent. No text of an error holds a secret or a URL.
        """
