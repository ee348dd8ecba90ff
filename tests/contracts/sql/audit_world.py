"""An audit over three days with its notary, for tests: a clock, a key, a file outside, and ways to tamper with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from sentinel.audit_anchor import AnchorFile, HeadFile
from sentinel.audit_chain import AuditRecord, record_hash, verify
from sentinel.audit_export import json_lines, read_json_lines
from sentinel.audit_heads import day_end
from sentinel.audit_keys import SigningKey, TrustedKeys
from sentinel.audit_notary import Notary
from sentinel.audit_proof import Proof
from sentinel.audit_settings import AuditSettings
from sentinel.stores.sql import tables
from sentinel.stores.sql.audit import AuditLog
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.documents import to_document

AUDIT = tables.audit
DAYS = ("2026-11-20", "2026-11-21", "2026-11-22")
BEGIN = day_end("2026-11-19")
EACH = 4
"""Records of a day."""
TABLES = ("audit", "audit_heads", "audit_retention", "audit_deliveries")


class Kept:
    """A place that can be away."""

    def __init__(self, name="kept"):
        self.name = name
        self.heads = []
        self.error = None
        self.asked = lambda: None

    def put(self, head):
        self.asked()
        if self.error:
            raise self.error
        self.heads.append(head)


class AuditWorld:
    """A log with its proof. `now` is wall time and moves only here."""

    def __init__(self, database: Database, folder: Path, **settings):
        self.database, self.folder = database, folder
        self.now = BEGIN
        self.key = SigningKey.generate()
        self.file = HeadFile("file", folder / "outside" / "heads.jsonl")
        self.trust = TrustedKeys([self.key.public])
        self.anchor = AnchorFile(folder / "audit-anchor.jsonl")
        self.log = AuditLog(database, self.anchor, lambda: Proof(self.trust, tuple(self.file.read())))
        self.settings = AuditSettings.model_validate(
            {"key": "file:audit.key", "sign_every": 600, "day_grace": 60, **settings}
        )
        self.anchors = [self.file]
        self.notary = self.new_notary()

    def new_notary(self, key=None):
        return Notary(self.log.heads, key or self.key, self.anchors, self.settings, lambda: self.now)

    def write(self, number, **fields):
        wanted = {"actor": "ann", "action": "approved", "target": f"apr-{number}", "details": {"n": number}}
        return self.log.append(**{**wanted, "at": self.now, **fields})

    def live(self, days=3, step=True):
        """Days of four records each, an hour apart, with the notary at work; the last day is still open."""
        for day in range(days):
            for hour in range(EACH):
                self.now = BEGIN + 86_400 * day + 3600 * (hour + 1)
                self.write(day * EACH + hour + 1)
                if step:
                    self.notary.step()
        return self

    def exported(self):
        """The export that somebody makes now, as the verifier reads it."""
        lines = b"".join(json_lines(self.log.records())).splitlines(keepends=True)
        return read_json_lines(lines, "export.jsonl")

    def verdict(self, source):
        """The verdict on the database with all that is known, or on an export with what is kept outside."""
        if source == "database":
            return self.log.verify()
        return verify(self.exported(), [], self.file.read(), self.trust)

    def own(self):
        """Drop the triggers, as somebody with all rights on the database can."""
        with self.database.write() as connection:
            if self.database.is_sqlite:
                names = "select name from sqlite_master where type = 'trigger' and name like 'audit_%'"
                for (name,) in connection.exec_driver_sql(names).fetchall():
                    connection.exec_driver_sql(f"drop trigger {name}")
            else:
                for table in TABLES:
                    connection.exec_driver_sql(f"alter table {table} disable trigger user")
        return self

    def run(self, *statements):
        with self.database.write() as connection:
            for statement in statements:
                connection.execute(sa.text(statement) if isinstance(statement, str) else statement)

    def rewrite_from(self, seq, **changes):
        """Change one record and compute the chain anew from there, as a tamperer who knows how would."""
        records = list(self.log.records())
        previous = records[seq - 2].hash if seq > 1 else records[0].previous
        for record in records[seq - 1 :]:
            new = replace(record, previous=previous, **(changes if record.seq == seq else {}))
            new = replace(new, hash=record_hash(new))
            self.run(sa.update(AUDIT).where(AUDIT.c.seq == record.seq).values(row(new)))
            previous = new.hash


def found(verdict):
    """What is wrong, and where."""
    return (verdict.ok, verdict.fault, verdict.first_bad, verdict.day)


def clear(database):
    """Empty the audit of a PostgreSQL database and set its triggers up again; for tests only."""
    with database.write() as connection:
        for table in TABLES:
            connection.exec_driver_sql(f"alter table {table} disable trigger user")
        connection.exec_driver_sql(f"truncate {', '.join(TABLES)}")
        for table in TABLES:
            connection.exec_driver_sql(f"alter table {table} enable trigger user")


def row(record: AuditRecord):
    """The record as a row of the table."""
    names = AUDIT.c.keys()
    return {name: getattr(record, name) for name in names} | {"details": to_document(record.details)}
