"""How a list query is ordered and cut into pages."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sentinel.paging import read_cursor


def newest_first(
    query: sa.Select[Any], at: sa.Column[Any], key: sa.Column[Any], cursor: str, limit: int
) -> sa.Select[Any]:
    """Order `query` by time and id, newest first, start after `cursor`, and take one row more than `limit`."""
    if cursor:
        last_at, last_key = read_cursor(cursor)
        query = query.where(sa.or_(at < last_at, sa.and_(at == last_at, key < last_key)))
    return query.order_by(at.desc(), key.desc()).limit(limit + 1)
