"""A receiver of webhooks over real HTTP that checks signatures as standardwebhooks.com says, and notes what came twice."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable

from tests.services.http_double import HttpDouble

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four bytes and more").decode()


class WebhookDouble(HttpDouble):
    """`events` are the accepted bodies in order, `ids` their ids; `unique` leaves out what came twice."""

    def __init__(self, secret: str = SECRET, now: Callable[[], float] = time.time) -> None:
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self.now = now
        super().__init__()

    @property
    def ids(self):
        return [headers["webhook-id"] for _, headers, _ in self.taken]

    @property
    def events(self):
        return [json.loads(body) for _, _, body in self.taken]

    @property
    def unique(self):
        return list(dict(zip(self.ids, self.events, strict=True)).values())

    def answer(self, path, headers, body):
        message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not message_id or not timestamp.isdigit() or abs(self.now() - int(timestamp)) > 300:
            return 401, b"no fresh message"
        signed = f"{message_id}.{timestamp}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.digest(self._key, signed, hashlib.sha256)).decode()
        if not hmac.compare_digest(expected, headers.get("webhook-signature", "")):
            return 401, b"bad signature"
        return 204, b""
