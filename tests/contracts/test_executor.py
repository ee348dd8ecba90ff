"""One suite for every executor (`executor_subjects.py` lists them), and for the dry run around each."""

from dataclasses import replace
from uuid import uuid4

import pytest

from remediation.executors.dry_run import DryRunExecutor
from remediation.executors.fleet import FleetExecutor
from remediation.settings import FleetSettings
from sentinel.errors import PermanentError, RefusedError, TransientError
from tests.contracts import aws_subjects
from tests.contracts.executor_on_kubernetes import kubernetes
from tests.contracts.executor_subjects import CART, double, fleet, plugin

SUBJECTS = {
    "double": double,
    "fleet": fleet,
    "plugin": plugin,
    "aws-ecs": aws_subjects.ecs,
    "aws-ec2": aws_subjects.instance,
    "aws-group": aws_subjects.group,
    "kubernetes": kubernetes,
}
"""Every implementation; each is opened once for the suite."""


MARKS = {"kubernetes": pytest.mark.kubernetes}
"""What an implementation needs beside Python."""


@pytest.fixture(scope="module", params=[pytest.param(name, marks=MARKS.get(name, ())) for name in SUBJECTS])
def subject(request):
    """An implementation and its target."""
    with SUBJECTS[request.param](request.getfixturevalue) as found:
        yield found
        found.executor.close()


@pytest.fixture
def real(subject):
    """An executor that acts."""
    return subject.executor


@pytest.fixture(params=["acts", "dry_run"])
def executor(request, real):
    """Any executor."""
    return real if request.param == "acts" else DryRunExecutor(real)


@pytest.fixture
def key():
    """A key that nothing has used."""
    return f"key-{uuid4().hex}"


def version(executor, subject):
    return executor.observe(subject.target).resource_version


def test_looking_and_previewing_change_nothing(executor, subject):
    before = executor.observe(subject.target)
    action, fields = subject.changes[0]
    preview = executor.dry_run(action)
    assert preview.resource_version == before.resource_version
    assert preview.before == before.fields
    assert preview.after == {**before.fields, **fields} != before.fields
    assert all(name in preview.text for name in fields)
    assert executor.observe(subject.target) == before


def test_states_are_plain_values(executor, subject):
    fields = executor.observe(subject.target).fields
    assert all(isinstance(value, str | int | float | bool) for value in fields.values())


def test_the_same_key_again_answers_the_first_result_and_does_nothing(executor, subject, key):
    at = version(executor, subject)
    first = executor.apply(subject.deed, at, key)
    after = executor.observe(subject.target)
    assert executor.apply(subject.deed, at, key) == first
    assert executor.observe(subject.target) == after


def test_another_version_is_drift_and_nothing_happens(executor, subject, key):
    before = executor.observe(subject.target)
    with pytest.raises(RefusedError) as refused:
        executor.apply(subject.deed, "no-such-version", key)
    assert refused.value.rule == "drift"
    assert executor.observe(subject.target) == before


def test_an_unknown_target_is_refused_for_good(executor, subject):
    with pytest.raises(PermanentError, match=subject.unknown):
        executor.observe(subject.stranger)
    with pytest.raises(PermanentError, match=subject.unknown):
        executor.dry_run(replace(subject.deed, target=subject.stranger))


def test_every_action_can_be_described(executor, subject):
    for action in (subject.deed, *subject.final, *subject.undone):
        assert subject.target.name in executor.describe(action)


def test_what_cannot_be_undone_has_no_inverse(executor, subject):
    before = executor.observe(subject.target)
    assert [executor.inverse(action, before) for action in subject.final] == [None] * len(subject.final)


def test_an_applied_action_shows(real, subject, key):
    (first, _), (second, fields) = subject.changes
    applied = real.apply(first, version(real, subject), key)
    assert applied.changed
    assert applied.effective_at > 0
    assert real.observe(subject.target) == applied.after
    assert real.verify_applied(first, applied) == ""
    real.apply(second, version(real, subject), f"{key}-2")
    assert all(name in real.verify_applied(first, applied) for name in fields)


@pytest.mark.parametrize("index", [0, -1])
def test_the_inverse_puts_the_state_back(real, subject, key, index):
    before = real.observe(subject.target)
    deed = subject.undone[index]
    inverse = real.inverse(deed, before)
    applied = real.apply(deed, before.resource_version, key)
    assert applied.after.fields != before.fields
    real.apply(inverse, applied.after.resource_version, f"{key}-undo")
    after = real.observe(subject.target)
    assert [after.fields[name] for name in subject.kept] == [before.fields[name] for name in subject.kept]


def test_a_dry_run_changes_nothing_and_says_so(real, subject):
    dry = DryRunExecutor(real)
    before = real.observe(subject.target)
    applied = dry.apply(subject.deed, before.resource_version, "key-dry")
    assert not applied.changed
    assert real.observe(subject.target) == before
    assert [recorded.key for recorded in dry.recorded] == ["key-dry"]


def test_a_fleet_that_is_away_is_transient():
    executor = FleetExecutor(FleetSettings(url="http://127.0.0.1:9", deadline=1))
    with pytest.raises(TransientError, match="fleet"):
        executor.observe(CART)
    executor.close()
