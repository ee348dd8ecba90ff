"""One suite for every executor: the simulated fleet (the real one over HTTP, and the tests' double) and the dry run."""

import time

import pytest

from remediation.catalogue import Step, make_action
from remediation.executors.dry_run import DryRunExecutor
from remediation.executors.fleet import FleetExecutor
from remediation.settings import FleetSettings
from sentinel.catalogue import ServiceCatalogue
from sentinel.errors import PermanentError, RefusedError, TransientError
from sentinel.fleet.model import make_fleet
from sentinel.fleet.server import serve_fleet
from sentinel.fleet.settings import FleetSettings as RealFleetSettings
from sentinel.plans import Target
from tests.remediation.fleet_double import FleetDouble

CART = Target(backend="fleet", kind="service", name="cart")


def action(kind, target=CART, **params):
    step = Step(type=kind, service=target.name, params=params, reason="test")
    return make_action(f"act-{kind}", step, target)


@pytest.fixture(scope="module")
def fleet_url():
    catalogue = ServiceCatalogue.model_validate({"services": {"web": {"calls": ["cart"]}, "cart": {}}})
    with serve_fleet(make_fleet(catalogue, RealFleetSettings(), time.time), "127.0.0.1", 0) as url:
        yield url


@pytest.fixture(params=["double", "fleet"])
def real(request):
    """An executor that acts."""
    if request.param == "double":
        executor = FleetDouble("web", "cart").executor()
    else:
        executor = FleetExecutor(FleetSettings(url=request.getfixturevalue("fleet_url")))
    yield executor
    executor.close()


@pytest.fixture(params=["acts", "dry_run"])
def executor(request, real):
    """Any executor."""
    return real if request.param == "acts" else DryRunExecutor(real)


def version(executor, target=CART):
    return executor.observe(target).resource_version


def test_looking_and_previewing_change_nothing(executor):
    before = executor.observe(CART)
    preview = executor.dry_run(action("scale", replicas=9))
    assert preview.resource_version == before.resource_version
    assert preview.before == before.fields
    assert preview.after == {**before.fields, "replicas": 9}
    assert "replicas" in preview.text
    assert executor.observe(CART) == before


def test_states_are_plain_values(executor):
    assert all(isinstance(value, str | int | float | bool) for value in executor.observe(CART).fields.values())


def test_the_same_key_again_answers_the_first_result_and_does_nothing(executor, request):
    deed, at = action("restart"), version(executor)
    key = f"key-{request.node.name}"
    first = executor.apply(deed, at, key)
    after = executor.observe(CART)
    assert executor.apply(deed, at, key) == first
    assert executor.observe(CART) == after


def test_another_version_is_drift_and_nothing_happens(executor):
    before = executor.observe(CART)
    with pytest.raises(RefusedError) as refused:
        executor.apply(action("restart"), "no-such-version", "key-drift")
    assert refused.value.rule == "drift"
    assert executor.observe(CART) == before


def test_an_unknown_target_is_refused_for_good(executor):
    nobody = Target(backend="fleet", kind="service", name="no/body?x=1")
    with pytest.raises(PermanentError, match="404"):
        executor.observe(nobody)
    with pytest.raises(PermanentError, match="404"):
        executor.dry_run(action("restart", nobody))


def test_every_action_can_be_described(executor):
    assert "cart" in executor.describe(action("restart"))


def test_what_cannot_be_undone_has_no_inverse(executor):
    assert executor.inverse(action("restart"), executor.observe(CART)) is None


def test_an_applied_action_shows(real, request):
    applied = real.apply(action("scale", replicas=6), version(real), f"key-{request.node.name}")
    assert applied.changed
    assert applied.effective_at > 0
    assert real.observe(CART) == applied.after
    assert real.verify_applied(action("scale", replicas=6), applied) == ""
    real.apply(action("scale", replicas=2), version(real), f"key2-{request.node.name}")
    assert "replicas" in real.verify_applied(action("scale", replicas=6), applied)


@pytest.mark.parametrize(("kind", "params"), [("scale", {"replicas": 11}), ("rollback", {})])
def test_the_inverse_puts_the_state_back(real, request, kind, params):
    before = real.observe(CART)
    deed = action(kind, **params)
    inverse = real.inverse(deed, before)
    applied = real.apply(deed, before.resource_version, f"key-{request.node.name}")
    assert applied.after.fields != before.fields
    real.apply(inverse, applied.after.resource_version, f"undo-{request.node.name}")
    after = real.observe(CART)
    assert (after.fields["version"], after.fields["replicas"]) == (before.fields["version"], before.fields["replicas"])


def test_a_dry_run_changes_nothing_and_says_so(real):
    dry = DryRunExecutor(real)
    before = real.observe(CART)
    applied = dry.apply(action("restart"), before.resource_version, "key-dry")
    assert not applied.changed
    assert real.observe(CART) == before
    assert [recorded.key for recorded in dry.recorded] == ["key-dry"]


def test_a_fleet_that_is_away_is_transient():
    executor = FleetExecutor(FleetSettings(url="http://127.0.0.1:9", deadline=1))
    with pytest.raises(TransientError, match="fleet"):
        executor.observe(CART)
    executor.close()
