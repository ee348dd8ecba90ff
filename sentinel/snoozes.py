"""Snoozes: a person wants the card of a question to be quiet for a while."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Snooze:
    """One question is quiet from `at` to `until` (wall seconds), because `actor` said so. It moves no expiry."""

    request_id: str
    incident_id: str
    actor: str
    at: float
    until: float

    def active(self, now: float) -> bool:
        """Whether the question is quiet now."""
        return now < self.until
