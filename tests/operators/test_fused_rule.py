"""The shipped rule `anything` in the live flow: cuts, restarts, a second word while firing, verification, explanations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.explanations import Outcome, explain
from operators.rules import DetectionSettings
from operators.shard_core import ShardCore, shard_blocks
from sentinel.alerts import AlertState, Resolution, WindowVerdict
from tests.operators.detection_samples import MONDAY, cut, minutes, noisy, run, series
from tests.operators.test_alert_states import OTHER, World

QUEUE = series("queue_depth")
OWN = DetectionSettings(
    rules={"anything": DetectionSettings().rules["anything"].model_copy(update={"warm_up": 0.0})},
    vectors={},
    lateness=0.0,
)
FAULT = 700


def world(seed=1):
    """Two series of ten hours; the first has a fault of half an hour, which gets much worse after ten minutes."""
    one, other = noisy(900, seed=seed), noisy(900, seed=seed + 100)
    one[FAULT : FAULT + 30] += 40
    one[FAULT + 10 : FAULT + 30] += 2000
    return [(QUEUE, minutes(900), one), (series("queue_depth", "web"), minutes(900), other)]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 50), cuts=st.lists(st.integers(1, 1799), max_size=8), at=st.integers(0, 8))
def test_neither_cuts_nor_a_restart_change_what_is_said(seed, cuts, at):
    blocks = list(shard_blocks(world(seed)))
    expected = run(ShardCore(OWN), blocks)
    parts = cut(blocks, cuts)
    at = min(at, len(parts))
    first, second = ShardCore(OWN), ShardCore(OWN)
    one = run(first, parts[:at])
    second.restore(first.snapshot())
    two = run(second, parts[at:])
    by_id = lambda message: message.message_id
    assert sorted(one[0] + two[0], key=by_id) == sorted(expected[0], key=by_id)
    assert {row.decision_id for row in one[1] + two[1]} == {row.decision_id for row in expected[1]}


def test_a_fault_fires_gets_worse_and_resolves_by_the_band_frozen_first():
    alerts, _ = run(ShardCore(OWN), shard_blocks(world()))
    mine = [message for message in alerts if message.series == QUEUE]
    fired = [message for message in mine if message.state is AlertState.FIRING]
    at = [(message.window.start - MONDAY) / 60 for message in fired]
    assert FAULT <= at[0] <= FAULT + 5
    assert at[1] == FAULT + 10
    assert fired[1].frozen == fired[0].frozen
    ends = [message.resolution for message in mine if message.state is AlertState.RESOLVED]
    assert ends == [Resolution.SUPPRESSED, Resolution.RECOVERED]
    updates = [message for message in mine if message.state is AlertState.UPDATE]
    after = [message for message in updates if message.window.start >= MONDAY + 60 * (FAULT + 30)]
    assert [message.verdict for message in after] == [WindowVerdict.NORMAL] * 4
    before = [message for message in updates if message.window.start < MONDAY + 60 * (FAULT + 30)]
    assert all(message.verdict is WindowVerdict.ABNORMAL for message in before)


def test_only_a_rule_that_says_so_fires_again_while_firing():
    again = World(**{"refire": True, "for": "1 of 1"}).feed("c").feed("c", frozen=OTHER)
    assert again.said == [("firing", None), ("resolved", Resolution.SUPPRESSED), ("firing", None)]
    assert again.alerts[2].frozen == again.alerts[0].frozen
    assert again.alerts[2].alert_id != again.alerts[0].alert_id
    assert [row.verdict for row in again.decisions] == ["fired", "suppressed", "fired"]
    assert World(**{"refire": True, "for": "1 of 1"}).feed("cv").said[-1][0] == "update"
    assert World(**{"for": "1 of 1"}).feed("cc").said[-1][0] == "update"


@pytest.mark.parametrize(
    ("minute", "outcome", "says"),
    [
        (100, Outcome.USUAL, "no detector of the rule has seen enough windows yet"),
        (FAULT - 1, Outcome.USUAL, "inside the band of every detector"),
        (FAULT + 15, Outcome.FIRING, "is not back inside the band of fused"),
    ],
)
def test_every_window_has_its_reason(minute, outcome, says):
    _, times, values = world()[0]
    found = explain(OWN, QUEUE, times, values, MONDAY + 60 * minute)
    assert found.outcome is outcome
    assert says in found.reason


def test_what_fired_is_explained_by_channels_novelty_and_bar():
    _, times, values = world()[0]
    alerts, _ = run(ShardCore(OWN), shard_blocks(world()))
    fired = next(message for message in alerts if message.state is AlertState.FIRING)
    found = explain(OWN, QUEUE, times, values, fired.window.start)
    assert found.outcome is Outcome.FIRED
    assert found.words[0].unusual
    said = found.words[0].sentence
    assert said.startswith("fused: unusual; 1")
    for part in ("season", "drift", "jump", "new for this series: value", "lasting"):
        assert part in said
    after = [explain(OWN, QUEUE, times, values, fired.window.start + 60 * each).words[0] for each in (1, 2, 3)]
    assert not any(word.unusual for word in after)
    assert any("held back: within the refractory time" in word.sentence for word in after)


def test_hourly_values_in_one_minute_windows_are_judged_too():
    """A count that comes once an hour: the step is learned from the times, not from the rule."""
    values = np.r_[noisy(500), 160.0, 160.0, noisy(20, seed=3)]
    times = MONDAY + 60.0 * minutes(len(values), 0.0)
    alerts, _ = run(ShardCore(OWN), shard_blocks([(QUEUE, times, values)]))
    fired = [message.window.start for message in alerts if message.state is AlertState.FIRING]
    assert fired[-1] == times[500]
    assert len(fired) <= 2  # three weeks of noise may cost one
