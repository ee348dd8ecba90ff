"""Identity of incidents: what makes two occurrences the same problem, never values or times."""

from __future__ import annotations

from sentinel.alerts import FaultKind
from sentinel.canonical import short_id


def fingerprint(service: str, kind: FaultKind, rule: str) -> str:
    """The identity of a problem: the service where it showed first, the kind of fault and the rule that found it.

    Raises ValueError when the service or the rule is empty: problems of different owners must never share an identity.
    """
    if not service.strip() or not rule.strip():
        raise ValueError(f"no fingerprint without service and rule, got service={service!r}, rule={rule!r}")
    return short_id("fp", service, kind.value, rule)


def incident_id(fingerprint_: str, first_alert_id: str) -> str:
    """The id of one occurrence: the same first alert gives the same id after a crash."""
    if not fingerprint_ or not first_alert_id:
        raise ValueError(f"no incident id without fingerprint and alert id: {fingerprint_!r}, {first_alert_id!r}")
    return short_id("inc", fingerprint_, first_alert_id)
