"""Whether a request comes from Slack: HMAC over time and raw body (https://docs.slack.dev/authentication/verifying-requests-from-slack). Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping

MAX_AGE = 300.0
"""Seconds that a request's time stamp may differ from now, as Slack advises."""
SIGNATURE_HEADER, TIME_HEADER = "x-slack-signature", "x-slack-request-timestamp"


def signature_of(secret: str, timestamp: str, body: bytes) -> str:
    """The signature that Slack puts on this body at this time."""
    return "v0=" + hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()


def check_signature(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> str:
    """Empty when the request is signed and fresh, else the reason to refuse it. Header names in lower case.

    The signature is compared in constant time; `now` is wall time in seconds.
    """
    timestamp, given = headers.get(TIME_HEADER, ""), headers.get(SIGNATURE_HEADER, "")
    if not given or not re.fullmatch(r"[0-9]{1,12}", timestamp):
        return "it is not signed"
    if abs(now - int(timestamp)) > MAX_AGE:
        return f"its time stamp is more than {MAX_AGE:g} s off"
    wanted = signature_of(secret, timestamp, body)
    return "" if hmac.compare_digest(wanted.encode(), given.encode()) else "its signature is wrong"
