"""From candidates to alerts: n of m windows to fire, one judgement per window while firing, and why it ended.

A slot is *quiet*, *pending* (a candidate among its last m windows) or *firing*. While it fires, a window is judged by the
parameters that were frozen at the onset and by nothing else, so that what the detectors learn meanwhile, a fault or a fix,
cannot move the goal.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from operators.alert_messages import Row, Subject, decision, fired, held, resolved, updated
from operators.blocks import Assignment, Candidate, Frozen, Judgements, ScoredBlock, Tick, pack, trace_hex, unpack
from operators.detectors.contract import judge_band
from operators.detectors.registry import judge
from operators.detectors.tree_snapshot import judge_vector
from operators.rules import RANGE, DetectionSettings
from sentinel.alerts import AlertMessage, Resolution, WindowVerdict
from sentinel.decisions import Decision
from sentinel.series import Window
from sentinel.topics import decode, encode


@dataclass(slots=True)
class Firing:
    """A firing alert: its first message, its last one, and how many windows in a row were normal or had no data."""

    first: AlertMessage
    last: AlertMessage
    normal: int = 0
    silent: int = 0


@dataclass(slots=True)
class Track:
    """A slot that is pending or firing. `recent` holds the last m windows with data: start, and the candidate if it counts."""

    recent: deque[tuple[float, Candidate | None]]
    last_end: float = 0.0
    firing: Firing | None = None


@dataclass(slots=True)
class _Out:
    """What one call writes."""

    now: float
    alerts: list[AlertMessage] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)


class AlertStates:
    """The alert states of one shard. `now` is wall time, only used to stamp messages. Cost: rows of quiet slots are free."""

    def __init__(self, settings: DetectionSettings) -> None:
        """Everything quiet."""
        self.settings = settings
        self._hash = settings.hash
        self._subjects: dict[int, Subject] = {}
        self._assignments: dict[int, Assignment] = {}
        self._tracks: dict[int, Track] = {}

    @property
    def firing(self) -> int:
        """How many alerts fire now, those of shadow rules included."""
        return sum(track.firing is not None for track in self._tracks.values())

    def feed(self, block: ScoredBlock, now: float) -> Judgements:
        """Judge a block's rows in order, then close what the watermark passed."""
        out = _Out(now)
        for each in block.assigned:
            self._assign(each, out)
        for i in self._interesting(block).tolist():
            row = Row(
                float(block.starts[i]), float(block.ends[i]), float(block.values[i]),
                trace_hex(block.traces[i, 0], block.traces[i, 1]), block.candidates.get(i), block.vectors.get(i),
            )  # fmt: skip
            self._step(int(block.slots[i]), row, out)
        self._pass(block.watermark, out)
        return Judgements(block.shard, out.alerts, out.decisions)

    def tick(self, tick: Tick, now: float) -> Judgements:
        """Time has passed without a block: say `no_data` for windows that ended at or before the watermark."""
        out = _Out(now)
        self._pass(tick.watermark, out)
        return Judgements(tick.shard, out.alerts, out.decisions)

    def snapshot(self) -> dict[str, Any]:
        """The state as plain dicts; messages as the bytes of their topic."""
        return {
            "v": 1, "assignments": [pack(each) for each in self._assignments.values()],
            "tracks": {slot: _dump_track(track) for slot, track in self._tracks.items()},
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a snapshot. An alert whose rule is gone ends when `summarize` frees its slot."""
        for packed in state["assignments"]:
            each = unpack(packed)
            rule = self.settings.rule(each.rule)
            self._assignments[each.slot] = each
            if rule is not None:
                self._subjects[each.slot] = Subject(each.series, each.rule, rule)
        self._tracks = {slot: _load_track(track) for slot, track in state["tracks"].items()}

    def _interesting(self, block: ScoredBlock) -> Any:
        """Rows of slots that are not quiet, or that have a candidate in this block."""
        slots = {*self._tracks, *(int(block.slots[row]) for row in block.candidates)}
        return np.flatnonzero(np.isin(block.slots, list(slots))) if slots else np.empty(0, np.intp)

    def _assign(self, each: Assignment, out: _Out) -> None:
        track = self._tracks.pop(each.slot, None)
        if track is not None and track.firing is not None:
            reason = "the alert's rule was changed or removed, or its series forgotten"
            self._resolve(self._subjects.get(each.slot), track.firing, Resolution.SUPPRESSED, reason, out)
        self._subjects.pop(each.slot, None)
        self._assignments.pop(each.slot, None)
        rule = self.settings.rule(each.rule)
        if rule is not None:
            self._subjects[each.slot] = Subject(each.series, each.rule, rule)
            self._assignments[each.slot] = each

    def _step(self, slot: int, row: Row, out: _Out) -> None:
        subject = self._subjects[slot]
        track = self._tracks.get(slot)
        if track is not None and track.firing is not None:
            self._fill_gap(slot, subject, track, row.start, out)
            if track.firing is not None:
                self._judge(slot, subject, track, row, out)
                return
            track = None
        if row.candidate is None and track is None:
            return
        if track is None or row.start - track.last_end > subject.rule.stale_after * subject.rule.window:
            track = self._tracks[slot] = Track(deque(maxlen=subject.rule.confirm[1]))
        track.last_end = row.end
        self._confirm(slot, subject, track, row, out)

    def _confirm(self, slot: int, subject: Subject, track: Track, row: Row, out: _Out) -> None:
        """A window of a slot that does not fire: count candidates, fire when there are n of m."""
        candidate = row.candidate
        counts = candidate if candidate is not None and not candidate.veto else None
        track.recent.append((row.start, counts))
        unusual = [(start, each) for start, each in track.recent if each is not None]
        if not unusual:
            del self._tracks[slot]
        if candidate is None:
            return
        n, m = subject.rule.confirm
        if candidate.veto:
            self._decide(subject, row, "not_confirmed", candidate.veto, out)
        elif len(unusual) < n:
            reason = f"{len(unusual)} unusual {'window' if len(unusual) == 1 else 'windows'} so far; the rule asks for {n} of {m}"
            self._decide(subject, row, "pending", reason, out)
        else:
            onset, first = unusual[0]
            message = fired(subject, onset, first, row, out.now, self._hash)
            track.firing = Firing(message, message)
            track.recent.clear()
            self._say(subject, message, out)
            verdict = "would_fire" if subject.rule.shadow else "fired"
            self._decide(subject, row, verdict, message.reason, out, message.alert_id)

    def _judge(self, slot: int, subject: Subject, track: Track, row: Row, out: _Out) -> None:
        """A window with data of a firing alert."""
        alert = track.firing
        if alert is None:
            return
        if subject.rule.refire and row.candidate is not None and not row.candidate.veto:
            self._refire(subject, track, alert, row, row.candidate, out)
            return
        frozen = alert.first.frozen or {}
        if row.vector is not None:
            row = replace(row, value=judge_vector(frozen[subject.rule.detectors[0]], row.vector))
        spoke = self._abnormal(subject, frozen, row)
        verdict = WindowVerdict.ABNORMAL if spoke else WindowVerdict.NORMAL
        track.last_end = row.end
        alert.silent, alert.normal = 0, 0 if spoke else alert.normal + 1
        reason = held(alert.first, row.value, spoke)
        alert.last = updated(alert.first, Window(row.start, row.end), row.value, verdict, reason, row.trace_id, out.now)
        self._say(subject, alert.last, out)
        if alert.normal >= subject.rule.clear_for:
            text = f"{alert.normal} windows in a row inside the band frozen at firing"
            self._end(slot, subject, alert, Resolution.RECOVERED, text, out)
        elif row.end - alert.first.fired_at >= subject.rule.max_firing:
            text = f"still outside after {subject.rule.max_firing / 3600:.1f} hours: the new level is taken as usual"
            self._end(slot, subject, alert, Resolution.REBASELINED, text, out)

    def _refire(self, subject: Subject, track: Track, old: Firing, row: Row, candidate: Candidate, out: _Out) -> None:
        """A detector that says a thing once said it again: a new alert takes over, judged by the old one's parameters."""
        reason = "worse, or still there after the refractory time: a new alert takes over"
        self._resolve(subject, old, Resolution.SUPPRESSED, reason, out)
        kept = replace(candidate, frozen=old.first.frozen or candidate.frozen)
        message = fired(subject, row.start, kept, row, out.now, self._hash)
        track.firing, track.last_end = Firing(message, message), row.end
        self._say(subject, message, out)
        verdict = "would_fire" if subject.rule.shadow else "fired"
        self._decide(subject, row, verdict, message.reason, out, message.alert_id)

    def _abnormal(self, subject: Subject, frozen: dict[str, Frozen], row: Row) -> str:
        """The first detector whose snapshot calls the window abnormal; empty when none does or one speaks against it."""
        if RANGE in frozen and not self._inside(subject, RANGE, frozen, row):
            return "the data range"
        spoke = next(
            (
                name
                for name in subject.rule.detectors
                if name in frozen and not self._inside(subject, name, frozen, row)
            ),
            "",
        )
        if spoke and any(name in frozen and self._inside(subject, name, frozen, row) for name in subject.rule.unless):
            return ""
        return spoke

    def _inside(self, subject: Subject, name: str, frozen: dict[str, Frozen], row: Row) -> bool:
        if name == RANGE:
            return judge_band(frozen[name], row.value)
        return judge(self.settings.detectors[name], frozen[name], row.start, row.value, subject.rule.clear_within)

    def _pass(self, watermark: float, out: _Out) -> None:
        """Every window of a firing alert up to the watermark that had no event is `no_data`."""
        for slot, track in sorted(self._tracks.items()):
            if track.firing is not None:
                self._fill_gap(slot, self._subjects[slot], track, watermark, out)

    def _fill_gap(self, slot: int, subject: Subject, track: Track, until: float, out: _Out) -> None:
        length = subject.rule.window
        while track.firing is not None and track.last_end + length <= until:
            alert = track.firing
            window = Window(track.last_end, track.last_end + length)
            track.last_end = window.end
            alert.silent, alert.normal = alert.silent + 1, 0
            reason = f"no event in the window, {alert.silent} in a row"
            alert.last = updated(alert.first, window, None, WindowVerdict.NO_DATA, reason, "", out.now)
            self._say(subject, alert.last, out)
            if alert.silent >= subject.rule.stale_after:
                text = f"no event in {alert.silent} windows in a row"
                self._end(slot, subject, alert, Resolution.STALE, text, out)
                track.firing = None

    def _end(self, slot: int, subject: Subject, alert: Firing, how: Resolution, reason: str, out: _Out) -> None:
        self._resolve(subject, alert, how, reason, out)
        del self._tracks[slot]

    def _resolve(self, subject: Subject | None, alert: Firing, how: Resolution, reason: str, out: _Out) -> None:
        message = resolved(alert.last, how, reason, out.now)
        if subject is None:
            out.alerts.append(message)
            return
        self._say(subject, message, out)
        row = Row(message.window.start, message.window.end, message.value or 0.0, message.trace_id, None, None)
        self._decide(subject, row, how, reason, out, message.alert_id)

    def _say(self, subject: Subject, message: AlertMessage, out: _Out) -> None:
        if not subject.rule.shadow:
            out.alerts.append(message)

    def _decide(self, subject: Subject, row: Row, verdict: str, reason: str, out: _Out, alert_id: str = "") -> None:
        out.decisions.append(decision(subject, row, verdict, reason, out.now, self._hash, alert_id))


def _dump_track(track: Track) -> dict[str, Any]:
    alert = track.firing
    return {
        "recent": [(start, encode(each) if each else None) for start, each in track.recent], "m": track.recent.maxlen,
        "last_end": track.last_end,
        "firing": (encode(alert.first), encode(alert.last), alert.normal, alert.silent) if alert else None,
    }  # fmt: skip


def _load_track(state: dict[str, Any]) -> Track:
    recent = [(start, decode(each, Candidate) if each else None) for start, each in state["recent"]]
    track = Track(deque(recent, maxlen=state["m"]), state["last_end"])
    if state["firing"]:
        first, last, normal, silent = state["firing"]
        track.firing = Firing(decode(first, AlertMessage), decode(last, AlertMessage), normal, silent)
    return track
