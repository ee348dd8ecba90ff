"""Snoozes: a person wants a question's card to be quiet for a while. Written by the API, ended by the worker."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sentinel.snoozes import Snooze
from sentinel.stores.sql import tables_slack
from sentinel.stores.sql.cards import CardStore
from sentinel.stores.sql.database import Database

_SNOOZES = tables_slack.snoozes


class SnoozeStore:
    """The last snooze of each question. It never moves an expiry: whoever asks looks at the question for that."""

    def __init__(self, database: Database, cards: CardStore) -> None:
        self._database = database
        self._cards = cards

    def add(self, snooze: Snooze) -> None:
        """Snooze, or change how long; the incident's cards are behind then."""
        row = {
            "request_id": snooze.request_id,
            "incident_id": snooze.incident_id,
            "actor": snooze.actor,
            "at": snooze.at,
            "until": snooze.until,
            "woken": 0,
        }
        with self._database.write():
            self._database.insert_or_update(_SNOOZES, row, ("request_id",))
            self._cards.touch(snooze.incident_id)

    def get(self, request_id: str) -> Snooze | None:
        """The last snooze of a question, over or not."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(_SNOOZES).where(_SNOOZES.c.request_id == request_id)).one_or_none()
        return None if row is None else _snooze(row)

    def wake(self, now: float) -> int:
        """Mark the cards of snoozes that have ended as behind, each once; returns how many. One indexed look when none."""
        due = sa.select(_SNOOZES).where(_SNOOZES.c.woken == 0, _SNOOZES.c.until <= now)
        with self._database.read() as connection:
            ended = [_snooze(row) for row in connection.execute(due)]
        return sum(self._wake(snooze) for snooze in ended)

    def _wake(self, snooze: Snooze) -> bool:
        mine = sa.update(_SNOOZES).where(
            _SNOOZES.c.request_id == snooze.request_id, _SNOOZES.c.until == snooze.until, _SNOOZES.c.woken == 0
        )
        with self._database.write() as connection:
            first = bool(connection.execute(mine.values(woken=1)).rowcount)
            if first:
                self._cards.touch(snooze.incident_id)
            return first


def _snooze(row: sa.Row[Any]) -> Snooze:
    return Snooze(request_id=row.request_id, incident_id=row.incident_id, actor=row.actor, at=row.at, until=row.until)
