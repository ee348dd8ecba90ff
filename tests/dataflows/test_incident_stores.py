"""The incidents flow on the real embedded stores: what is archived and remembered is found by the next incident."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from operators.incident_facts import WEEK, FactFinder
from operators.incident_group import Group, GroupEvent, GroupVerdict
from operators.incident_record import IncidentRecord
from sentinel.series import Series
from sentinel.stores.history.opening import open_history
from sentinel.stores.history.protocol import Points
from sentinel.stores.history.settings import HistorySettings
from sentinel.stores.memory.opening import open_embedder, open_memory
from tests.operators.incident_samples import SETTINGS, SHOP, Clock, group, message, outcome

START = 1_700_000_000.0


@pytest.fixture
def finder(tmp_path: Path) -> Iterator[FactFinder]:
    embedder = open_embedder("minilm")
    with (
        closing(open_history("chdb://history", tmp_path, HistorySettings())) as history,
        closing(open_memory("edge://memory", tmp_path, embedder)) as memory,
    ):
        errors = Series.of("error_ratio", {"service": "payments"})
        deploy = Series.of("change.deploy", {"service": "payments", "version": "v2"})
        times = np.arange(START - WEEK - 7200.0, START, 60.0)
        series = [errors] * len(times) + [deploy]
        history.add_points(Points(series, np.append(times, START - 90.0), np.full(len(series), 0.02)))
        yield FactFinder(history, memory, SHOP, SETTINGS, Clock())


def opened(of: Group) -> GroupEvent:
    return GroupEvent(group=of, verdict=GroupVerdict.OPENED, reason="", alert_id="a", service="payments", at=START)


@pytest.mark.slow
def test_a_recurrence_is_known_at_its_first_alert(finder: FactFinder):
    record = IncidentRecord(finder, SHOP, SETTINGS)
    incident = record.on_group(opened(group(message("payments", onset=START), message("checkout", onset=START))))
    assert incident.context.missing == ()
    assert [change.labels["version"] for change in incident.context.changes] == ["v2"]
    assert incident.suspects[0].service == "payments"
    assert any("deploy of payments to v2" in reason for reason in incident.suspects[0].reasons)
    fact = next(fact for fact in incident.context.history if "payments" in fact.series_key)
    assert fact.same_hour_last_week == pytest.approx(0.02)
    assert record.on_outcome(outcome()) == "written"

    later = IncidentRecord(finder, SHOP, SETTINGS)
    again = later.on_group(opened(replace(group(message("payments", onset=START + 86_400.0)), id="inc-2")))
    assert again.recurrence_of == "inc-1"
    assert again.context.similar[0].outcome == "verified"
    assert again.context.similar[0].action == "rollback payments"
