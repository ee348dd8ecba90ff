"""API keys: from a bearer token to the caller's name and role. Only hashes are known here."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from api.settings import ApiKeySettings
from sentinel.approvals import Role


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what they may do."""

    name: str
    role: Role


def hash_key(key: str) -> str:
    """The SHA-256 that the configuration holds for a key.

    A plain hash will do because keys are random (128 bits or more), not passwords that people choose.
    """
    return hashlib.sha256(key.encode()).hexdigest()


class KeyRing:
    """All keys of the configuration."""

    def __init__(self, keys: Sequence[ApiKeySettings]) -> None:
        self._keys = [(key.sha256.encode(), Caller(key.name, key.role)) for key in keys]

    def identify(self, key: str) -> Caller | None:
        """The caller with this key, or None.

        Compares with every key in constant time and never stops early: the time tells nothing about the keys.
        """
        given = hash_key(key).encode()
        found = None
        for known, caller in self._keys:
            if hmac.compare_digest(known, given):
                found = caller
        return found
