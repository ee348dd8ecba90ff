"""Which slots of a shard belong to which series and rule: a numba-readable hash table and its rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.blocks import Assignment, Slots
from operators.rules import DetectionSettings, Rule
from sentinel.series import SERVICE_LABEL, Series

EMPTY = -1
"""A place of the table or a link of a chain that leads nowhere."""


@dataclass(slots=True)
class SlotRow:
    """What one slot holds. `rule_hash` tells after a restart whether its rule is still the same."""

    series: Series
    rule: str
    rule_hash: str
    group: int = EMPTY
    members: set[int] = field(default_factory=set)
    """Slots of the components, when this is the slot of a vector."""


class SeriesTable:
    """Series hash to a chain of slots: one for the rule that matched, one for each vector that the series is part of.

    Open addressing with linear probing over arrays, at most half full, so that a kernel can look up; 12 bytes a place.
    A hash whose series differs from the one known is counted in `collisions` and refused, never merged.
    """

    def __init__(self, settings: DetectionSettings) -> None:
        """An empty table for one shard."""
        self.settings = settings
        self.rows: dict[int, SlotRow] = {}
        self.heads: dict[int, int] = {}
        self.vectors: dict[tuple[str, str], int] = {}
        self.collisions = 0
        self.refused = 0
        self._free: list[int] = []
        self._next = 0
        self.chain: Slots = np.full(64, EMPTY, np.int32)
        self.keys: npt.NDArray[np.uint64] = np.zeros(128, np.uint64)
        self.places: Slots = np.full(128, EMPTY, np.int32)

    @property
    def capacity(self) -> int:
        """Slots that arrays indexed by slot must have room for."""
        return len(self.chain)

    def announce(self, key: int, series: Series) -> list[Assignment]:
        """Take in an announcement; returns the slots that it opened (none when known, unmatched or refused)."""
        head = self.heads.get(key)
        if head is not None:
            if self.rows[head].series != series:
                self.collisions += 1
            return []
        matched = self.settings.rule_for(series)
        vectors = self.settings.vectors_for(series)
        if matched is None and not vectors:
            return []
        if len(self.heads) >= self.settings.max_series:
            self.refused += 1
            return []
        opened: list[Assignment] = []
        slots: list[int] = []
        if matched is not None:
            slots.append(self._open(opened, series, *matched))
        for name, rule in vectors:
            group = self._vector(opened, series.service, name, rule)
            slots.append(self._open(opened, series, name, rule, group))
        for slot, following in zip(slots, [*slots[1:], EMPTY], strict=True):
            self.chain[slot] = following
        self.heads[key] = slots[0]
        self._insert(key, slots[0])
        return opened

    def forget(self, key: int) -> list[Assignment]:
        """Free every slot of a series, and of a vector that loses its last component. Call `rebuild` afterwards."""
        freed: list[Assignment] = []
        slot = self.heads.pop(key)
        while slot != EMPTY:
            row, following = self.rows[slot], int(self.chain[slot])
            self._close(freed, slot)
            if row.group != EMPTY:
                members = self.rows[row.group].members
                members.discard(slot)
                if not members:
                    del self.vectors[row.rule, row.series.service]
                    self._close(freed, row.group)
            slot = following
        return freed

    def rebuild(self) -> None:
        """Make the hash table anew from what is known: after series were forgotten or when it is half full."""
        size = len(self.keys)
        while size < 4 * max(len(self.heads), 1):
            size *= 2
        self.keys = np.zeros(size, np.uint64)
        self.places = np.full(size, EMPTY, np.int32)
        for key, slot in self.heads.items():
            self._place(key, slot)

    def snapshot(self) -> dict[str, Any]:
        """The state as plain values."""
        rows = [
            (slot, row.series.name, list(row.series.labels), row.rule, row.rule_hash, row.group)
            for slot, row in self.rows.items()
        ]
        return {
            "v": 1, "rows": rows, "heads": dict(self.heads), "chain": self.chain.copy(), "free": list(self._free),
            "next": self._next, "collisions": self.collisions, "refused": self.refused,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> list[Assignment]:
        """Take over a snapshot. Series whose rules are no longer the same are assigned anew; returns those changes."""
        self._free, self._next, self.chain = list(state["free"]), state["next"], state["chain"].copy()
        self.collisions, self.refused = state["collisions"], state["refused"]
        self.heads = dict(state["heads"])
        for slot, name, labels, rule, rule_hash, group in state["rows"]:
            self.rows[slot] = SlotRow(Series(name, tuple((k, v) for k, v in labels)), rule, rule_hash, group)
        for slot, row in self.rows.items():
            if row.group != EMPTY:
                self.rows[row.group].members.add(slot)
                self.vectors[row.rule, row.series.service] = row.group
        stale = [(key, self.rows[head].series) for key, head in self.heads.items() if not self._still_right(head)]
        changes = [change for key, _ in stale for change in self.forget(key)]
        self.rebuild()
        return changes + [change for key, series in stale for change in self.announce(key, series)]

    def _still_right(self, head: int) -> bool:
        series = self.rows[head].series
        matched = self.settings.rule_for(series)
        wanted = [*([matched] if matched else []), *self.settings.vectors_for(series)]
        have, slot = [], head
        while slot != EMPTY:
            have.append((self.rows[slot].rule, self.rows[slot].rule_hash))
            slot = int(self.chain[slot])
        return have == [(name, self._rule_hash(rule)) for name, rule in wanted]

    def _rule_hash(self, rule: Rule) -> str:
        detectors = [self.settings.detectors[name].hash for name in (*rule.detectors, *rule.unless)]
        return "-".join([rule.hash, *detectors])

    def _vector(self, opened: list[Assignment], service: str, name: str, rule: Rule) -> int:
        slot = self.vectors.get((name, service))
        if slot is None:
            slot = self._open(opened, Series.of(name, {SERVICE_LABEL: service}), name, rule)
            self.vectors[name, service] = slot
        return slot

    def _open(self, opened: list[Assignment], series: Series, name: str, rule: Rule, group: int = EMPTY) -> int:
        if self._free:
            slot = self._free.pop()
        else:
            slot, self._next = self._next, self._next + 1
        if slot >= len(self.chain):
            self.chain = np.concatenate([self.chain, np.full(len(self.chain), EMPTY, np.int32)])
        self.chain[slot] = EMPTY
        self.rows[slot] = SlotRow(series, name, self._rule_hash(rule), group)
        if group != EMPTY:
            self.rows[group].members.add(slot)
        opened.append(Assignment(slot, series, name, group))
        return slot

    def _close(self, freed: list[Assignment], slot: int) -> None:
        row = self.rows.pop(slot)
        self._free.append(slot)
        freed.append(Assignment(slot, row.series, ""))

    def _insert(self, key: int, slot: int) -> None:
        if 2 * len(self.heads) > len(self.keys):
            self.rebuild()
        else:
            self._place(key, slot)

    def _place(self, key: int, slot: int) -> None:
        mask = len(self.keys) - 1
        place = key & mask
        while self.places[place] != EMPTY:
            place = (place + 1) & mask
        self.keys[place] = key
        self.places[place] = slot
