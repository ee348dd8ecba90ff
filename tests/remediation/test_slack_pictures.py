"""The picture on the card: uploaded after the card, renewed when something ended, and never in the way."""

import math
from dataclasses import replace

import numpy as np
import pytest

from remediation.notifiers.slack import SlackNotifier
from remediation.notifiers.slack_pictures import MAX_ATTEMPTS
from remediation.notifiers.slack_series import SeriesSource, sparkline, telling_alert
from sentinel.alerts import AlertState, Finding
from sentinel.errors import TransientError
from sentinel.stores.history.protocol import SeriesData
from tests.remediation.test_slack_sender import cards, slack, text_of, workspace
from tests.remediation.world import EFFECTIVE, bad_deploy, update

__all__ = ["cards", "slack", "workspace"]
pytestmark = pytest.mark.slow
WEEK = 7 * 86400.0


class History:
    """Values of a steady series, now and a week ago; away when told so."""

    def __init__(self):
        self.away, self.asked = False, []

    def read(self, series, start, end, step=0.0):
        self.asked.append((start, end, step))
        if self.away:
            raise TransientError("the history is away")
        times = np.arange(start, end, step)
        return SeriesData(series, times, np.full(len(times), 0.01))


def fire(world, incident, **frozen):
    """The first message of each of the incident's alerts, and two windows after it."""
    for alert in incident.alerts:
        first = update(alert, alert.onset_at, "abnormal", 5.0)
        finding = Finding(detector="zscore", score=9.0, threshold=3.0, expected=0.01, high=0.02)
        firing = replace(
            first, message_id=f"{alert.alert_id}:firing", state=AlertState.FIRING, findings=(finding,), frozen=frozen
        )
        world.stores.alerts.add([firing])


def plot_of(cards, incident):
    plot = SeriesSource(cards.world.stores, cards.history).plot(incident)
    assert plot is not None
    return plot


def images(card):
    return [block["slack_file"]["id"] for block in card["blocks"] if block["type"] == "image"]


@pytest.fixture
def seen(cards):
    """Cards whose pictures know the past."""
    cards.history = History()
    world = cards.world
    notifier = SlackNotifier(cards.settings, world.stores, world.clock, history=cards.history)
    cards.notifier = world.notices = notifier
    world.restart()
    return cards


def test_the_card_comes_first_and_then_its_picture(seen):
    one = bad_deploy()
    fire(seen.world, one, zscore={"expected": 0.01, "high": 0.02})
    seen.world.open(one)
    sender = seen.notifier.senders["C0MAIN"]
    assert sender.step()
    assert images(seen.card()) == []
    assert "Approval wanted" in text_of(seen.card())
    assert sender.step()
    [file] = images(seen.card())
    assert seen.slack.files.done[file].startswith(b"\x89PNG")
    assert len(seen.slack.files.done[file]) < 200_000
    assert seen.slack.files.alts[file] == seen.slack.files.titles[file] == f"{one.alerts[0].series.name} of checkout"
    methods = [method for method, _ in seen.slack.calls]
    assert methods.index("chat.postMessage") < methods.index("files.getUploadURLExternal")
    assert "blast radius *2 services*" in text_of(seen.card())
    assert seen.slack.refused == []


def test_the_picture_is_renewed_when_it_is_over_and_not_before(seen):
    one = bad_deploy()
    fire(seen.world, one, zscore={"expected": 0.01, "high": 0.02})
    seen.world.open(one)
    seen.send()
    [first] = images(seen.card())
    seen.world.stores.cards.touch("inc-1")
    seen.send()
    assert images(seen.card()) == [first]
    seen.world.answer()
    seen.world.steps()
    seen.world.windows(one, "normal", "normal", "normal")
    seen.send()
    [second] = images(seen.card())
    assert second != first
    assert seen.slack.count("files.completeUploadExternal") == 2


@pytest.mark.parametrize(
    ("method", "fault", "more"),
    [
        ("files.getUploadURLExternal", "error", {"error": "missing_scope"}),
        ("files.getUploadURLExternal", "lose", {}),
        ("files.completeUploadExternal", "status", {"status": 500}),
    ],
)
def test_a_picture_that_cannot_be_sent_leaves_bars_and_holds_up_nothing(seen, method, fault, more):
    for _ in range(MAX_ATTEMPTS):
        seen.slack.fail(method, fault, **more)
    one = bad_deploy()
    fire(seen.world, one)
    seen.world.windows(one, "abnormal", "abnormal", first=one.alerts[0].onset_at + 60)
    seen.world.open(one)
    seen.send()
    assert images(seen.card()) == []
    assert "`▁▁▁`" in text_of(seen.card())
    assert seen.slack.thread(seen.card()["ts"])
    assert seen.world.stores.pictures.get("C0MAIN", "inc-1").attempts == MAX_ATTEMPTS


def test_a_file_that_slack_still_works_on_comes_onto_the_card_later(seen):
    seen.slack.files.unready = 2
    one = bad_deploy()
    fire(seen.world, one)
    seen.world.open(one)
    for _ in range(4):
        seen.send()
        seen.world.clock.at += 3
    assert len(images(seen.card())) == 1
    assert seen.slack.count("files.completeUploadExternal") == 1
    assert seen.slack.thread(seen.card()["ts"])


def test_a_file_that_slack_never_takes_is_given_up(seen):
    seen.slack.files.unready = 100
    one = bad_deploy()
    fire(seen.world, one)
    seen.world.open(one)
    for _ in range(MAX_ATTEMPTS + 1):
        seen.send()
        seen.world.clock.at += 10
    assert seen.slack.files.unready == 100 - MAX_ATTEMPTS
    assert images(seen.card()) == []
    assert seen.slack.thread(seen.card()["ts"])
    seen.slack.files.unready = 0


def test_one_failure_is_tried_again(seen):
    seen.slack.fail("files.getUploadURLExternal", "error", error="internal_error")
    one = bad_deploy()
    fire(seen.world, one)
    seen.world.open(one)
    seen.send()
    assert len(images(seen.card())) == 1


def test_a_pause_that_slack_wants_holds_for_pictures_too(seen):
    seen.slack.fail("files.getUploadURLExternal", "rate_limit", seconds=30)
    one = bad_deploy()
    fire(seen.world, one)
    seen.world.open(one)
    seen.send()
    assert images(seen.card()) == []
    seen.world.clock.at += 31
    seen.send()
    assert len(images(seen.card())) == 1


def test_a_picture_that_slack_lost_does_not_stop_the_card(seen):
    one = bad_deploy()
    fire(seen.world, one)
    seen.world.open(one)
    seen.send()
    seen.slack.files.done.clear()
    seen.world.answer()
    seen.world.steps()
    seen.send()
    assert "*Approve* by ann" in text_of(seen.card())


def test_without_a_history_or_while_it_is_away_the_plot_begins_with_the_alert(seen):
    one = bad_deploy()
    fire(seen.world, one, zscore={"expected": 0.01, "high": 0.02})
    alert = telling_alert(one)
    assert alert is not None
    whole = plot_of(seen, one)
    assert whole.times[0] <= alert.onset_at - 7000
    assert [start for start, *_ in seen.history.asked][1] == seen.history.asked[0][0] - WEEK
    assert set(whole.before) == {0.01}
    assert (set(whole.low), set(whole.high)) == ({0.0}, {0.02})
    seen.history.away = True
    for source in (SeriesSource(seen.world.stores, seen.history), SeriesSource(seen.world.stores, None)):
        short = source.plot(one)
        assert short is not None
        assert (short.times, short.before) == ([alert.onset_at], ())


def test_the_band_of_an_hour_of_the_week_is_drawn_by_hour(seen):
    one = bad_deploy()
    hour = math.floor(one.alerts[0].onset_at / 3600)
    season = {"first_hour": float(hour), "utc_offset": 0.0, "expected": [1.0], "low": [0.5], "high": [2.0]}
    fire(seen.world, one, zscore={"expected": 1.0}, seasonal=season)
    plot = plot_of(seen, one)
    inside = [high for at, high in zip(plot.times, plot.high, strict=True) if math.floor(at / 3600) == hour]
    assert set(inside) == {2.0}
    assert all(math.isnan(high) for at, high in zip(plot.times, plot.high, strict=True) if at / 3600 < hour)


def test_what_was_done_is_marked(seen):
    one = bad_deploy()
    fire(seen.world, one)
    seen.world.open(one)
    seen.world.answer()
    seen.world.steps()
    alerts = tuple(replace(alert, last_window_end=EFFECTIVE + 300) for alert in one.alerts)
    plot = plot_of(seen, replace(one, alerts=alerts))
    assert plot.marks == ((EFFECTIVE, "rollback"),)


def test_bars():
    assert sparkline([]) == ""
    assert sparkline([1.0, 1.0]) == "▁▁"
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
