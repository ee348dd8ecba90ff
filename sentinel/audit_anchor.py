"""The head of the audit chain, kept outside the database: a file that grows by one line for each head."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

from sentinel.audit_chain import AnchoredHead
from sentinel.canonical import canonical_json
from sentinel.errors import PermanentError


class AnchorFile:
    """One JSON line per head, `{"at": …, "hash": …, "seq": …}`, appended and synced to the disk.

    Several processes may append: each takes the file's lock. Nothing is opened before the first use. Keep the file
    where those who can write to the database cannot (another disk, another account, append-only).
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, head: AnchoredHead) -> None:
        """Write one line and wait until it is on the disk (a few ms). Raises OSError when it cannot be written."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            _drop_torn_line(handle)
            os.write(handle, canonical_json(head) + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)

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


def _drop_torn_line(handle: int) -> None:
    end = size = os.fstat(handle).st_size
    while end > 0 and os.pread(handle, 1, end - 1) != b"\n":
        end -= 1
    if end != size:
        os.ftruncate(handle, end)
