"""The recovery store of one flow: a folder that one process owns, whose layout never changes."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
        yield RecoveryConfig(folder / "snapshots", timedelta(0))  # type: ignore[no-untyped-call]


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
