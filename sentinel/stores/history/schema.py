"""The tables of the series history, and how they come to be. Plain SQL; the same in process and on a server.

- `points`: one row per (series, time). ReplacingMergeTree: of rows with the same key the last one written is kept, and
  `FINAL` reads it so before the merge happened. Partitions are months of event time. The time to live counts from the
  arrival of a row, so that replayed old data stay.
- `series`: what each 64-bit series id means. Not expired: ids of kept points must stay readable.
- `decisions`: one row per decision id. Months of event time too; a decision id fixes its event time.
"""

from __future__ import annotations

from clickhouse_connect.driver.client import Client

from sentinel.stores.history.settings import HistorySettings

POINT_COLUMNS = {"series": "UInt64", "time": "DateTime64(6, 'UTC')", "value": "Float64"}
"""Columns of `points` that a writer fills, with their types. Times are stored to the microsecond."""

SERIES_COLUMNS = {
    "id": "UInt64",
    "name": "LowCardinality(String)",
    "service": "LowCardinality(String)",
    "labels": "Map(String, String)",
}
"""Columns of `series` that a writer fills, with their types."""

DECISION_COLUMNS = {
    "decision_id": "String",
    "stage": "LowCardinality(String)",
    "subject": "String",
    "verdict": "LowCardinality(String)",
    "reason": "String",
    "at": "Float64",
    "decided_at": "Float64",
    "config_hash": "String",
    "service": "LowCardinality(String)",
    "incident_id": "String",
    "trace_id": "String",
    "details": "String",
    "v": "UInt8",
}
"""Columns of `decisions` that a writer fills, with their types: the fields of `Decision`; `details` is JSON text."""

_POINTS = """
CREATE TABLE IF NOT EXISTS points (
    series UInt64 CODEC(ZSTD(1)),
    time DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    value Float64 CODEC(ZSTD(1)),
    arrived DateTime('UTC') DEFAULT now() CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(time) ORDER BY (series, time)
TTL {ttl}
"""

_SERIES = """
CREATE TABLE IF NOT EXISTS series (
    id UInt64,
    name LowCardinality(String),
    service LowCardinality(String),
    labels Map(String, String)
) ENGINE = ReplacingMergeTree ORDER BY id
"""

_DECISIONS = """
CREATE TABLE IF NOT EXISTS decisions (
    decision_id String,
    stage LowCardinality(String),
    subject String,
    verdict LowCardinality(String),
    reason String,
    at Float64,
    decided_at Float64,
    config_hash String,
    service LowCardinality(String),
    incident_id String,
    trace_id String,
    details String,
    v UInt8,
    arrived DateTime('UTC') DEFAULT now()
) ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(toDateTime64(at, 3, 'UTC')) ORDER BY decision_id
TTL {ttl}
"""


def prepare(client: Client, database: str, settings: HistorySettings) -> None:
    """Create database and tables where they are missing, and bring their time to live up to the settings.

    Cost: a few milliseconds. A user without the right to create databases needs one that exists already.
    """
    if not client.command(f"EXISTS DATABASE `{database}`"):
        client.command(f"CREATE DATABASE IF NOT EXISTS `{database}`")
    client.database = database
    client.command(_SERIES)
    for table, statement, days in (
        ("points", _POINTS, settings.retention_days),
        ("decisions", _DECISIONS, settings.decision_retention_days),
    ):
        ttl = f"arrived + toIntervalDay({days})"
        client.command(statement.format(ttl=ttl))
        _set_ttl(client, table, ttl)


def _set_ttl(client: Client, table: str, ttl: str) -> None:
    # Only on a change: MODIFY TTL rewrites parts.
    engine = client.command(
        "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = {table:String}",
        parameters={"table": table},
    )
    if ttl not in str(engine):
        client.command(f"ALTER TABLE {table} MODIFY TTL {ttl}")
