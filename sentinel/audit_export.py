"""The audit as files: JSON Lines, which can be verified without the database, and CSV for spreadsheets. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from sentinel.audit_chain import AuditRecord
from sentinel.canonical import canonical_json
from sentinel.errors import PermanentError

COLUMNS = (
    "seq", "at", "time_utc", "actor", "action", "target", "reason", "digest", "details", "trace_id", "previous", "hash",
)  # fmt: skip
"""The columns of the CSV, in order."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are the full-width forms, which some spreadsheets take as well."""


def json_lines(records: Iterable[AuditRecord]) -> Iterator[bytes]:
    """One line of canonical JSON for each record, with everything that its hash covers."""
    for record in records:
        yield canonical_json(record) + b"\n"


def csv_lines(records: Iterable[AuditRecord]) -> Iterator[bytes]:
    """A header and one row for each record, UTF-8.

    Text that a spreadsheet would run as a formula gets an apostrophe before it, so this form cannot be verified.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for record in records:
        writer.writerow(_row(record))
        if buffer.tell() > 1 << 16:
            yield _taken(buffer)
    yield _taken(buffer)


def read_json_lines(lines: Iterable[bytes], place: str) -> Iterator[AuditRecord]:
    """The records of an export, for `sentinel.audit_chain.verify`.

    A line that is not byte for byte what the export writes comes without its hash, so that the verifier names it. Raises
    `PermanentError` with `place:line` for one that is no record at all.
    """
    for number, line in enumerate(lines, start=1):
        try:
            record = msgspec.json.decode(line, type=AuditRecord)
        except msgspec.MsgspecError as error:
            raise PermanentError(f"{place}:{number}: not an audit record: {error}") from error
        exact = canonical_json(record) == line.rstrip(b"\n")
        yield record if exact else replace(record, hash="")


def _row(record: AuditRecord) -> tuple[object, ...]:
    moment = _time(record.at)
    texts = (record.actor, record.action, record.target, record.reason, record.digest)
    details = canonical_json(record.details).decode()
    rest = (details, record.trace_id, record.previous, record.hash)
    return (record.seq, record.at, moment, *map(_cell, texts), *map(_cell, rest))


def _time(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):  # a record that was edited by hand
        return ""


def _cell(text: str) -> str:
    """Spreadsheets strip white space before they look for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text


def _taken(buffer: io.StringIO) -> bytes:
    content = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return content
