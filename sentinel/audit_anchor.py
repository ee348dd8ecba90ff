"""The head of the audit chain, kept outside the database: what a place for signed heads is, and files of heads.

Other places: `sentinel.audit_anchor_webhook`, `sentinel.audit_anchor_s3`.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Protocol

import msgspec

from sentinel.audit_chain import AnchoredHead
from sentinel.audit_heads import SignedHead, read_heads
from sentinel.canonical import canonical_json
from sentinel.errors import PermanentError, TransientError


class HeadAnchor(Protocol):
    """A place outside the database that keeps signed heads."""

    @property
    def name(self) -> str:
        """Names the place in metrics, health and logs."""

    def put(self, head: SignedHead) -> None:
        """Keep the head; returns when it is kept. The same head may come again.

        Raises `TransientError` when it should be tried again, `PermanentError` when somebody must look first; both are
        tried again.
        """


class AnchorFile:
    """One JSON line per head, `{"at": …, "hash": …, "seq": …}`, appended and synced to the disk.

    Several processes may append: each takes the file's lock. Nothing is opened before the first use. Keep the file
    where those who can write to the database cannot (another disk, another account, append-only).
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, head: AnchoredHead) -> None:
        """Write one line and wait until it is on the disk (a few ms). Raises OSError when it cannot be written."""
        _append(self.path, canonical_json(head))

    def read(self) -> list[AnchoredHead]:
        """Every anchored head, in file order; empty when there is no file.

        A last line without its end is a write that a crash cut short, and left out. Any other line that cannot be
        read raises `PermanentError` with `file:line`.
        """
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")[:-1]
        return [self._head(number, line) for number, line in enumerate(lines, start=1)]

    def _head(self, number: int, line: bytes) -> AnchoredHead:
        try:
            return msgspec.json.decode(line, type=AnchoredHead)
        except msgspec.MsgspecError as error:
            raise PermanentError(f"{self.path}:{number}: not a line of an audit anchor: {error}") from error


class HeadFile:
    """Signed heads in a file, one JSON line each; see `HeadAnchor` and `AnchorFile`."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path

    def put(self, head: SignedHead) -> None:
        """Write one line and wait until it is on the disk."""
        try:
            _append(self.path, canonical_json(head))
        except OSError as error:
            raise TransientError(f"{self.path}: {error.strerror}") from error

    def read(self) -> list[SignedHead]:
        """Every head in file order; empty when there is no file. Raises `PermanentError` with `file:line`."""
        return read_heads(self.path.read_bytes(), str(self.path)) if self.path.exists() else []


def _append(path: Path, line: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        _drop_torn_line(handle)
        os.write(handle, line + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def _drop_torn_line(handle: int) -> None:
    end = size = os.fstat(handle).st_size
    while end > 0 and os.pread(handle, 1, end - 1) != b"\n":
        end -= 1
    if end != size:
        os.ftruncate(handle, end)
