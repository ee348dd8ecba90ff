"""The life of an alert: n of m to fire, judged by frozen parameters alone, and every way to end."""

from __future__ import annotations

import numpy as np
import pytest

from operators.alert_states import AlertStates
from operators.blocks import Assignment, Candidate, Frozen, ScoredBlock, Tick
from sentinel.alerts import AlertState, Finding, Resolution, WindowVerdict
from sentinel.canonical import canonical_json
from sentinel.topics import decode, encode
from tests.operators.detection_samples import one_rule, series

FROZEN: dict[str, Frozen] = {"zscore": {"expected": 10.0, "scale": 1.0, "low": 5.0, "high": 15.0}}
OTHER: dict[str, Frozen] = {"zscore": {"expected": 100.0, "scale": 1.0, "low": 95.0, "high": 105.0}}


def candidate(veto="", frozen=None, score=9.0):
    finding = Finding(detector="zscore", score=score, threshold=5.0, expected=10.0, low=5.0, high=15.0, text="far out")
    return Candidate((finding,), frozen or FROZEN, veto)


class World:
    """One slot, a window a minute: `feed("c.n")` feeds a candidate at 20, a window without data, a usual window at 10."""

    def __init__(self, **rule):
        self.settings = one_rule(**rule)
        self.states = AlertStates(self.settings)
        self.at = 0.0
        self.assigned = [Assignment(0, series(), "all")]
        self.alerts, self.decisions = [], []

    def feed(self, text, frozen=None):
        for letter in text:
            values = {"c": 20.0, "v": 20.0, "a": 20.0, "n": 10.0, "e": 14.5}
            rows = [] if letter == "." else [(self.at, values[letter])]
            found = {"c": candidate(frozen=frozen), "v": candidate("matches the season")}.get(letter)
            self.at += 60
            self.take(self.states.feed(self.block(rows, {0: found} if found else {}), now=7.0))
        return self

    def block(self, rows, candidates):
        starts = np.array([start for start, _ in rows], float)
        assigned, self.assigned = self.assigned, []
        return ScoredBlock(
            "0/0", np.zeros(len(rows), np.int32), starts, starts + 60, np.array([value for _, value in rows], float),
            np.full((len(rows), 2), 1, np.uint64), self.at, candidates, {}, assigned,
        )  # fmt: skip

    def take(self, judged):
        self.alerts += judged.alerts
        self.decisions += judged.decisions

    @property
    def said(self):
        return [(a.state.value, a.verdict.value if a.state is AlertState.UPDATE else a.resolution) for a in self.alerts]

    @property
    def decided(self):
        return [row.verdict for row in self.decisions]


@pytest.mark.parametrize(
    ("windows", "fires_at"),
    [("cc", 2), ("cnc", 3), ("cnnc", None), ("cnnncc", 6), ("ncnncnc", 7), ("cvc", 3), ("vvv", None)],
)
def test_two_of_three_windows_fire(windows, fires_at):
    world = World().feed(windows)
    ends = [message.window.end / 60 for message in world.alerts if message.state is AlertState.FIRING]
    assert ends == ([] if fires_at is None else [fires_at])


def test_windows_without_data_do_not_count_but_a_long_gap_starts_over():
    assert World(stale_after=5).feed("c...c").said == [("firing", None)]
    assert World(stale_after=3).feed("c....c").said == []


def test_what_a_firing_message_carries():
    world = World().feed("nnc")
    world.feed("c", frozen=OTHER)
    message = world.alerts[0]
    assert message.alert_id.startswith("alr-")
    assert message.message_id == f"{message.alert_id}:firing:240"
    assert (message.onset_at, message.fired_at, message.detected_at) == (120.0, 240.0, 7.0)
    assert message.frozen == FROZEN  # those of the onset, before the detectors learned from the fault
    assert message.trace_id == "00000000000000010000000000000001"
    assert message.config_hash == world.settings.hash
    assert (message.score, message.threshold, message.value) == (9.0, 5.0, 20.0)
    assert "far out" in message.reason
    assert decode(encode(message), type(message)) == message
    assert world.decided == ["pending", "fired"]
    assert world.decisions[-1].details["alert_id"] == message.alert_id
    assert world.decisions[-1].subject == message.series.key


def test_each_window_of_a_firing_alert_is_judged_by_the_frozen_band_alone():
    world = World(clear_for=3).feed("cc").feed("c", frozen=OTHER).feed("n").feed("a").feed("nn")
    assert world.said == [
        ("firing", None), ("update", "abnormal"), ("update", "normal"), ("update", "abnormal"), ("update", "normal"),
        ("update", "normal"),
    ]  # fmt: skip
    assert all(message.frozen is None for message in world.alerts[1:])
    assert len({message.message_id for message in world.alerts}) == len(world.alerts)
    world.feed("n")
    assert world.said[-1] == ("resolved", Resolution.RECOVERED)
    assert "3 windows in a row" in world.alerts[-1].reason
    assert world.decided[-1] == "recovered"


def test_a_value_that_hovers_at_the_edge_is_not_normal():
    world = World().feed("cc").feed("eee")
    assert [verdict for _, verdict in world.said[1:]] == ["abnormal"] * 3
    assert World(clear_within=1.0, clear_for=3).feed("cc").feed("eee").said[-1] == ("resolved", Resolution.RECOVERED)


def test_the_score_of_an_update_is_in_the_unit_of_the_alert():
    world = World().feed("cc").feed("a").feed("n")
    assert [message.score for message in world.alerts[1:]] == [10.0, 0.0]


def test_silence_is_no_data_then_stale():
    world = World(stale_after=3).feed("cc").feed("..")
    assert world.said[1:] == [("update", "no_data")] * 2
    assert world.alerts[-1].value is None
    world.feed("n").feed("...")
    assert world.said[-1] == ("resolved", Resolution.STALE)
    assert sum(verdict == "no_data" for _, verdict in world.said) == 5
    world.feed("....")
    assert world.said[-1] == ("resolved", Resolution.STALE)


def test_no_data_breaks_a_run_of_normal_windows():
    world = World(clear_for=3).feed("cc").feed("nn.n")
    assert world.said[-1] == ("update", "normal")


def test_a_tick_says_no_data_for_a_silent_shard():
    world = World(stale_after=5).feed("cc")
    world.take(world.states.tick(Tick("0/0", world.at + 130), now=8.0))
    assert world.said[1:] == [("update", "no_data")] * 2
    assert world.states.tick(Tick("0/0", world.at + 130), now=8.0).alerts == []


def test_a_lasting_new_level_is_rebaselined_and_may_fire_anew():
    world = World(max_firing=300).feed("cc").feed("aaaaa")
    assert world.said[-1] == ("resolved", Resolution.REBASELINED)
    world.feed("cc")
    assert world.said[-1] == ("firing", None)
    assert world.alerts[-1].alert_id != world.alerts[0].alert_id


def test_an_alert_whose_rule_is_gone_is_suppressed():
    world = World().feed("cc")
    world.assigned = [Assignment(0, series(), "")]
    world.feed(".")
    assert world.said[-1] == ("resolved", Resolution.SUPPRESSED)


def test_a_veto_and_a_pending_window_leave_decision_rows():
    world = World().feed("vcn")
    assert world.decided == ["not_confirmed", "pending"]
    assert world.decisions[0].reason == "matches the season"
    assert world.decisions[1].reason == "1 unusual window so far; the rule asks for 2 of 3"
    assert len({row.decision_id for row in world.decisions}) == 2


def test_a_shadow_rule_decides_but_sends_nothing():
    world = World(shadow=True).feed("cc").feed("nnnn")
    assert world.alerts == []
    assert world.decided == ["pending", "would_fire", "recovered"]


@pytest.mark.parametrize("at", range(12))
def test_a_restart_anywhere_changes_no_message(at):
    windows = "ncc.anccvcnn"
    straight = World(clear_for=2, stale_after=2).feed(windows)
    first = World(clear_for=2, stale_after=2).feed(windows[:at])
    states = AlertStates(first.settings)
    states.restore(first.states.snapshot())
    first.states = states
    first.feed(windows[at:])
    assert first.alerts == straight.alerts
    assert first.decisions == straight.decisions


def test_the_snapshot_is_plain():
    state = World().feed("ncc").states.snapshot()
    canonical_json({key: value for key, value in state.items() if key != "tracks"})
    assert isinstance(state["tracks"][0]["firing"][0], bytes)


def test_range_and_season_judge_as_they_did_at_firing():
    season = {"first_hour": 0.0, "utc_offset": 0.0, "expected": [20.0], "low": [19.0], "high": [21.0]}
    world = World().feed("cc", frozen={**FROZEN, "seasonal": season})
    world.feed("a")  # 20 is outside the z-score's band and in the middle of the season's
    assert world.alerts[-1].verdict is WindowVerdict.NORMAL
    world = World().feed("cc", frozen={**FROZEN, "seasonal": season, "range": {"low": 0.0, "high": 12.0}})
    world.feed("a")
    assert world.alerts[-1].verdict is WindowVerdict.ABNORMAL
