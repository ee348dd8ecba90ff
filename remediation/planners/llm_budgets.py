"""What the models have used, for each incident and day, and what they may still use. Kept in a file across restarts.

A call reserves its worst case before it is made and settles for what it used afterwards, so that calls in parallel cannot
go over together, and a crash in between counts the worst case. An incident that lasts past midnight (UTC) begins anew.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from remediation.planners.llm_settings import LlmBudgetSettings


@dataclass(slots=True)
class Spent:
    """Tokens and US dollars."""

    tokens: int = 0
    dollars: float = 0.0

    def add(self, tokens: int, dollars: float) -> None:
        """Add an amount, which may be negative."""
        self.tokens += tokens
        self.dollars += dollars


class Budget:
    """Counts by incident and by UTC day. `now` is wall time in seconds; `path` None keeps nothing. Thread-safe."""

    def __init__(self, settings: LlmBudgetSettings, now: Callable[[], float], path: Path | None = None) -> None:
        self._settings = settings
        self._now = now
        self._path = path
        self._lock = threading.Lock()
        self._day = _day_of(now())
        self._today = Spent()
        self._incidents: defaultdict[str, Spent] = defaultdict(Spent)
        self._load()

    def reserve(self, incident_id: str, tokens: int, dollars: float) -> str:
        """Take the worst case of a call from the budget. Returns an empty string, or why it is not to be made."""
        limits = self._settings
        with self._lock:
            self._turn()
            incident = self._incidents[incident_id]
            checks = (
                ("tokens for this incident", incident.tokens + tokens, limits.incident_tokens),
                ("dollars for this incident", incident.dollars + dollars, limits.incident_dollars),
                ("tokens today", self._today.tokens + tokens, limits.day_tokens),
                ("dollars today", self._today.dollars + dollars, limits.day_dollars),
            )
            for what, would_be, limit in checks:
                if would_be > limit:
                    return f"{would_be:.6g} {what} would be more than {limit:g}"
            self._add(incident_id, tokens, dollars)
            return ""

    def settle(self, incident_id: str, tokens: int, dollars: float) -> None:
        """Correct what was reserved by the difference to what was used (mostly negative)."""
        with self._lock:
            self._add(incident_id, tokens, dollars)

    def spent(self, incident_id: str) -> Spent:
        """What the incident has used today."""
        with self._lock:
            found = self._incidents[incident_id]
            return Spent(found.tokens, found.dollars)

    def _turn(self) -> None:
        """On a new day nothing is used yet, and the file begins anew."""
        day = _day_of(self._now())
        if day != self._day:
            self._day, self._today = day, Spent()
            self._incidents.clear()
            if self._path is not None:
                self._path.unlink(missing_ok=True)

    def _add(self, incident_id: str, tokens: int, dollars: float) -> None:
        self._today.add(tokens, dollars)
        self._incidents[incident_id].add(tokens, dollars)
        if self._path is None:
            return
        row = {"day": self._day, "incident": incident_id, "tokens": tokens, "dollars": dollars}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            # The newline comes first: a line that a crash cut off spoils no other.
            file.write("\n" + json.dumps(row))

    def _load(self) -> None:
        if self._path is None or not self._path.exists():
            return
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue  # Cut off by a crash: a reservation whose call was never made.
            if row["day"] == self._day:
                self._today.add(row["tokens"], row["dollars"])
                self._incidents[row["incident"]].add(row["tokens"], row["dollars"])


def _day_of(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).date().isoformat()
