"""Recorded points for commands: from the history itself, or from the process that owns its embedded path."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sentinel.errors import StorePathBusyError, TransientError

if TYPE_CHECKING:
    from sentinel.cli.settings import Settings
    from sentinel.series import Series


@dataclass(frozen=True, slots=True)
class Archive:
    """Where recorded points come from: the store itself, or the API of the process that owns it."""

    find: Callable[[str, str], list[Series]]
    read: Callable[[Series, float, float], tuple[list[float], list[float]]]


@contextmanager
def open_archive(settings: Settings) -> Iterator[Archive]:
    """The history itself or, while another process owns its embedded path, that process's API."""
    from sentinel.cli.bootstrap import history_of

    try:
        with history_of(settings) as history:

            def read(series: Series, start: float, end: float) -> tuple[list[float], list[float]]:
                data = history.read(series, start, end)
                return data.times.tolist(), data.values.tolist()

            yield Archive(history.find_series, read)
    except StorePathBusyError as busy:
        with _over_api(settings, busy) as archive:
            yield archive


@contextmanager
def _over_api(settings: Settings, busy: StorePathBusyError) -> Iterator[Archive]:
    from sentinel.api_client import ApiClient

    key = os.environ.get("SENTINEL_API_KEY", "")
    if not key:
        raise TransientError(f"{busy}. Or set SENTINEL_API_KEY, to ask the API of that process") from busy
    with ApiClient(f"http://{settings.api.host}:{settings.api.port}", key) as client:

        def read(series: Series, start: float, end: float) -> tuple[list[float], list[float]]:
            data = client.series_data(series.key, start=start, end=end)
            return list(data.times), list(data.values)

        yield Archive(lambda service, name: [one.series for one in client.series(service=service, name=name)], read)
