"""The recovery store of one flow: a folder that one process owns, whose layout never changes."""

from __future__ import annotations

import fcntl
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from bytewax.recovery import RecoveryConfig, init_db_dir

from sentinel.errors import ConfigError, StorePathBusyError

LAYOUT = "layout.json"


@contextmanager
def recovery_store(folder: Path, layout: Mapping[str, int | str]) -> Iterator[RecoveryConfig]:
    """Open (or create) the store in `folder` for as long as the context lasts.

    `layout` is what the state inside depends on (partitions, groups, sub-shards). Raises `ConfigError` when the store was
    made with another one, and `StorePathBusyError` when another process has it open.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorePathBusyError(
                f"another process runs the flow whose state is in {folder}; stop it, or give this one another group"
            ) from error
        _prepare(folder, dict(layout))
        _forget_unfinished(folder / "snapshots" / "part-0.sqlite3")
        yield RecoveryConfig(folder / "snapshots", timedelta(0))  # type: ignore[no-untyped-call]


def _forget_unfinished(database: Path) -> None:
    """Delete the snapshots of epochs that the last run began and did not finish.

    The engine (0.21.1) ignores them on the next start but leaves them in the store. A key that is quiet in the epoch of
    the same number does not overwrite its leftover; the start after that would restore it, from a time line that never
    was, and steps would disagree about their state. Seen once in ten kills (docs/decisions/recovery-store.md).
    """
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            """
            DELETE FROM snaps WHERE snap_epoch >= (
                SELECT COALESCE(MIN(fronts.worker_frontier), exs.resume_epoch)
                FROM exs LEFT JOIN fronts USING (ex_num)
                WHERE ex_num = (SELECT MAX(ex_num) FROM exs)
                HAVING COUNT(*) > 0
            )
            """
        )


def _prepare(folder: Path, layout: dict[str, int | str]) -> None:
    """Create the store once. The layout is written last, so that a crash in between starts over."""
    written = folder / LAYOUT
    if written.exists():
        before = json.loads(written.read_text())
        if before != layout:
            changed = ", ".join(
                f"{key} was {before.get(key)}, is {layout.get(key)}"
                for key in sorted(before.keys() | layout.keys())
                if before.get(key) != layout.get(key)
            )
            raise ConfigError(
                f"{written}: {changed}; the state does not fit. Put the old values back, or remove {folder} to start anew"
            )
        return
    snapshots = folder / "snapshots"
    snapshots.mkdir(exist_ok=True)
    for leftover in snapshots.iterdir():
        leftover.unlink()
    init_db_dir(snapshots, 1)  # type: ignore[no-untyped-call]
    temporary = folder / f"{LAYOUT}.new"
    temporary.write_text(json.dumps(layout, indent=2, sort_keys=True) + "\n")
    temporary.replace(written)
