"""`/api/v1/series`, `/api/v1/changes` and `/api/v1/decisions`: the series history, for those who cannot open it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.parts import State, Viewer, Word
from api.problems import ProblemError
from sentinel.api_types import SeriesValues, SeriesView
from sentinel.decisions import Decision
from sentinel.incidents import Change

router = APIRouter(prefix="/api/v1", tags=["history"])

Seconds = Annotated[
    float, Query(allow_inf_nan=False, ge=0, le=1e12, description="Event time, seconds since the epoch.")
]
MAX_VALUES = 200_000
"""Most values in one answer (about 5 MB): 138 days of minutes. Ask for a larger `step` beyond."""


@router.get("/series", operation_id="list_series")
def list_series(state: State, _caller: Viewer, service: Word = "", name: Word = "") -> tuple[SeriesView, ...]:
    """The known series of a service and/or a metric name."""
    found = state.parts.require_history().find_series(service, name)
    return tuple(SeriesView(key=series.key, series=series) for series in found)


@router.get("/series/data", operation_id="read_series")
def read_series(
    state: State,
    _caller: Viewer,
    key: Annotated[str, Query(min_length=1, max_length=4096)],
    start: Seconds,
    end: Seconds,
    step: Annotated[float, Query(ge=0, le=1e9, description="Average over so many seconds; 0: raw.")] = 0.0,
) -> SeriesValues:
    """Values of the series `key` with start <= time < end."""
    history = state.parts.require_history()
    name = key.split("{", 1)[0]
    series = next((one for one in history.find_series(name=name) if one.key == key), None)
    if series is None:
        raise ProblemError(404, f"there is no series {key}", rule="unknown_series")
    data = history.read(series, start, end, step)
    if len(data.times) > MAX_VALUES:
        raise ProblemError(422, f"{len(data.times)} values are too many: ask for a larger step", rule="too_many_values")
    return SeriesValues(key=key, series=series, times=tuple(data.times.tolist()), values=tuple(data.values.tolist()))


@router.get("/changes", operation_id="list_changes")
def list_changes(
    state: State,
    _caller: Viewer,
    start: Seconds,
    end: Seconds,
    service: Annotated[list[str] | None, Query()] = None,
) -> tuple[Change, ...]:
    """Changes (deploys and the like) of these services, all when none is named, oldest first."""
    return tuple(state.parts.require_history().changes(service or (), start, end))


@router.get("/decisions", operation_id="list_decisions")
def list_decisions(
    state: State,
    _caller: Viewer,
    *,
    subject: Word = "",
    service: Word = "",
    incident_id: Word = "",
    stage: Word = "",
    start: Seconds = 0.0,
    end: Seconds = 1e12,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> tuple[Decision, ...]:
    """Decision rows of all stages that match every given filter, oldest first."""
    rows = state.parts.require_history().decisions(
        subject=subject, service=service, incident_id=incident_id, stage=stage, start=start, end=end, limit=limit
    )
    return tuple(rows)
