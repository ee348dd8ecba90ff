"""How webhooks are signed: HMAC-SHA256 as https://www.standardwebhooks.com says, so that receivers find a library. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from sentinel.errors import ConfigError

PREFIX = "whsec_"
MIN_BYTES = 24


def signing_key(secret: str, place: str) -> bytes:
    """The key in a secret: what follows `whsec_` as base64, any other text as it is.

    Raises `ConfigError`, without the secret, for one that is too short to be safe or no base64.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True) if secret.startswith(PREFIX) else None
    except binascii.Error:
        raise ConfigError(f"{place}: what follows {PREFIX} is no base64") from None
    key = secret.encode() if key is None else key
    if len(key) < MIN_BYTES:
        raise ConfigError(f"{place}: the signing secret has {len(key)} bytes; use at least {MIN_BYTES}")
    return key


def signed_headers(key: bytes, message_id: str, body: bytes, now: float) -> dict[str, str]:
    """The headers with id, time and signature. `now` is wall time in seconds; a retry is signed anew, under the same id.

    Signed are `ID.TIMESTAMP.BODY`, so that none of them can be exchanged.
    """
    timestamp = str(int(now))
    mac = hmac.new(key, b".".join((message_id.encode(), timestamp.encode(), body)), hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }
