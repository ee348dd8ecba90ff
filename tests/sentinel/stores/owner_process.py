"""A process that owns embedded stores: `python owner_process.py STATE_DIR ACKNOWLEDGED`.

It opens `chdb://history` and `edge://memory` below STATE_DIR, writes to both without end, and appends a line to
ACKNOWLEDGED after each write that was answered. Tests kill it and look at what is left.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from sentinel.alerts import FaultKind
from sentinel.series import Series
from sentinel.stores.history.opening import open_history
from sentinel.stores.history.protocol import Points
from sentinel.stores.memory.opening import open_embedder, open_memory
from sentinel.stores.memory.protocol import MemoryEntry

SERIES = Series.of("error_ratio", {"service": "cart"})
T0 = 1_700_000_000.0


def remembered(number: int) -> MemoryEntry:
    """The entry of one incident."""
    return MemoryEntry(
        incident_id=f"inc-{number}",
        fingerprint="fp",
        title="Errors in cart",
        service="cart",
        services=("cart",),
        kind=FaultKind.ERRORS,
        opened_at=T0 + number,
        text=f"errors in cart {number}",
    )


def main(state_dir: Path, acknowledged: Path) -> None:
    """Write until killed."""
    history = open_history("chdb://history", state_dir)
    memory = open_memory("edge://memory", state_dir, open_embedder("hashed"))
    with acknowledged.open("a") as lines:
        for number in range(1_000_000):
            history.add_points(Points([SERIES], np.array([T0 + number]), np.array([float(number)])))
            memory.remember(remembered(number))
            lines.write(f"{number}\n")
            lines.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
