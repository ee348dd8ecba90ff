"""The recorded steps of a run give the same decisions again, and any change in code, settings or records is named."""

import json
from dataclasses import replace

import pytest
import sqlalchemy as sa

from remediation.replaying import first_difference, replay_run
from remediation.steps import Ground
from sentinel.canonical import canonical_json
from sentinel.stores.sql.audit import AuditFilter
from sentinel.stores.sql.steps import digest_of
from sentinel.stores.sql.tables_steps import contents, steps
from tests.remediation.world import CATALOGUE, alert, bad_deploy, connection_leak, deploy, incident, settings


@pytest.fixture
def done(world):
    """A run that was approved, acted and was verified."""
    one = bad_deploy()
    world.open(one)
    world.answer()
    world.steps()
    world.windows(one, "normal", "normal", "normal")
    assert world.results(one) == ["verified"]
    return world


def audited(world, incident_id="inc-1"):
    records = list(world.stores.audit.records(AuditFilter(action="recorded", target=incident_id)))
    return records[-1].details["decision_hash"]


def replayed(world, ground=None, incident_id="inc-1"):
    return replay_run(world.stores.steps, world.stores.steps.find(incident_id=incident_id), audited(world), ground)


def test_a_run_decides_the_same_again(done):
    records = done.stores.steps.find(incident_id="inc-1")
    assert [(one.number, one.step) for one in records] == [
        (1, "analyse"), (2, "plan"), (3, "policy"), (4, "answer"), (5, "verify"),
    ]  # fmt: skip
    found = replayed(done)
    assert (found.steps, found.same, found.difference) == (5, 5, None)
    assert found.replayed_hash == found.recorded_hash == audited(done)


def test_the_order_of_the_targets_is_kept(world):
    """A record has its keys sorted: `cart` comes before `web`, which is suspected first."""
    one = incident(alert("web"), alert("cart"), suspect="web", changes=(deploy("web"),))
    world.open(one)
    world.answer()
    world.steps()
    world.windows(one, "normal", "normal", "normal")
    assert replayed(world).difference is None


def test_several_attempts_are_one_trail(world):
    one = connection_leak()
    world.open(one)
    for _ in range(4):
        if not world.pending():
            break
        world.answer()
        world.steps()
        world.windows(one, *["abnormal"] * 12)
    records = world.stores.steps.find(incident_id="inc-1")
    assert [one.number for one in records] == list(range(1, len(records) + 1))
    assert {one.attempt for one in records} >= {1, 2}
    found = replayed(world)
    assert (found.difference, found.recorded_hash) == (None, found.replayed_hash)


def test_a_step_that_is_repeated_after_a_crash_is_recorded_once(done):
    [first, *_] = done.stores.steps.find(incident_id="inc-1")
    done.stores.steps.keep(first, {})
    assert len(done.stores.steps.find(incident_id="inc-1")) == 5


def test_equal_contents_are_stored_once(done):
    records = done.stores.steps.find(incident_id="inc-1")
    assert records[0].output == records[1].inputs["analysis"]
    with done.stores.database.read() as connection:
        stored = connection.execute(sa.select(sa.func.count()).select_from(contents)).scalar_one()
    assert stored == len({d for one in records for d in (*one.inputs.values(), one.output, one.ground)})


@pytest.mark.parametrize(
    ("policy", "path", "now"),
    [
        ({"mode": "observe"}, "/verdict/answer", "deny"),
        ({"allow": [{"actions": ["restart"], "name": "*"}]}, "/verdict/answer", "deny"),
        ({"max_affected": 1}, "/verdict/answer", "deny"),
    ],
    ids=["mode", "allow-list", "blast radius"],
)
def test_another_policy_decides_differently_and_the_first_difference_is_named(done, policy, path, now):
    changed = settings(
        **{"mode": "approve", "allow": [{"actions": ["restart", "rollback", "scale"], "name": "*"}]} | policy
    )
    found = replayed(done, Ground(changed, CATALOGUE))
    assert found.difference.step == "policy"
    assert found.replayed_hash != found.recorded_hash
    assert f"{path} was 'ask' and is '{now}'" in found.difference.reason or found.difference.path == "/digest"


def test_another_threshold_of_verification_is_named(done):
    wanted = done.settings.verification.model_copy(update={"normal_windows": 4})
    found = replayed(done, Ground(done.settings.model_copy(update={"verification": wanted}), CATALOGUE))
    assert (found.difference.step, found.difference.number, found.same) == ("verify", 5, 4)
    assert "/reason was" in found.difference.reason


def test_another_catalogue_is_named(done):
    smaller = CATALOGUE.model_validate({"services": {"web": {"tier": 1}}})
    found = replayed(done, Ground(done.settings, smaller))
    assert (found.difference.step, found.difference.path) == ("analyse", "/items")


def edit(world, digest, change, *, forge=False):
    """Change a stored content, as somebody with the database would; `forge` also gives it the digest that it has then."""
    with world.stores.database.write() as connection:
        text = connection.execute(sa.select(contents.c.document).where(contents.c.digest == digest)).scalar_one()
        value = change(json.loads(text))
        new = digest_of(value) if forge else digest
        connection.execute(sa.delete(contents).where(contents.c.digest == digest))
        connection.execute(sa.insert(contents).values(digest=new, document=canonical_json(value).decode()))
    return new


def test_a_changed_input_is_named(done):
    record = done.stores.steps.find(incident_id="inc-1")[0]
    edit(done, record.inputs["incident"], lambda incident: {**incident, "title": "nothing happened"})
    found = replayed(done)
    assert (found.difference.number, found.difference.step) == (1, "analyse")
    assert "was changed after it was recorded" in found.difference.reason


def test_a_changed_output_is_named(done):
    record = done.stores.steps.find(incident_id="inc-1")[2]
    edit(done, record.output, lambda decided: {**decided, "digest": "0" * 64})
    assert replayed(done).difference.number == 3


def test_a_record_that_was_forged_in_itself_is_named_with_the_value(done):
    """The tamperer also gives the content a fitting digest: then the code says what really came out."""
    record = done.stores.steps.find(incident_id="inc-1")[2]
    new = edit(done, record.output, lambda d: {**d, "verdict": {**d["verdict"], "answer": "allow"}}, forge=True)
    with done.stores.database.write() as connection:
        connection.execute(sa.update(steps).where(steps.c.id == record.id).values(output=new))
    found = replayed(done).difference
    assert (found.step, found.path, found.recorded, found.replayed) == ("policy", "/verdict/answer", "allow", "ask")


def test_a_trail_that_was_made_anew_is_found_by_the_hash_in_the_audit(done):
    """Inputs and outputs fit one another, and are others than those that the audit vouches for."""
    record = done.stores.steps.find(incident_id="inc-1")[3]
    with done.stores.database.write() as connection:
        connection.execute(sa.delete(steps).where(steps.c.id == record.id))
    found = replayed(done)
    assert (found.same, found.steps) == (4, 4)
    assert "hash is in the audit" in found.difference.reason


def test_a_step_of_another_release_is_said_to_be_unreadable(done):
    record = done.stores.steps.find(incident_id="inc-1")[1]
    found = replay_run(done.stores.steps, [replace(record, step="divine")], "")
    assert found.difference is not None
    assert "cannot read the step" in found.difference.reason


def test_differences_are_found_wherever_they_are():
    assert first_difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}) is None
    assert first_difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == ("/a/1/b", 2, 3)
    assert first_difference({"a": [1]}, {"a": [1, 2]}) == ("/a", [1], [1, 2])
    assert first_difference({}, {"x": 1}) == ("/x", None, 1)
