"""Signed heads of the audit, posted to an HTTP endpoint outside."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

import httpx

from sentinel.audit_heads import SignedHead
from sentinel.audit_settings import WebhookAnchorSettings
from sentinel.canonical import canonical_json
from sentinel.errors import PermanentError, TransientError

SIGNATURE_HEADER = "X-Sentinel-Signature"
"""`v1=` and the HMAC-SHA256, in hexadecimal, of `v1:TIMESTAMP:BODY` under the shared secret."""

TIMESTAMP_HEADER = "X-Sentinel-Timestamp"
"""Wall time of the post in whole seconds; a receiver refuses old ones."""


class WebhookAnchor:
    """Posts each head as canonical JSON; see `HeadAnchor`. `now` is wall time in seconds.

    2xx means kept; the receiver may get a head twice and knows it by its `number`.
    """

    def __init__(self, settings: WebhookAnchorSettings, now: Callable[[], float]) -> None:
        self.name = settings.name
        self._settings = settings
        self._now = now

    def put(self, head: SignedHead) -> None:
        """Post it; follows no redirect."""
        body = canonical_json(head)
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{head.key}-{head.number}"}
        if secret := self._settings.secret.get_secret_value():
            headers |= sign_body(secret, body, self._now())
        try:
            answer = httpx.post(self._settings.url, content=body, headers=headers, timeout=self._settings.timeout)
        except httpx.HTTPError as error:
            raise TransientError(f"{self._settings.url}: {type(error).__name__} {error}") from error
        if answer.is_success:
            return
        kind = TransientError if answer.status_code >= 500 or answer.status_code == 429 else PermanentError
        raise kind(f"{self._settings.url} answered {answer.status_code}")


def sign_body(secret: str, body: bytes, at: float) -> dict[str, str]:
    """The two headers that prove who posted `body` at wall time `at`."""
    stamp = str(int(at))
    mac = hmac.new(secret.encode(), b"v1:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {TIMESTAMP_HEADER: stamp, SIGNATURE_HEADER: f"v1={mac}"}
