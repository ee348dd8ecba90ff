"""Who is suspected first, and why."""

from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from operators.incident_settings import SuspectSettings
from operators.suspects import rank
from sentinel.alerts import AlertMessage, FaultKind
from sentinel.catalogue import ServiceCatalogue
from sentinel.incidents import Change, Suspect
from tests.operators.incident_samples import SHOP, alerts, message, shop


def ranked(
    *messages: AlertMessage, changes: Sequence[Change] = (), catalogue: ServiceCatalogue = SHOP
) -> tuple[Suspect, ...]:
    return rank(alerts(*messages), catalogue, changes, SuspectSettings())


def deploy(service: str, at: float) -> Change:
    return Change(at=at, service=service, kind="change.deploy", labels={"version": "v2"})


def test_the_service_whose_callees_are_quiet_is_first_even_when_it_fires_last():
    first, *rest = ranked(message("web"), message("checkout"), message("payments", onset=180.0))
    assert first.service == "payments"
    assert [suspect.service for suspect in rest] == ["checkout", "web"]
    assert "None of the services that payments calls is firing." in first.reasons
    assert "checkout and web depend on payments and are firing too." in first.reasons
    assert "checkout depends on payments, which is firing too." in rest[0].reasons


def test_an_exploding_score_of_a_quiet_caller_does_not_turn_the_order():
    found = ranked(message("checkout", score=600.0), message("web", score=300.0), message("payments", score=30.0))
    assert found[0].service == "payments"


def test_a_weak_deviation_below_explains_little():
    found = ranked(message("checkout", score=60.0), message("web", score=60.0), message("cart", score=3.1))
    assert found[0].service == "checkout"
    assert "checkout depends on cart, which is firing too, if far less." in found[0].reasons


def test_a_quiet_middle_does_not_hide_the_root():
    assert ranked(message("web"), message("payments"))[0].service == "payments"


def test_a_deploy_just_before_raises_a_suspect_and_is_told():
    messages = (message("checkout", onset=3600.0), message("cart", onset=3600.0))
    plain = {s.service: s.score for s in ranked(*messages)}
    changed = ranked(*messages, changes=[deploy("cart", 3480.0)])
    assert changed[0].service == "cart"
    assert changed[0].score > plain["cart"]
    assert any("deploy of cart to v2 came 3 min before" in reason for reason in changed[0].reasons)


@pytest.mark.parametrize("at", [3700.0, 0.0 - 100.0])
def test_a_deploy_after_the_onset_or_long_before_says_nothing(at: float):
    messages = (message("checkout", onset=3600.0), message("payments", onset=3600.0))
    assert ranked(*messages, changes=[deploy("payments", at)]) == ranked(*messages)


def test_a_deploy_within_the_onset_window_counts():
    messages = (message("payments", onset=3600.0),)
    assert ranked(*messages, changes=[deploy("payments", 3630.0)])[0].score > ranked(*messages)[0].score


def test_a_deploy_of_a_caller_does_not_outweigh_its_failing_callee():
    found = ranked(
        message("web", onset=600.0),
        message("checkout", onset=600.0),
        message("payments", onset=600.0),
        changes=[deploy("web", 500.0)],
    )
    assert found[0].service == "payments"


def test_a_quiet_callee_that_changed_is_named_behind():
    found = ranked(message("checkout", onset=600.0), changes=[deploy("payments", 560.0)])
    assert [suspect.service for suspect in found] == ["checkout", "payments"]
    assert any("deploy of payments" in reason for reason in found[1].reasons)


def test_saturation_stays_where_the_fault_is():
    catalogue = shop(a=["shared"], b=["shared"])
    found = ranked(message("a", kind=FaultKind.SATURATION), message("b"), catalogue=catalogue)
    assert found[0].service == "a"
    assert "Its saturation deviates, which does not travel along calls." in found[0].reasons


def test_unusual_traffic_alone_is_a_symptom():
    found = ranked(message("payments", kind=FaultKind.TRAFFIC), message("checkout"))
    assert found[0].service == "checkout"


def test_scores_lie_between_0_and_1_and_the_order_does_not_depend_on_the_input():
    messages = [
        message("web"),
        message("payments", onset=0.0, score=90.0),
        message("payments", kind=FaultKind.SATURATION),
    ]
    one = ranked(*messages, changes=[deploy("payments", 0.0)])
    assert one == ranked(*reversed(messages), changes=[deploy("payments", 0.0)])
    assert all(0.0 <= suspect.score <= 1.0 for suspect in one)
    assert one[0].score == pytest.approx(1.0)
    assert ranked() == ()


def test_weights_that_are_all_zero_are_refused():
    with pytest.raises(ValidationError, match="every weight is 0"):
        SuspectSettings(topology=0, onset=0, kind=0, strength=0, change=0)
