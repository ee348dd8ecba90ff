"""What can be set about the series history; where it is stands in `stores.history`."""

from __future__ import annotations

from pydantic import Field

from sentinel.config import Section


class HistorySettings(Section):
    """How long the history keeps what it was given, and how it talks to a server."""

    retention_days: int = Field(default=90, ge=1)
    """Days that events are kept, counted from their arrival and not from their event time, so that a replay of last
    year's data is not dropped at once. Default 90: a quarter of weekly patterns."""
    decision_retention_days: int = Field(default=400, ge=1)
    """Days that decision rows are kept, counted from their arrival. Default 400: a year and a bit, for audits."""
    known_series: int = Field(default=100_000, ge=1)
    """Series that this process remembers as already described in the store; beyond it the oldest are described again.
    Default 100,000, about 50 MB when full."""
    pool_size: int = Field(default=8, ge=1)
    """Connections kept open to a ClickHouse server. Default 8: archive, enrichment and API threads."""
    connect_seconds: int = Field(default=3, ge=1)
    """Seconds to wait for a connection to a server. Default 3: detection must not wait for history."""
    query_seconds: int = Field(default=30, ge=1)
    """Seconds to wait for a server's answer. Default 30."""
