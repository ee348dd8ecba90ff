"""Steps of runs in SQL, with the contents that they worked on. Written by the worker."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from sentinel.canonical import canonical_json
from sentinel.errors import PermanentError
from sentinel.steps import StepRecord
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.documents import from_document, to_document
from sentinel.stores.sql.tables_steps import contents, steps


class StepStore:
    """Records and their contents. A value is stored once, whatever refers to it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, record: StepRecord, values: Mapping[str, Any]) -> None:
        """Store the record, numbered after the run's last one, with the contents behind its digests.

        A record with the same id is there already after a crash: then nothing is stored.
        """
        with self._database.write() as connection:
            newest = sa.select(sa.func.max(steps.c.number)).where(steps.c.run_id == record.run_id)
            number = (connection.execute(newest).scalar_one_or_none() or 0) + 1
            record = replace(record, number=number)
            row = {name: getattr(record, name) for name in steps.c.keys()}  # noqa: SIM118 a collection, not a dict
            if not self._database.insert_or_ignore(steps, {**row, "inputs": to_document(record.inputs)}):
                return
            for value in values.values():
                self.keep_content(value)

    def keep_content(self, value: Any) -> str:
        """Store a value under its digest, which is returned; a value that is there already costs one look."""
        digest = digest_of(value)
        self._database.insert_or_ignore(contents, {"digest": digest, "document": to_document(value)})
        return digest

    def find(self, *, incident_id: str = "", run_id: str = "") -> list[StepRecord]:
        """The steps of an incident or of a run, in their order."""
        query = sa.select(steps).order_by(steps.c.run_id, steps.c.number)
        for column, wanted in ((steps.c.incident_id, incident_id), (steps.c.run_id, run_id)):
            if wanted:
                query = query.where(column == wanted)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query)]

    def content(self, digest: str) -> Any:
        """The value under a digest, in plain form.

        Raises `PermanentError` when it is not there, or is not what was stored: its own digest tells.
        """
        query = sa.select(contents.c.document).where(contents.c.digest == digest)
        with self._database.read() as connection:
            text = connection.execute(query).scalar_one_or_none()
        if text is None:
            raise PermanentError(f"the content {digest[:12]} is gone")
        if hashlib.sha256(text.encode()).hexdigest() != digest:
            raise PermanentError(f"the content {digest[:12]} was changed after it was recorded")
        return from_document(text, Any)


def digest_of(value: Any) -> str:
    """The digest under which `keep` stores a value."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _record(row: sa.Row[Any]) -> StepRecord:
    return StepRecord(**{**row._mapping, "inputs": from_document(row.inputs, dict[str, str])})  # noqa: SLF001
