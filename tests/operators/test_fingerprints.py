"""Identity of incidents."""

import pytest

from operators.fingerprints import fingerprint, incident_id
from sentinel.alerts import FaultKind


def test_a_fingerprint_follows_from_service_kind_and_rule_alone():
    one = fingerprint("payments", FaultKind.ERRORS, "errors")
    assert one == fingerprint("payments", FaultKind.ERRORS, "errors")
    others = {
        fingerprint("checkout", FaultKind.ERRORS, "errors"),
        fingerprint("payments", FaultKind.LATENCY, "errors"),
        fingerprint("payments", FaultKind.ERRORS, "other"),
    }
    assert len(others | {one}) == 4


@pytest.mark.parametrize(("service", "rule"), [("", "errors"), ("payments", ""), (" ", "errors")])
def test_there_is_no_fingerprint_of_nothing(service: str, rule: str):
    with pytest.raises(ValueError, match="no fingerprint"):
        fingerprint(service, FaultKind.ERRORS, rule)


def test_an_id_is_of_one_occurrence():
    assert incident_id("fp-1", "alr-1") == incident_id("fp-1", "alr-1")
    assert incident_id("fp-1", "alr-1") != incident_id("fp-1", "alr-2")
    with pytest.raises(ValueError, match="no incident id"):
        incident_id("", "alr-1")
