"""Kind, title, severity and memory text of an incident."""

import pytest

from operators.incident_text import kind_of, memory_text, severity_of, title_of
from sentinel.alerts import FaultKind, Severity
from sentinel.catalogue import ServiceCatalogue
from tests.operators.incident_samples import SHOP, alerts, message


@pytest.mark.parametrize(
    ("services", "title"),
    [
        (["checkout"], "errors in checkout"),
        (["checkout", "web"], "errors in checkout (and 1 caller)"),
        (["checkout", "web", "payments"], "errors in checkout (and 2 other services)"),
    ],
)
def test_titles(services: list[str], title: str):
    assert title_of(FaultKind.ERRORS, "checkout", services, SHOP) == title


def test_of_kinds_that_begin_together_the_most_telling_one_counts():
    together = alerts(message("payments", kind=FaultKind.LATENCY), message("payments", onset=120.0))
    assert kind_of(together, "payments") is FaultKind.ERRORS


def test_what_began_long_before_is_the_kind():
    leak = alerts(message("payments", kind=FaultKind.SATURATION), message("payments", onset=1200.0))
    assert kind_of(leak, "payments") is FaultKind.SATURATION


def test_the_kind_is_the_first_suspects():
    found = alerts(message("payments", kind=FaultKind.LATENCY), message("checkout"))
    assert kind_of(found, "payments") is FaultKind.LATENCY
    assert kind_of(found, "fraud") is FaultKind.ERRORS, "a quiet suspect has the kind that shows in its callers"


@pytest.mark.parametrize(
    ("tier", "severity"), [(0, Severity.ERROR), (1, Severity.WARNING), (2, Severity.WARNING), (3, Severity.INFO)]
)
def test_severity_is_the_worst_seen_through_the_tier(tier: int, severity: Severity):
    catalogue = ServiceCatalogue.model_validate({"services": {"payments": {"tier": tier}}})
    found = alerts(message("payments"), message("payments", kind=FaultKind.LATENCY, severity=Severity.INFO))
    assert severity_of(found, catalogue) is severity


def test_memory_text_is_the_same_from_the_first_alert_on():
    first = memory_text(FaultKind.ERRORS, "payments", alerts(message("payments")))
    grown = alerts(message("payments"), message("payments", kind=FaultKind.LATENCY), message("web"))
    assert memory_text(FaultKind.ERRORS, "payments", grown) == first
    assert memory_text(FaultKind.ERRORS, "fraud", grown) == "errors in fraud"


def test_memory_text_names_no_values_or_times():
    one = memory_text(FaultKind.ERRORS, "payments", alerts(message("payments"), message("web")))
    other = memory_text(FaultKind.ERRORS, "payments", alerts(message("payments", onset=6000.0, score=50.0)))
    assert one == other == "errors in payments: error ratio"
