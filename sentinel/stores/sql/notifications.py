"""The durable queue of each destination: at least once, in order within an incident, approvals first.

A row waits until it was delivered, dropped or is dead. Only the oldest waiting row of an incident at a destination can be
taken, so one that is tried again holds up its own incident and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sentinel.errors import RefusedError
from sentinel.incidents import IncidentStatus
from sentinel.notifications import DeliveryState, Event, Notification, NotificationKind, notification_id
from sentinel.paging import Page, make_cursor
from sentinel.stores.sql import tables
from sentinel.stores.sql.audit import AuditLog
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.documents import from_document, to_document
from sentinel.stores.sql.paging import newest_first
from sentinel.stores.sql.tables_notifications import notification_pauses, notifications

_ROWS = notifications
_WAITING, _DEAD = DeliveryState.WAITING.value, DeliveryState.DEAD.value


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """One destination's queue: rows by state, and when the oldest one that waits was made (0: none waits)."""

    waiting: int = 0
    dead: int = 0
    oldest_at: float = 0.0


class NotificationStore:
    """Notifications by destination. Times are wall seconds."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    def put(self, destination: str, event: Event, *, not_before: float = 0.0) -> bool:
        """Queue an event for a destination; False when it is there already. Joins the caller's transaction.

        One that shall not be sent before a time holds up nothing until then.
        """
        row = {
            "id": notification_id(destination, event),
            "destination": destination,
            "incident_id": event.incident.id,
            "kind": event.kind.value,
            "urgent": int(event.urgent),
            "state": _WAITING,
            "due_at": not_before,
            "created_at": event.at,
            "document": to_document(event),
        }
        return self._database.insert_or_ignore(_ROWS, row)

    def told(self, incident_id: str) -> frozenset[str]:
        """The destinations that were, or surely will be, told something about the incident."""
        certain = (_ROWS.c.kind != NotificationKind.LASTING.value) | (_ROWS.c.state == DeliveryState.DELIVERED.value)
        query = sa.select(_ROWS.c.destination).where(_ROWS.c.incident_id == incident_id, certain).distinct()
        with self._database.read() as connection:
            return frozenset(connection.execute(query).scalars())

    def take(self, destination: str, *, now: float, lease: float) -> Notification | None:
        """The row to deliver next, for `lease` seconds this caller's alone; counts as a try.

        None while the destination pauses. Incidents that wait for an approval come first, then the oldest row; rows of
        one incident never overtake one another.
        """
        with self._database.read() as connection:
            if self._paused_until(connection, destination) > now:
                return None
            seq = connection.execute(_next(destination, now)).scalar_one_or_none()
        if seq is None:
            return None
        free = (_ROWS.c.seq == seq, _ROWS.c.state == _WAITING, _ROWS.c.due_at <= now, _ROWS.c.lease_until <= now)
        mine = sa.update(_ROWS).where(*free).values(
            lease_until=now + lease, attempts=_ROWS.c.attempts + 1, takes=_ROWS.c.takes + 1
        )  # fmt: skip
        with self._database.write() as connection:
            row = connection.execute(mine.returning(*_ROWS.c)).one_or_none()
        return None if row is None else _notification(row)

    def finish(self, taken: Notification, state: DeliveryState, *, now: float, reason: str = "") -> bool:
        """Write how it ended; False when somebody else took it meanwhile, because the lease had run out."""
        return self._change(taken, state=state.value, finished_at=now, last_error=reason)

    def put_back(self, taken: Notification, *, due_at: float, reason: str, counts: bool = True) -> bool:
        """Try it again from `due_at` on; a try that `counts` not was only put off. False as with `finish`."""
        attempts = taken.attempts if counts else taken.attempts - 1
        return self._change(taken, due_at=due_at, last_error=reason, attempts=attempts)

    def pause(self, destination: str, until: float) -> None:
        """Take nothing for this destination before `until`; a longer pause that is on stays."""
        row = {"destination": destination, "until": until}
        self._database.insert_or_update(notification_pauses, row, ("destination",), newer="until")

    def get(self, notification_id: str) -> Notification | None:
        """The notification, or None."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(_ROWS).where(_ROWS.c.id == notification_id)).one_or_none()
        return None if row is None else _notification(row)

    def find(
        self,
        *,
        state: DeliveryState | None = None,
        destination: str = "",
        incident_id: str = "",
        cursor: str = "",
        limit: int = 50,
    ) -> Page[Notification]:
        """Notifications, newest first."""
        query: sa.Select[Any] = sa.select(_ROWS)
        wanted = ((_ROWS.c.state, state), (_ROWS.c.destination, destination), (_ROWS.c.incident_id, incident_id))
        for column, value in wanted:
            if value:
                query = query.where(column == str(value))
        with self._database.read() as connection:
            rows = connection.execute(newest_first(query, _ROWS.c.created_at, _ROWS.c.id, cursor, limit)).all()
        items = tuple(_notification(row) for row in rows[:limit])
        return Page(items, make_cursor(items[-1].created_at, items[-1].id) if len(rows) > limit else "")

    def depth(self, destination: str, now: float) -> QueueDepth:
        """How much waits and how much is dead at a destination; without what shall not be sent yet."""
        query = sa.select(_ROWS.c.state, sa.func.count(), sa.func.min(_ROWS.c.created_at)).group_by(_ROWS.c.state)
        query = query.where(_ROWS.c.destination == destination, _ROWS.c.state.in_((_WAITING, _DEAD)), _begun(now))
        with self._database.read() as connection:
            found = {state: (count, oldest) for state, count, oldest in connection.execute(query)}
        waiting, oldest = found.get(_WAITING, (0, 0.0))
        return QueueDepth(waiting=waiting, dead=found.get(_DEAD, (0, 0.0))[0], oldest_at=oldest)

    def replay(self, ids: Collection[str], *, actor: str, reason: str, now: float) -> list[str]:
        """Let these dead notifications be tried again, from their first try on; returns the ids that were dead.

        Audited. Raises `RefusedError` (rule `reason`) without a reason.
        """
        if not reason.strip():
            raise RefusedError("reason", "say why the notifications are sent again")
        dead = sa.update(_ROWS).where(_ROWS.c.id.in_(list(ids)), _ROWS.c.state == _DEAD)
        again = dead.values(state=_WAITING, attempts=0, due_at=now, lease_until=0.0, finished_at=0.0, last_error="")
        with self._database.write() as connection:
            rows = connection.execute(again.returning(_ROWS.c.id, _ROWS.c.destination)).all()
            for destination in sorted({destination for _, destination in rows}):
                mine = sorted(one for one, where in rows if where == destination)
                action = "notification.replayed"
                details = {"ids": mine}
                self._audit.append(
                    actor=actor, action=action, target=destination, at=now, reason=reason, details=details
                )
        return sorted(one for one, _ in rows)

    def forget(self, *, finished_before: float, dead_before: float) -> int:
        """Delete what ended before these times and belongs to no open incident; returns how many rows."""
        still_open = sa.select(tables.incidents.c.id).where(tables.incidents.c.status == IncidentStatus.OPEN.value)
        ended = (DeliveryState.DELIVERED.value, DeliveryState.DROPPED.value)
        old = sa.or_(
            _ROWS.c.state.in_(ended) & (_ROWS.c.finished_at < finished_before),
            (_ROWS.c.state == _DEAD) & (_ROWS.c.finished_at < dead_before),
        )
        with self._database.write() as connection:
            gone = connection.execute(sa.delete(_ROWS).where(old, _ROWS.c.incident_id.not_in(still_open)))
            return int(gone.rowcount)

    def _paused_until(self, connection: sa.Connection, destination: str) -> float:
        query = sa.select(notification_pauses.c.until).where(notification_pauses.c.destination == destination)
        return float(connection.execute(query).scalar_one_or_none() or 0.0)

    def _change(self, taken: Notification, **values: Any) -> bool:
        mine = (_ROWS.c.seq == taken.seq, _ROWS.c.takes == taken.takes, _ROWS.c.state == _WAITING)
        with self._database.write() as connection:
            return bool(connection.execute(sa.update(_ROWS).where(*mine).values(lease_until=0.0, **values)).rowcount)


def _next(destination: str, now: float) -> sa.Select[Any]:
    """The number of the first row that can be taken: each incident's oldest one, of those whose time has come."""
    waiting = (_ROWS.c.destination == destination, _ROWS.c.state == _WAITING, _begun(now))
    heads = (
        sa.select(sa.func.min(_ROWS.c.seq).label("seq"), sa.func.max(_ROWS.c.urgent).label("urgent"))
        .where(*waiting)
        .group_by(_ROWS.c.incident_id)
        .subquery()
    )
    ready = sa.select(_ROWS.c.seq).join(heads, heads.c.seq == _ROWS.c.seq)
    ready = ready.where(_ROWS.c.due_at <= now, _ROWS.c.lease_until <= now)
    return ready.order_by(heads.c.urgent.desc(), _ROWS.c.seq).limit(1)


def _begun(now: float) -> sa.ColumnElement[bool]:
    """Rows whose first time has come."""
    return (_ROWS.c.takes > 0) | (_ROWS.c.due_at <= now)


def _notification(row: sa.Row[Any]) -> Notification:
    return Notification(
        seq=row.seq,
        id=row.id,
        destination=row.destination,
        event=from_document(row.document, Event),
        state=DeliveryState(row.state),
        attempts=row.attempts,
        takes=row.takes,
        due_at=row.due_at,
        created_at=row.created_at,
        finished_at=row.finished_at,
        last_error=row.last_error,
    )
