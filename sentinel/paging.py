"""Pages of a long list, and the opaque cursor that leads from one to the next."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Generic, TypeVar

from sentinel.errors import RefusedError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items in the list's order; `next_cursor` asks for those after them and is empty at the end."""

    items: tuple[T, ...]
    next_cursor: str = ""


def make_cursor(at: float, key: str) -> str:
    """The cursor after the item with this sort time and id."""
    return base64.urlsafe_b64encode(json.dumps([at, key]).encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[float, str]:
    """Sort time and id inside a cursor; raises `RefusedError` (rule `cursor`) for one that was not made here."""
    try:
        at, key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return float(at), str(key)
    except (binascii.Error, ValueError, TypeError) as error:
        raise RefusedError("cursor", "the cursor is not one that this list gave out") from error
