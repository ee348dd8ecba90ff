"""Cards: one message per incident and destination, kept up to date. A durable queue that holds a wish once.

A row says how often its card was wished for (`wanted`) and up to which wish card and thread were brought (`shown`,
`told`). What a card shows is read from the other tables when it is sent, so a burst of changes is one message, nothing is
lost by a crash, and a late message is never an old one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sentinel.stores.sql import tables
from sentinel.stores.sql.database import Database

_CARDS = tables.cards


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One card. `message` is the destination's id of it, empty before it was sent; `content` a hash of what it shows.

    `steps`: timeline rows that are told in its thread. `unsure_since`: wall time at which a call began whose answer
    nobody knows (0: none), so the message may be there. `attempts`: failures since the last success.
    """

    destination: str
    incident_id: str
    wanted: int
    shown: int
    told: int
    urgent: bool
    message: str
    content: str
    steps: tuple[str, ...]
    unsure_since: float
    attempts: int
    last_error: str

    @property
    def behind(self) -> bool:
        """Whether the card itself, not just its thread, has something to show."""
        return self.wanted > self.shown


class CardStore:
    """Cards by destination and incident. Times are wall seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def want(self, destination: str, incident_id: str, *, now: float, urgent: bool = False) -> None:
        """There shall be a card, and it shall be brought up to date; `urgent` ones go first."""
        fresh = {"destination": destination, "incident_id": incident_id, "wanted": 0, "wanted_at": now}
        with self._database.write() as connection:
            self._database.insert_or_ignore(_CARDS, fresh)
            changed: dict[str, Any] = {"wanted": _CARDS.c.wanted + 1, "wanted_at": now}
            if urgent:
                changed["urgent"] = 1
            connection.execute(sa.update(_CARDS).where(*_is(destination, incident_id)).values(**changed))

    def touch(self, incident_id: str) -> None:
        """Something about the incident changed: its cards, if there are any, shall be brought up to date."""
        behind = sa.update(_CARDS).where(_CARDS.c.incident_id == incident_id)
        with self._database.write() as connection:
            connection.execute(behind.values(wanted=_CARDS.c.wanted + 1))

    def get(self, destination: str, incident_id: str) -> Card | None:
        """The card, or None."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(_CARDS).where(*_is(destination, incident_id))).one_or_none()
        return None if row is None else _card(row)

    def take(self, destination: str, *, now: float, lease: float) -> Card | None:
        """The card to work on next, for `lease` seconds this caller's alone: urgent ones, other cards, then threads."""
        late_card, late_thread = _CARDS.c.wanted > _CARDS.c.shown, _CARDS.c.wanted > _CARDS.c.told
        free = (_CARDS.c.due_at <= now, _CARDS.c.lease_until <= now)
        order = (
            late_card.desc(),
            (late_card & (_CARDS.c.urgent == 1)).desc(),
            _CARDS.c.wanted_at,
            _CARDS.c.incident_id,
        )
        query = sa.select(_CARDS.c.incident_id).where(
            _CARDS.c.destination == destination, sa.or_(late_card, late_thread), *free
        )
        with self._database.read() as connection:
            waiting = connection.execute(query.order_by(*order).limit(1)).scalar_one_or_none()
        if waiting is None:
            return None
        with self._database.write() as connection:
            mine = sa.update(_CARDS).where(*_is(destination, waiting), *free).values(lease_until=now + lease)
            if not connection.execute(mine).rowcount:
                return None
            return self.get(destination, waiting)

    def update(self, card: Card, **values: Any) -> None:
        """Write columns of the row; `steps` as a tuple."""
        if "steps" in values:
            values["steps"] = json.dumps(list(values["steps"]))
        with self._database.write() as connection:
            where = _is(card.destination, card.incident_id)
            connection.execute(sa.update(_CARDS).where(*where).values(**values))


def _is(destination: str, incident_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return _CARDS.c.destination == destination, _CARDS.c.incident_id == incident_id


def _card(row: sa.Row[Any]) -> Card:
    return Card(
        destination=row.destination,
        incident_id=row.incident_id,
        wanted=row.wanted,
        shown=row.shown,
        told=row.told,
        urgent=bool(row.urgent),
        message=row.message,
        content=row.content,
        steps=tuple(json.loads(row.steps)),
        unsure_since=row.unsure_since,
        attempts=row.attempts,
        last_error=row.last_error,
    )
