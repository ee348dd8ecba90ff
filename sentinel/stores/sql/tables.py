"""The tables of the SQL truth. Migrations create them; a test keeps both equal.

What is filtered or sorted by is a column; the whole object is in `document` as canonical JSON. Times are epoch seconds.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Column, Double, ForeignKey, Index, Integer, String, Table, Text

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", String, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "opened_at", "id"),
    Index(None, "status", "opened_at"),
)

incident_services = Table(
    "incident_services",
    metadata,
    Column("incident_id", String, ForeignKey("incidents.id"), primary_key=True),
    Column("service", String, primary_key=True),
    Index(None, "service"),
)

alert_messages = Table(
    "alert_messages",
    metadata,
    Column("message_id", String, primary_key=True),
    Column("alert_id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("service", String, nullable=False),
    Column("window_start", Double, nullable=False),
    Column("window_end", Double, nullable=False),
    Column("fired_at", Double, nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "alert_id", "window_end"),
    Index(None, "service", "fired_at"),
)

consumer_offsets = Table(
    "consumer_offsets",
    metadata,
    Column("consumer", String, primary_key=True),
    Column("topic", String, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", sa.BigInteger, nullable=False),
)

approval_requests = Table(
    "approval_requests",
    metadata,
    Column("id", String, primary_key=True),
    Column("incident_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("requested_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("closed_as", String, nullable=False, server_default=""),
    Column("closed_at", Double),
    Column("document", Text, nullable=False),
    Index(None, "requested_at", "id"),
    Index(None, "incident_id"),
    Index(None, "closed_as", "expires_at"),
    Index(None, "run_id"),
)
"""Written by the worker alone. `closed_as`: empty, `expired` or `superseded`."""

approval_votes = Table(
    "approval_votes",
    metadata,
    Column("request_id", String, ForeignKey("approval_requests.id"), primary_key=True),
    Column("person", String, primary_key=True),
    Column("choice", String, primary_key=True),
    Column("closes", Integer, nullable=False),
    Column("final", Integer, nullable=False, server_default="0"),
    Column("digest", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("role", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("decided_at", Double, nullable=False),
    Column("idempotency_key", String),
    sa.UniqueConstraint("actor", "idempotency_key"),
    Index(
        "uq_approval_votes_closes",
        "request_id",
        unique=True,
        sqlite_where=sa.text("closes = 1"),
        postgresql_where=sa.text("closes = 1"),
    ),
)
"""Written by the API alone. A person has one vote of each choice; the one that `closes` is the request's decision."""

approval_edits = Table(
    "approval_edits",
    metadata,
    Column("id", String, primary_key=True),
    Column("request_id", String, ForeignKey("approval_requests.id"), nullable=False),
    Column("asked_at", Double, nullable=False),
    Column("outcome", String, nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "request_id", "asked_at"),
)
"""Written by the API; the worker fills in what came of it."""

runs = Table(
    "runs",
    metadata,
    Column("id", String, primary_key=True),
    Column("incident_id", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("thread_id", String, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("finished_at", Double),
    Column("last_error", Text, nullable=False, server_default=""),
    Column("trace_id", String, nullable=False, server_default=""),
    Column("lease_owner", String, nullable=False, server_default=""),
    Column("lease_until", Double, nullable=False, server_default="0"),
    Column("epoch", Integer, nullable=False, server_default="0"),
    Index(None, "incident_id"),
    Index(None, "status"),
)

timeline = Table(
    "timeline",
    metadata,
    Column("row_id", String, primary_key=True),
    Column("incident_id", String, nullable=False),
    Column("at", Double, nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "incident_id", "at"),
)

ledger = Table(
    "ledger",
    metadata,
    Column("key", String, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("incident_id", String, nullable=False),
    Column("status", String, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "started_at"),
    Index(None, "run_id"),
    Index(None, "incident_id"),
    Index(None, "status"),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("outcome_id", String, primary_key=True),
    Column("incident_id", String, nullable=False),
    Column("recorded_at", Double, nullable=False),
    Column("published", Integer, nullable=False, server_default="0"),
    Column("document", Text, nullable=False),
    Index(None, "incident_id", "recorded_at"),
    Index(None, "published"),
)

kill_switch = Table(
    "kill_switch",
    metadata,
    Column("name", String, primary_key=True),
    Column("on", Integer, nullable=False),
    Column("actor", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed_at", Double, nullable=False),
)
"""One row, `all`; without it the switch is off."""

breakers = Table(
    "breakers",
    metadata,
    Column("scope", String, primary_key=True),
    Column("closed", Integer, nullable=False),
    Column("tripped_until", Double),
    Column("counts_from", Double, nullable=False),
    Column("probe", String, nullable=False),
    Column("probe_until", Double, nullable=False),
    Column("actor", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed_at", Double, nullable=False),
)
"""Circuit breakers that somebody or something has moved; every other one is open."""

action_results = Table(
    "action_results",
    metadata,
    Column("key", String, primary_key=True),
    Column("type", String, nullable=False),
    Column("target", String, nullable=False),
    Column("at", Double, nullable=False),
    Column("ok", Integer, nullable=False),
    Index(None, "at"),
)
"""How actions ended, for the breakers; `key` is that of the ledger."""

audit = Table(
    "audit",
    metadata,
    Column("seq", sa.BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("target", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("digest", String, nullable=False),
    Column("details", Text, nullable=False),
    Column("trace_id", String, nullable=False),
    Column("previous", String, nullable=False),
    Column("hash", String, nullable=False),
    Index(None, "actor"),
    Index(None, "action"),
    Index(None, "target"),
    Index(None, "at"),
)
"""Append-only: triggers refuse UPDATE, DELETE and TRUNCATE."""

cards = Table(
    "cards",
    metadata,
    Column("destination", String, primary_key=True),
    Column("incident_id", String, primary_key=True),
    Column("wanted", Integer, nullable=False),
    Column("wanted_at", Double, nullable=False),
    Column("urgent", Integer, nullable=False, server_default="0"),
    Column("shown", Integer, nullable=False, server_default="0"),
    Column("told", Integer, nullable=False, server_default="0"),
    Column("message", String, nullable=False, server_default=""),
    Column("content", String, nullable=False, server_default=""),
    Column("steps", Text, nullable=False, server_default="[]"),
    Column("unsure_since", Double, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due_at", Double, nullable=False, server_default="0"),
    Column("lease_until", Double, nullable=False, server_default="0"),
    Column("last_error", Text, nullable=False, server_default=""),
    Index(None, "incident_id"),
)
"""One row per destination and incident: what people should see there and what they were shown. See `cards.py`."""

seen_requests = Table(
    "seen_requests",
    metadata,
    Column("key", String, primary_key=True),
    Column("at", Double, nullable=False),
    Index(None, "at"),
)
"""Signatures and bodies of signed requests from outside, each once; written by the API alone."""
