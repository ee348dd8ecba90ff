"""Objects of the vocabulary as canonical JSON in a text column, and back."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from sentinel.canonical import canonical_json
from sentinel.errors import PermanentError

T = TypeVar("T")


def to_document(value: object) -> str:
    """The value as canonical JSON text."""
    return canonical_json(value).decode()


def from_document(text: str, as_type: type[T]) -> T:
    """The object of `as_type` in `text`; raises `PermanentError` when it does not fit (a newer or damaged row)."""
    try:
        return msgspec.json.decode(text, type=as_type)
    except msgspec.MsgspecError as error:
        raise PermanentError(f"database: a stored {as_type.__name__} cannot be read: {error}") from error
