"""Canonical JSON and the digests made from it: one byte form for one value, on every machine."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec


def plain(value: Any) -> Any:
    """Turn dataclasses, enums, tuples and sets into plain JSON values (dict, list, str, int, float, bool, None)."""
    return msgspec.to_builtins(value, str_keys=True)


def canonical_json(value: Any) -> bytes:
    """Encode `value` as UTF-8 JSON with sorted keys and no white space; NaN and infinity raise ValueError.

    The same value gives the same bytes whatever the order of its keys, so that digests can be compared.
    """
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def short_id(prefix: str, *parts: object) -> str:
    """A readable deterministic id: `prefix-` and 16 hexadecimal digits of the digest of `parts`.

    Raises ValueError when every part is empty: an empty key must never collect different things.
    """
    if not any(str(part) for part in parts):
        raise ValueError(f"cannot make an id for {prefix!r} from empty parts")
    return f"{prefix}-{digest(list(parts))[:16]}"
