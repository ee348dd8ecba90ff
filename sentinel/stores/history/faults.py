"""ClickHouse's errors as Sentinel's: what may work later is transient, the rest is permanent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

from sentinel.errors import PermanentError, TransientError

_PASSING_CODES = frozenset(
    {
        3,  # UNEXPECTED_END_OF_FILE
        32,  # ATTEMPT_TO_READ_AFTER_EOF
        159,  # TIMEOUT_EXCEEDED
        160,  # TOO_SLOW
        164,  # READONLY
        198,  # DNS_ERROR
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        285,  # TOO_FEW_LIVE_REPLICAS
        319,  # UNKNOWN_STATUS_OF_INSERT
        394,  # QUERY_WAS_CANCELLED
        425,  # SYSTEM_ERROR
        439,  # CANNOT_SCHEDULE_TASK
        999,  # KEEPER_EXCEPTION
    }
)
"""Codes of ClickHouse's ErrorCodes.cpp that go away by themselves or with an operator's help, the data unchanged."""


@contextmanager
def store_errors(action: str) -> Iterator[None]:
    """Turn the client's errors into `TransientError` or `PermanentError` that name `action`."""
    try:
        yield
    except ClickHouseError as error:
        text = f"series history: cannot {action}: {error}"
        if _passes(error):
            raise TransientError(text) from error
        raise PermanentError(text) from error
    except OSError as error:
        raise TransientError(f"series history: cannot {action}: {error}") from error


def _passes(error: ClickHouseError) -> bool:
    if isinstance(error, OperationalError):
        return True
    code = getattr(error, "code", None)
    if code is not None:
        return code in _PASSING_CODES
    # A proxy's or a starting server's 502, 503, 504 has no ClickHouse code.
    return any(f"HTTP status {status}" in str(error) for status in (429, 500, 502, 503, 504))
