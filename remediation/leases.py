"""This worker's leases on runs, and how it tells that another worker is dead: by its own clock alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sentinel.stores.sql.runs import RunStore

BEATS = 4
"""Renewals within the length of a lease."""

LOOKS = 8
"""Looks at another worker's lease within the length of a lease."""

DEAD_AFTER = 5 / 8
"""Share of a lease without a renewal after which its holder counts as dead. With the time until the last renewal was
seen and the pause between two looks, a dead worker's run is taken over within seven eighths of the lease."""


class Leases:
    """Takes, renews and gives back. Used by the worker's thread and by those of its pool.

    Wall clocks are never compared: a lease counts as abandoned when it was not renewed for long enough by `ticks`, a
    clock that cannot jump. A worker that is wrongly taken for dead (it was paused) is fenced off by its epoch.
    """

    def __init__(
        self, runs: RunStore, *, owner: str, seconds: float, now: Callable[[], float], ticks: Callable[[], float]
    ) -> None:
        """`seconds` is the length of a lease; `now` is wall time (for people), `ticks` never goes back."""
        self._runs = runs
        self._owner = owner
        self._seconds = seconds
        self._now = now
        self._ticks = ticks
        self._held: dict[str, int] = {}
        self._seen: dict[str, tuple[tuple[int, float], float]] = {}
        self._beat_at = 0.0
        self.pause = seconds / LOOKS
        """Seconds between two looks at a lease that another worker has."""

    @contextmanager
    def driving(self, run_id: str) -> Iterator[bool]:
        """Hold the lease of the run inside the block: False when another worker has it.

        Every transaction inside raises `LeaseLostError` once somebody took it over.
        """
        epoch = self._take(run_id)
        if epoch is None:
            yield False
            return
        try:
            with self._runs.holding(run_id, epoch):
                yield True
        finally:
            self._held.pop(run_id, None)
            self._runs.release(run_id, epoch=epoch)

    def beat(self) -> None:
        """Renew what is held, when it is time to."""
        if self._ticks() < self._beat_at:
            return
        self._beat_at = self._ticks() + self._seconds / BEATS
        for run_id, epoch in list(self._held.items()):
            self._runs.renew(run_id, epoch=epoch, now=self._now(), seconds=self._seconds)

    def _take(self, run_id: str) -> int | None:
        epoch = self._runs.claim(
            run_id, owner=self._owner, now=self._now(), seconds=self._seconds, seen=self._abandoned(run_id)
        )
        if epoch is None:
            self._look(run_id)
        else:
            self._seen.pop(run_id, None)
            self._held[run_id] = epoch
        return epoch

    def _look(self, run_id: str) -> None:
        """Remember since when another worker's lease stands as it does."""
        run = self._runs.get(run_id)
        if run is None or run.status.final:
            self._seen.pop(run_id, None)
            return
        lease = (run.epoch, run.lease_until)
        if run_id not in self._seen or self._seen[run_id][0] != lease:
            self._seen[run_id] = (lease, self._ticks())

    def _abandoned(self, run_id: str) -> tuple[int, float] | None:
        """The lease as it has stood for too long, or None."""
        lease, since = self._seen.get(run_id, (None, 0.0))
        return lease if self._ticks() - since >= self._seconds * DEAD_AFTER else None
