"""`sentinel test` and `sentinel policy explain`."""

import pytest
import yaml

from sentinel.runs import TimelineRow
from tests.cli.running import ROOT, configuration, parsed, sentinel, stores_of
from tests.contracts.sql.samples import incident

EXAMPLE = ROOT / "config" / "tests" / "demo.yaml"
CASE = {"name": "one", "action": "restart", "target": "cart", "time": "2026-11-16T09:00+00:00", "expect": "deny"}
POLICY = {"mode": "auto", "allow": [{"actions": ["restart"], "name": "*"}], "automatic": [{"action": "restart"}]}


def write(folder, *cases, **more):
    file = folder / "cases.yaml"
    body = {"policy": POLICY, "services": {"services": {"cart": {"tier": 2}}}, "cases": list(cases), **more}
    file.write_text(yaml.safe_dump(body))
    return file


def test_the_example_holds():
    result = sentinel("test", EXAMPLE)
    assert result.exit_code == 0, result.output
    assert "8 cases, 0 failed" in result.stdout


def test_the_example_of_the_rules_holds_and_a_difference_exits_with_1(tmp_path):
    example = ROOT / "config" / "tests" / "detection.yaml"
    result = sentinel("test", example, EXAMPLE)
    assert result.exit_code == 0, result.output
    assert "12 cases, 0 failed" in result.stdout
    changed = tmp_path / "detection.yaml"
    changed.write_text(example.read_text().replace("rule: errors", "rule: latency"))
    failed = sentinel("test", changed)
    assert failed.exit_code == 1
    assert "expected an alert of rule latency on checkout" in failed.stdout


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"detection": {}}, "give `cases`"),
        (
            {"detect": [{"name": "one", "series": [{"name": "a", "service": "b", "values": "1x1"}], "expect": []}]},
            "detection",
        ),
        ({"detection": {}, "detect": [{"name": "one", "series": [], "expect": []}]}, "series"),
    ],
)
def test_mistakes_in_cases_for_rules_exit_with_2(tmp_path, body, says):
    file = tmp_path / "cases.yaml"
    file.write_text(yaml.safe_dump(body))
    result = sentinel("test", file)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_difference_is_told_and_exits_with_1(tmp_path):
    file = write(tmp_path, {**CASE, "reasons": ["mode: *"]}, {**CASE, "name": "two", "expect": "ask"})
    result = sentinel("test", file)
    assert result.exit_code == 1
    shown = " ".join(result.stdout.split())
    assert (
        "cases.yaml: one expected deny, and policy says ask no reason is 'mode: *' not expected: breaker: global"
        in shown
    )
    assert "2 cases, 1 failed" in shown
    tried = parsed(sentinel("test", file, "--json"))[str(file)]
    assert [bool(one["differences"]) for one in tried] == [True, False]


@pytest.mark.parametrize(
    ("case", "answer", "reason"),
    [
        ({"context": {"breakers": "closed"}}, "allow", "automatic: *"),
        ({"context": {"breakers": "half_open"}}, "ask", "breaker: * is half-open*"),
        ({"context": {"breakers": "tripped"}}, "deny", "breaker: * is tripped*"),
        ({"context": {"kill_switch": "storm"}}, "deny", "kill switch: *"),
        ({"context": {"breakers": "closed"}, "planner": "llm"}, "ask", "*"),
        ({"context": {"breakers": "closed"}, "namespace": "x", "backend": "kubernetes"}, "deny", "allow-list: *"),
    ],
)
def test_conditions_reach_the_decision(tmp_path, case, answer, reason):
    result = sentinel("test", write(tmp_path, {**CASE, **case, "expect": answer, "reasons": [reason]}))
    assert result.exit_code == 0, result.output


def test_the_clock_is_the_case_s(tmp_path):
    hours = [{"start": "09:00", "end": "17:00", "zone": "Europe/Berlin"}]
    closed = {**CASE, "context": {"breakers": "closed"}}
    day = [("2026-03-28T08:30+00:00", "allow"), ("2026-03-29T08:30+00:00", "allow"), ("2026-03-28T07:30+00:00", "ask"),
           ("2026-03-29T07:30+00:00", "allow")]  # fmt: skip
    cases = [{**closed, "name": at, "time": at, "expect": answer} for at, answer in day]
    assert sentinel("test", write(tmp_path, *cases, policy={**POLICY, "hours": hours})).exit_code == 0


@pytest.mark.parametrize(
    ("case", "more", "says"),
    [
        ({"action": "rstart"}, {}, "there is no action 'rstart'"),
        ({"params": {"x": 1}}, {}, "no parameter x"),
        ({"context": {"breakers": {"all": "closed"}}}, {}, "'all' is none of"),
        ({"time": "2026-11-16T09:00"}, {}, "time"),
        ({"expected": "deny"}, {}, "did you mean"),
        ({}, {"policy": None}, "give `configuration`"),
        ({}, {"configuration": "x.yaml"}, "not both"),
    ],
)
def test_mistakes_in_a_file_exit_with_2(tmp_path, case, more, says):
    result = sentinel("test", write(tmp_path, {**CASE, **case}, **more))
    assert result.exit_code == 2
    assert says in result.output


def test_explain_shows_every_decision_with_its_reasons(tmp_path):
    config = configuration(tmp_path)
    reasons = ["mode: approve asks before every action", "planner: asked"]
    details = {"answer": "ask", "reasons": reasons, "actions": ["restart cart"], "version": "v"}
    with stores_of(config) as stores:
        stores.incidents.upsert(incident(id="inc-1"))
        for row_id, kind, text, more in (
            ("1", "policy", "ask: mode", details),
            ("2", "asked", "?", {}),
            ("3", "stopped", "denied: kill switch: on", {}),
        ):
            stores.runs.tell(
                TimelineRow(
                    row_id=row_id,
                    incident_id="inc-1",
                    run_id="run-1",
                    attempt=1,
                    kind=kind,
                    text=text,
                    at=float(row_id),
                    details=more,
                )
            )
    shown = " ".join(sentinel("-c", config, "policy", "explain", "inc-1").stdout.split())
    for words in ("restart cart", "approve asks before every action", "planner", "stopped", "kill switch: on"):
        assert words in shown
    rows = parsed(sentinel("-c", config, "policy", "explain", "inc-1", "--json"))
    assert [row["kind"] for row in rows] == ["policy", "stopped"]
    assert sentinel("-c", config, "policy", "explain", "inc-9").exit_code == 1
