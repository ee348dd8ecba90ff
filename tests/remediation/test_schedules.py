"""Freezes and hours: by the clock on the wall of an IANA zone, whatever daylight saving time does."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from remediation.schedules import ChangeFreeze, Hours, Instead, untimely
from sentinel.plans import PolicyAnswer
from tests.remediation.test_policy import action, ask

OFFICE = Hours.model_validate(
    {
        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "start": "09:00",
        "end": "17:00",
        "zone": "Europe/Berlin",
    }
)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("at", "inside"),
    [
        # In winter Berlin is an hour ahead of UTC, from 29 March 2026 on two, from 25 October on one again.
        ("2026-03-28T07:59", False),
        ("2026-03-28T08:00", True),
        ("2026-03-28T15:59", True),
        ("2026-03-28T16:00", False),
        ("2026-03-29T06:59", False),
        ("2026-03-29T07:00", True),
        ("2026-03-29T14:59", True),
        ("2026-03-29T15:00", False),
        ("2026-10-24T07:00", True),
        ("2026-10-25T07:00", False),
        ("2026-10-25T08:00", True),
    ],
)
def test_hours_follow_the_clock_on_the_wall_over_both_changes(at, inside):
    assert OFFICE.hold(utc(at)) is inside


def test_an_hour_that_a_change_skips_never_comes_and_one_that_it_repeats_comes_twice():
    night = Hours.model_validate({"start": "02:00", "end": "03:00", "zone": "Europe/Berlin"})

    def minutes(day):
        start = utc(day) - 7200
        return sum(night.hold(start + 60 * minute) for minute in range(24 * 60))

    assert [minutes(day) for day in ("2026-03-28", "2026-03-29", "2026-10-24", "2026-10-25")] == [60, 0, 60, 120]


def test_hours_over_midnight_belong_to_the_day_on_which_they_begin():
    friday = Hours.model_validate({"days": ["fri"], "start": "22:00", "end": "06:00"})
    held = [friday.hold(utc(at)) for at in ("2026-11-20T21:59", "2026-11-20T22:00", "2026-11-21T05:59")]
    assert held == [False, True, True]
    assert not friday.hold(utc("2026-11-21T06:00"))
    assert not friday.hold(utc("2026-11-20T05:00"))
    assert not friday.hold(utc("2026-11-21T23:00"))


def test_times_as_yaml_reads_them_without_quotes():
    assert Hours.model_validate({"start": 10 * 60, "end": 17 * 60 + 30}).end.isoformat() == "17:30:00"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"zone": "Europe/Berln"}, "did you mean 'Europe/Berlin'"),
        ({"zone": "x" * 300}, "IANA"),
        ({"zone": ""}, "no time zone"),
        ({"start": 24 * 60}, "no time 24:00"),
        ({"start": True}, "start"),
        ({"days": []}, "days"),
        ({"days": ["monday"]}, "days"),
    ],
)
def test_mistakes_are_refused(changes, says):
    with pytest.raises(ValidationError, match=says):
        Hours.model_validate({"start": "09:00", "end": "17:00", **changes})


FREEZE = {"reason": "sale", "start": "2026-03-29T01:30", "end": "2026-03-29T03:30", "zone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("at", "frozen"),
    [("00:29", False), ("00:30", True), ("01:29", True), ("01:30", False)],
)
def test_a_freeze_over_the_change_is_an_hour_shorter(at, frozen):
    freeze = ChangeFreeze.model_validate(FREEZE)
    found = untimely(action(), [freeze], [], utc(f"2026-03-29T{at}"))
    assert bool(found[Instead.DENY]) is frozen
    assert not found[Instead.ASK]


def test_a_freeze_with_an_offset_needs_no_zone_and_one_that_ends_first_is_refused():
    own = ChangeFreeze.model_validate({**FREEZE, "start": "2026-01-01T00:00+02:00", "end": "2026-01-02T00:00Z"})
    assert own.until - own.since == timedelta(hours=26).total_seconds()
    with pytest.raises(ValidationError, match="ends before"):
        ChangeFreeze.model_validate({**FREEZE, "end": FREEZE["start"]})


def test_policy_denies_in_a_freeze_and_asks_outside_of_the_hours():
    listed = [{"action": "restart"}]
    now = datetime.fromtimestamp(1_000_000.0, UTC)
    span = {"start": (now - timedelta(hours=1)).isoformat(), "end": (now + timedelta(hours=1)).isoformat()}
    frozen = ask(action(), automatic=listed, freezes=[{"reason": "sale", **span}])
    assert frozen.answer is PolicyAnswer.DENY
    assert frozen.reasons == ("change freeze: sale, until 1970-01-12 14:46 UTC",)
    assert ask(action(), automatic=listed, freezes=[{"reason": "s", "services": ["web"], **span}]).answer == "allow"
    assert ask(action(), automatic=listed, freezes=[{"reason": "s", "instead": "ask", **span}]).answer == "ask"
    closed, around = {"start": "20:00", "end": "21:00"}, {"start": "13:00", "end": "14:00"}
    late = ask(action(), automatic=listed, hours=[closed])
    assert (late.answer, late.reasons[0].split(":")[0]) == ("ask", "hours")
    assert ask(action(), automatic=listed, hours=[closed, around]).answer == "allow"
    assert ask(action(), automatic=listed, hours=[{**closed, "outside": "deny"}]).answer == "deny"
    assert ask(action(), automatic=listed, hours=[{**closed, "services": ["web"]}]).answer == "allow"


@given(st.integers(0, 2_000_000_000), st.times(), st.times(), st.sampled_from(["UTC", "Asia/Kolkata", "Europe/Berlin"]))
def test_outside_is_the_hours_the_other_way_round(now, start, end, zone):
    first = Hours(start=start, end=end, zone=zone)
    second = Hours(start=end, end=start, zone=zone)
    assert first.hold(now) != second.hold(now) or start == end
