"""What the API tells: incidents, approvals, audit, history; and who may read it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sentinel.alerts import AlertState
from sentinel.api_client import ApiClient, ApiError
from sentinel.api_types import ApprovalView, SeriesView
from sentinel.approvals import ApprovalStatus, Role
from sentinel.decisions import Decision
from sentinel.errors import TransientError
from sentinel.incidents import Change
from sentinel.series import Series
from sentinel.stores.history.protocol import Points, SeriesData
from tests.contracts.sql import samples

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]
DECISION = Decision(
    decision_id="dec-1",
    stage="confirm",
    subject="alr-1",
    verdict="fire",
    reason="3 of 5",
    at=960.0,
    decided_at=5000.0,
    config_hash="c" * 12,
    service="checkout",
    incident_id="inc-1",
    details={"score": 12.0},
)
CHANGE = Change(at=890.0, service="checkout", kind="change.deploy", labels={"version": "v2"})


class FakeHistory:
    """One series, one change and one decision in memory; away when told so."""

    away = False

    def _answer(self) -> None:
        if self.away:
            raise TransientError("clickhouse is away")

    def add_points(self, points: Points) -> None: ...

    def add_decisions(self, rows: Sequence[Decision]) -> None: ...

    def find_series(self, service: str = "", name: str = "") -> list[Series]:
        self._answer()
        return [samples.SERIES] if service in ("", "checkout") and name in ("", "error_ratio") else []

    def read(self, series: Series, start: float, end: float, step: float = 0.0) -> SeriesData:
        times = np.arange(start, end, step or 60.0)
        return SeriesData(series, times, times / 1000.0)

    def changes(self, services: Sequence[str], start: float, end: float) -> list[Change]:
        return [CHANGE] if not services or "checkout" in services else []

    def decisions(
        self,
        *,
        subject: str = "",
        service: str = "",
        incident_id: str = "",
        stage: str = "",
        start: float = 0.0,
        end: float = 1e12,
        limit: int = 1000,
    ) -> list[Decision]:
        self._answer()
        return [DECISION] if incident_id in ("", "inc-1") and stage in ("", "confirm") else []

    def check(self) -> None:
        self._answer()

    def close(self) -> None: ...


@pytest.fixture
def history():
    return FakeHistory()


@pytest.fixture
def client(serve, history):
    with serve(history=history).client() as client:
        yield client


def fill(stores):
    stores.incidents.upsert(samples.incident())
    stores.incidents.upsert(samples.incident("inc-2", opened_at=2000.0, services=("cart",)))
    stores.alerts.add([samples.alert_message(900.0, state=AlertState.FIRING), samples.alert_message(960.0)])
    stores.runs.start(samples.run())
    stores.runs.tell(samples.timeline_row())
    stores.approvals.create(samples.request())
    stores.ledger.begin(samples.ledger_entry())
    stores.outcomes.record(samples.outcome())


def test_incidents_are_listed_filtered_and_paged(client, stores):
    fill(stores)
    first = client.incidents(limit=1)
    assert [one.id for one in first.items] == ["inc-2"]
    second = client.incidents(limit=1, cursor=first.next_cursor)
    assert second.items == (samples.incident(),)
    assert second.next_cursor == ""
    assert [one.id for one in client.incidents(service="cart", status="open", since=1500.0).items] == ["inc-2"]
    assert client.incidents(severity="critical").items == ()


def test_an_incident_comes_with_all_that_is_known(client, stores):
    fill(stores)
    view = client.incident("inc-1")
    assert view.incident == samples.incident()
    assert view.timeline == (samples.timeline_row(),)
    assert view.runs == (samples.run(),)
    assert view.approvals == (ApprovalView(request=samples.request(), decision=None),)
    assert view.actions == (samples.ledger_entry(),)
    assert view.outcomes == (samples.outcome(),)
    assert [message.state for message in view.alerts] == [AlertState.FIRING, AlertState.UPDATE]
    assert (view.decisions, view.missing) == ((DECISION,), ())


def test_an_incident_says_when_the_history_is_away(client, stores, history):
    fill(stores)
    history.away = True
    view = client.incident("inc-1")
    assert (view.decisions, view.missing) == ((), ("history",))


def test_approvals_are_listed_shown_and_answered(serve, stores):
    api = serve()
    fill(stores)
    with api.client() as client:
        assert client.approvals(status="pending").items == (samples.request(),)
        assert client.approval("apr-1") == ApprovalView(request=samples.request(), decision=None)
        decision = client.reject("apr-1", digest=samples.DIGEST, reason="not now")
        assert (decision.actor, decision.reason) == ("the-approver", "not now")
        assert client.approval("apr-1").decision == decision
        assert [one.id for one in client.approvals(status="rejected", incident_id="inc-1").items] == ["apr-1"]
        with pytest.raises(ApiError, match="already_decided") as caught:
            client.approve("apr-1", digest=samples.DIGEST)
        assert (caught.value.status, caught.value.rule) == (409, "already_decided")
        records = client.audit(action="approval.reject")
        assert [record.target for record in records.items] == ["apr-1"]
        assert client.verify_audit().ok


def test_a_request_past_its_time_shows_as_expired(serve, stores):
    api = serve()
    fill(stores)
    api.clock.at = 200.0
    with api.client() as client:
        assert client.approval("apr-1").request.status is ApprovalStatus.EXPIRED
        assert client.approvals().items[0].status is ApprovalStatus.EXPIRED


def test_the_audit_verdict_names_a_cut_tail(serve, stores, tmp_path):
    api = serve()
    for _ in range(3):
        stores.audit.append(actor="a", action="x", target="t", at=1.0)
    path = Path(tmp_path / "audit-anchor.jsonl")
    path.write_text(path.read_text().replace('"seq":3', '"seq":7'))
    with api.http(Role.APPROVER) as http:  # the use of the key is the fourth record
        http.get("/api/v1/kill-switch")
    with api.client() as client:
        verdict = client.verify_audit()
    assert (verdict.ok, verdict.first_bad, str(verdict.fault)) == (False, 5, "cut")


def test_series_changes_and_decisions_are_read_from_the_history(client):
    key = samples.SERIES.key
    assert client.series(service="checkout") == [SeriesView(key=key, series=samples.SERIES)]
    assert client.series(name="other") == []
    data = client.series_data(key, start=0.0, end=180.0)
    assert (data.times, data.values) == ((0.0, 60.0, 120.0), (0.0, 0.06, 0.12))
    assert client.changes(start=0.0, end=1e6, services=("checkout", "cart")) == [CHANGE]
    assert client.changes(start=0.0, end=1e6, services=("cart",)) == []
    assert client.decisions(incident_id="inc-1") == [DECISION]
    with pytest.raises(ApiError, match="unknown_series"):
        client.series_data("nope", start=0.0, end=1.0)


def test_a_history_that_is_away_is_a_503_to_try_again(client, history):
    history.away = True
    with pytest.raises(TransientError, match="503"):
        client.series()


def test_without_a_history_its_routes_say_so(api):
    with api.client() as client, pytest.raises(TransientError, match="503"):
        client.decisions()


READS = [
    "incidents",
    "incidents/inc-1",
    "approvals",
    "approvals/apr-1",
    "series",
    "decisions",
    "series/data?key=x&start=0&end=1",
    "changes?start=0&end=1",
]


@pytest.mark.parametrize("path", [*READS, "audit", "audit/verify"])
def test_every_read_needs_a_key_and_the_audit_an_approver(serve, history, stores, path):
    api = serve(history=history)
    fill(stores)
    with api.http(None) as http:
        assert http.get(f"/api/v1/{path}").status_code == 401
    with api.http(Role.VIEWER) as http:
        status = http.get(f"/api/v1/{path}").status_code
    with api.http(Role.APPROVER) as http:
        assert http.get(f"/api/v1/{path}").status_code == (404 if "key=x" in path else 200)
    assert (status == 403) == path.startswith("audit")


def test_the_client_says_clearly_what_is_wrong(api):
    with ApiClient("http://127.0.0.1:9") as nobody, pytest.raises(TransientError, match="sentinel up"):
        nobody.incidents()
    with api.client(None) as anonymous, pytest.raises(ApiError, match="Authorization: Bearer") as caught:
        anonymous.incidents()
    assert (caught.value.status, caught.value.rule) == (401, "authentication")
    assert caught.value.request_id
    with api.client() as client, pytest.raises(ApiError, match="no incident 'inc-9'"):
        client.incident("inc-9")
    with api.client() as client, pytest.raises(ApiError, match=r"40[45]|422"):
        client.incident("../audit")


def test_an_incident_shows_what_models_cost_it(api):
    api.stores.incidents.upsert(samples.incident())
    api.stores.runs.start(samples.run())
    tried = {
        "gen_ai.provider.name": "groq", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 700,
        "gen_ai.usage.output_tokens": 90, "error.type": "", "seconds": 0.4, "dollars": 0.001,
    }  # fmt: skip
    api.stores.runs.tell(samples.timeline_row(kind="model_asked", details={"tries": [tried, tried]}))
    with api.client(Role.VIEWER) as client:
        (use,) = client.incident("inc-1").models
    assert (use.provider, use.step, use.asked, use.input_tokens, use.dollars) == ("groq", "plan", 2, 1400, 0.002)
