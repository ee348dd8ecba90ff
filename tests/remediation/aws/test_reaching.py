"""Which accounts and regions can be reached, as whom, how often a call is tried, and what its errors become."""

from dataclasses import replace

import pytest
from botocore.session import get_session
from pydantic import ValidationError

from remediation.aws_settings import AwsSettings
from sentinel.errors import PermanentError, RefusedError, TransientError
from tests.remediation.aws.world import ACCOUNT, REGION, ROLE, deed

OTHER = "210987654321"


def test_as_shipped_nothing_can_be_reached(world):
    with pytest.raises(RefusedError) as refused:
        world.executor(accounts={}).observe(world.batch)
    assert refused.value.rule == "allow-list"
    assert world.double.calls == []


@pytest.mark.parametrize("namespace", [f"{OTHER}:{REGION}", f"{ACCOUNT}:us-east-1"])
def test_another_account_or_region_is_refused_before_any_call(world, namespace):
    executor = world.executor()
    for kind in ("batch", "cart", "web"):
        stranger = replace(getattr(world, kind), namespace=namespace)
        with pytest.raises(RefusedError, match="is not in remediation"):
            executor.observe(stranger)
    assert world.double.calls == []


@pytest.mark.parametrize(
    ("namespace", "kind", "name"),
    [
        ("", "service", "cart"),
        (f"{ACCOUNT}:{REGION}", "instance", "i-*"),
        (f"{ACCOUNT}:{REGION}", "ecs", "shop"),
        (f"{ACCOUNT}:{REGION}", "group", "*"),
        (f"{ACCOUNT}:{REGION}", "bucket", "b"),
        (f"{ACCOUNT}:eu/west", "group", "g"),
    ],
)
def test_a_target_that_is_no_single_object_is_refused_with_the_remedy(world, namespace, kind, name):
    target = replace(world.web, namespace=namespace, kind=kind, name=name)
    with pytest.raises(PermanentError, match="the catalogue's `resource` looks like"):
        world.executor().observe(target)


@pytest.mark.parametrize(
    "accounts",
    [
        {ACCOUNT: {"role": ROLE.replace(ACCOUNT, OTHER), "regions": [REGION]}},
        {"12345": {"role": ROLE}},
        {ACCOUNT: {"role": "arn:aws:iam::123456789012:user/ann"}},
    ],
)
def test_a_role_of_another_account_is_a_mistake_in_the_configuration(accounts):
    with pytest.raises(ValidationError):
        AwsSettings.model_validate({"accounts": accounts})


def test_the_role_is_assumed_once_and_again_before_it_runs_out(world):
    executor = world.executor()
    executor.observe(world.cart)
    executor.observe(world.batch)
    assert world.double.calls.count("AssumeRole") == 1
    world.clock.at += 3_400
    executor.observe(world.cart)
    assert world.double.calls.count("AssumeRole") > 1


def test_every_call_is_made_as_the_role(world):
    world.executor().observe(world.cart)
    first, *others = world.double.signers
    assert first == "testing"
    assert others
    assert "testing" not in others


def test_credentials_that_run_out_early_are_fetched_anew(world):
    executor = world.executor()
    executor.observe(world.cart)
    world.double.faults["DescribeServices"] = ["expired"]
    assert executor.observe(world.cart).fields["desired"] == 3
    assert world.double.calls.count("AssumeRole") == 2


def test_a_role_that_may_not_be_assumed_is_refused_by_iam(world):
    world.double.faults["AssumeRole"] = ["denied"]
    with pytest.raises(RefusedError) as refused:
        world.executor().observe(world.cart)
    assert refused.value.rule == "iam"


def test_reading_is_tried_three_times_and_acting_once(world):
    executor = world.executor()
    at = executor.observe(world.cart).resource_version
    world.double.faults["DescribeServices"] = ["throttle", "throttle"]
    assert executor.observe(world.cart).resource_version == at
    world.double.reset()
    world.double.faults["DescribeServices"] = ["throttle"] * 5
    with pytest.raises(TransientError, match="Throttling"):
        executor.observe(world.cart)
    assert world.double.calls == ["DescribeServices"] * 3
    world.double.reset()
    world.double.faults["UpdateService"] = ["throttle"] * 5
    with pytest.raises(TransientError, match="Throttling"):
        executor.apply(deed(world.cart, "ecs_scale", desired=5), at, "tried-once")
    assert world.double.calls.count("UpdateService") == 1


def test_a_call_has_a_deadline(world):
    executor = world.executor(deadline=0.3)
    at = executor.observe(world.cart).resource_version
    world.double.seconds = 1.0
    world.double.faults["UpdateService"] = ["slow"]
    with pytest.raises(TransientError, match="no answer"):
        executor.apply(deed(world.cart, "ecs_scale", desired=5), at, "too-slow")


def test_an_endpoint_that_is_away_is_transient(world):
    with pytest.raises(TransientError, match="aws: AssumeRole"):
        world.executor(endpoint="http://127.0.0.1:9").observe(world.cart)


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("ec2", "RebootInstances"),
        ("ec2", "StopInstances"),
        ("ec2", "StartInstances"),
        ("ecs", "UpdateService"),
        ("autoscaling", "SetDesiredCapacity"),
    ],
)
def test_aws_has_no_client_token_for_these_calls(service, operation):
    """The reason for the marks; the day it has one, the token is the better way."""
    shape = get_session().get_service_model(service).operation_model(operation).input_shape
    tokens = [name for name, member in shape.members.items() if member.metadata.get("idempotencyToken")]
    assert tokens == []
    assert not {"ClientToken", "clientToken"} & set(shape.members)
