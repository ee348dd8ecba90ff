"""Backtests: the rules over a recording, the band that they saw, labels, and two configurations side by side."""

from __future__ import annotations

import numpy as np
import pytest

from operators.backtesting import backtest, band_of, compare, quality
from operators.rules import DetectionSettings
from sentinel.alerts import Resolution
from sentinel.series import Series, Window

START = 1_700_000_000.0 // 3600 * 3600
CART = Series.of("error_ratio", {"service": "cart"})
WEB = Series.of("error_ratio", {"service": "web"})
OTHER = Series.of("queue_depth", {"service": "cart"})
FAULT = Window(START + 8 * 3600.0, START + 9 * 3600.0)


def settings(**rule: object) -> DetectionSettings:
    given = {"match": {"names": ["error*"]}, "unless": [], "min_absolute": 0.05, "for": "2 of 3", **rule}
    return DetectionSettings.model_validate({"rules": {"errors": given}, "vectors": {}})


def recorded(series: Series, *faults: Window, hours: float = 12.0):
    """A value a minute around 0.1, and 0.9 in the faults."""
    times = START + np.arange(0, hours * 3600.0, 60.0)
    values = 0.1 + 0.01 * np.sin(np.arange(len(times)))
    for fault in faults:
        values[(times >= fault.start) & (times < fault.end)] = 0.9
    return series, times, values


def test_a_fault_gives_the_alert_that_the_flow_would_send():
    found = backtest(settings(), [recorded(CART, FAULT), recorded(OTHER)])
    assert found.rules == {CART: "errors", OTHER: ""}
    [alert] = found.alerts
    assert (alert.series, alert.rule, alert.resolution) == (CART, "errors", Resolution.RECOVERED)
    assert FAULT.start <= alert.onset_at < alert.fired_at <= FAULT.start + 180.0
    assert alert.ended_at is not None
    assert FAULT.end < alert.ended_at < FAULT.end + 600.0
    assert found.per_series() == {CART: 1}
    assert found.weeks([CART]) == pytest.approx(12 / 168, rel=0.01)


def test_a_rule_in_shadow_is_tried_and_one_that_warms_up_says_nothing():
    assert len(backtest(settings(shadow=True), [recorded(CART, FAULT)]).alerts) == 1
    assert backtest(settings(warm_up=11 * 3600.0), [recorded(CART, FAULT)]).alerts == ()


def test_candidates_that_made_no_alert_are_counted():
    found = backtest(settings(**{"for": "3 of 3"}), [recorded(CART, Window(FAULT.start, FAULT.start + 120.0))])
    assert found.alerts == ()
    assert found.held_back["errors", "pending"] == 2


def test_a_fault_at_the_very_end_is_seen_and_still_fires():
    [alert] = backtest(settings(), [recorded(CART, FAULT, hours=8.1)]).alerts
    assert alert.ended_at is None
    assert alert.span(alert.fired_at + 60.0).end == alert.fired_at + 60.0


def test_the_band_is_the_one_that_the_values_left():
    band = band_of(settings(), recorded(CART, FAULT))
    assert band is not None
    assert len(band.starts) == 720
    inside = (band.starts >= START + 7 * 3600.0) & (band.starts < FAULT.start)
    assert (band.low[inside] < band.values[inside]).all()
    assert (band.values[inside] < band.high[inside]).all()
    onset = int(np.flatnonzero(band.starts == FAULT.start)[0])
    assert band.values[onset] > band.high[onset]
    assert band_of(settings(), recorded(OTHER)) is None


def test_quality_counts_alerts_in_faults_and_faults_with_alerts():
    later = Window(FAULT.start + 7200.0, FAULT.start + 7500.0)
    found = backtest(settings(), [recorded(CART, FAULT, later), recorded(WEB, FAULT)])
    assert len(found.alerts) == 3
    measured = quality(found.alerts, {CART: [FAULT, Window(START, START + 60.0)], WEB: [FAULT]})
    assert (measured.alerts, measured.true, measured.faults, measured.found) == (3, 2, 3, 2)
    assert measured.precision == pytest.approx(2 / 3)
    assert measured.recall == pytest.approx(2 / 3)
    assert quality([], {}).precision == quality([], {}).recall == 1.0


def test_what_one_configuration_says_and_the_other_does_not():
    recording = [recorded(CART, FAULT), recorded(WEB, FAULT)]
    loud, quiet = backtest(settings(), recording), backtest(settings(min_absolute=0.95), recording)
    found = compare(loud, quiet)
    assert (len(found.gained), len(found.lost)) == (0, 2)
    assert [alert.series for alert in compare(quiet, loud).gained] == [CART, WEB]
    later = backtest(settings(**{"for": "5 of 5"}), recording)
    assert compare(loud, later).gained == compare(loud, later).lost == ()


def test_nothing_recorded_gives_nothing():
    found = backtest(settings(), [(CART, [], [])])
    assert (found.alerts, found.rules, found.start, found.end) == ((), {}, 0.0, 0.0)
