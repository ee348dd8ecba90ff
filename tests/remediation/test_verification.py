"""The judgement hangs on the detector's own windows and on nothing else."""

import pytest

from remediation.settings import VerificationSettings
from remediation.verification import Watch, judge, own_alerts
from tests.remediation.world import EFFECTIVE, alert, firing, update

SETTINGS = VerificationSettings(normal_windows=3, settle=60, max_windows=6, worse_windows=2)
ONE, OTHER = alert(), alert("web")
FIRST = EFFECTIVE + 60


def watch(*alerts):
    return Watch(
        alerts=tuple(a.alert_id for a in alerts), neighbours=frozenset({"web", "checkout"}), effective_at=EFFECTIVE
    )


def windows(one, text, first=FIRST, score=5.0):
    """`n`ormal, `a`bnormal, no data (`-`), minute by minute."""
    names = {"n": "normal", "a": "abnormal", "-": "no_data"}
    return [update(one, first + 60 * i, names[letter], score) for i, letter in enumerate(text)]


@pytest.mark.parametrize(
    ("seen", "result"),
    [
        ("", None),
        ("nn", None),
        ("nnn", "verified"),
        ("aannn", "verified"),
        ("nnann", None),
        ("nn-nn", None),
        ("nn-nnn", "verified"),
        ("aaaaaa", "no_effect"),
        ("nnanna", "no_effect"),
        ("------", "not_verifiable"),
        ("aaaaa", None),
    ],
)
def test_one_series(seen, result):
    assert judge(watch(ONE), windows(ONE, seen), SETTINGS).result == result


def test_windows_before_the_action_has_settled_do_not_count():
    early = windows(ONE, "nnnnn", first=EFFECTIVE - 300)
    assert judge(watch(ONE), early, SETTINGS).result is None
    straddling = windows(ONE, "nnn", first=EFFECTIVE + 59)
    assert judge(watch(ONE), straddling, SETTINGS).result is None


def test_each_of_the_series_must_be_normal():
    good, bad = windows(ONE, "nnn"), windows(OTHER, "nna")
    assert judge(watch(ONE, OTHER), good + bad, SETTINGS).result is None
    assert judge(watch(ONE, OTHER), good + windows(OTHER, "nnn"), SETTINGS).result == "verified"


def test_repeated_messages_change_nothing():
    seen = windows(ONE, "nn")
    assert judge(watch(ONE), seen * 3, SETTINGS).result is None


def test_order_of_arrival_changes_nothing():
    seen = windows(ONE, "aannn")
    assert judge(watch(ONE), seen[::-1], SETTINGS) == judge(watch(ONE), seen, SETTINGS)


def test_a_recovery_needs_as_many_normal_windows_but_none_to_settle():
    end = update(ONE, EFFECTIVE + 120, "normal", state="resolved", resolution="recovered")
    found = judge(watch(ONE), [*windows(ONE, "nn", first=EFFECTIVE), end], SETTINGS)
    assert (found.result, found.until) == ("verified", EFFECTIVE + 180)


def test_an_alert_that_was_recovering_already_proves_nothing():
    end = update(ONE, EFFECTIVE + 60, "normal", state="resolved", resolution="recovered")
    recovering = [*windows(ONE, "nn", first=EFFECTIVE - 60), end]
    assert judge(watch(ONE), recovering, SETTINGS).result == "not_verifiable"
    assert judge(watch(ONE, OTHER), [*recovering, *windows(OTHER, "nnn")], SETTINGS).result == "verified"
    assert judge(watch(ONE, OTHER), [*recovering, *windows(OTHER, "aaaaaa")], SETTINGS).result == "no_effect"


def test_a_series_that_recovered_before_the_action_says_nothing():
    early = update(OTHER, EFFECTIVE - 30, "normal", state="resolved", resolution="recovered")
    assert judge(watch(ONE, OTHER), [*windows(ONE, "nnn"), early], SETTINGS).result == "verified"
    assert judge(watch(ONE, OTHER), [*windows(ONE, "aaaaaa"), early], SETTINGS).result == "no_effect"
    assert judge(watch(OTHER), [early], SETTINGS).result == "not_verifiable"


@pytest.mark.parametrize("resolution", ["rebaselined", "suppressed", "stale"])
def test_other_ends_of_an_alert_verify_nothing(resolution):
    end = update(ONE, FIRST + 180, "normal", state="resolved", resolution=resolution)
    assert judge(watch(ONE), [*windows(ONE, "nnn"), end], SETTINGS).result == "not_verifiable"


def test_a_new_alert_on_a_neighbour_is_worse():
    new = firing(alert("web", "latency_p95_seconds", onset=FIRST))
    found = judge(watch(ONE), [*windows(ONE, "nnn"), new], SETTINGS)
    assert (found.result, found.reason) == ("worse", "new alert on web")


@pytest.mark.parametrize("service_and_onset", [("web", EFFECTIVE - 60), ("payments", FIRST)])
def test_an_alert_that_began_before_or_elsewhere_is_not_the_actions_fault(service_and_onset):
    service, onset = service_and_onset
    new = firing(alert(service, "latency_p95_seconds", onset=onset))
    assert judge(watch(ONE), [*windows(ONE, "nnn"), new], SETTINGS).result == "verified"


def test_a_neighbour_that_stands_abnormal_must_not_get_much_worse():
    standing = alert("web", "latency_p95_seconds", onset=EFFECTIVE - 600)
    before = windows(standing, "aa", first=EFFECTIVE - 120, score=5.0)
    own = windows(ONE, "nnn")
    assert judge(watch(ONE), [*own, *before, *windows(standing, "aa", score=14.0)], SETTINGS).result == "verified"
    found = judge(watch(ONE), [*own, *before, *windows(standing, "aa", score=16.0)], SETTINGS)
    assert found.result == "worse"
    assert standing.series.key in found.reason
    elsewhere = alert("payments", "latency_p95_seconds", onset=EFFECTIVE - 600)
    far = [*windows(elsewhere, "aa", first=EFFECTIVE - 120), *windows(elsewhere, "aa", score=99.0)]
    assert judge(watch(ONE), [*own, *far], SETTINGS).result == "verified"


def test_a_blip_of_a_neighbour_while_the_action_settles_must_pass():
    blip = alert("web", "latency_p95_seconds", onset=EFFECTIVE + 1)
    own = windows(ONE, "nnn")
    assert judge(watch(ONE), [*own, firing(blip), *windows(blip, "an")], SETTINGS).result == "verified"
    assert judge(watch(ONE), [*own, firing(blip), *windows(blip, "aa")], SETTINGS).result == "worse"


def test_a_clearly_higher_score_is_worse():
    before = windows(ONE, "aa", first=EFFECTIVE - 120, score=5.0)
    assert judge(watch(ONE), before + windows(ONE, "aa", score=16.0), SETTINGS).result == "worse"
    assert judge(watch(ONE), before + windows(ONE, "aa", score=14.0), SETTINGS).result is None
    assert judge(watch(ONE), before + windows(ONE, "a", score=99.0), SETTINGS).result is None


def test_without_an_abnormal_series_nothing_can_be_verified():
    assert judge(watch(), [], SETTINGS).result == "not_verifiable"


def test_own_alerts_began_before_the_action_and_were_not_over():
    over = alert("web", firing=False, last_window_end=EFFECTIVE - 60)
    late = alert("cart", onset=EFFECTIVE + 60)
    just_over = alert("payments", firing=False, last_window_end=EFFECTIVE + 120)
    found = own_alerts([ONE, over, late, just_over], EFFECTIVE)
    assert found == (ONE.alert_id, just_over.alert_id)
