"""The generated IAM policies: exactly what the executors call, on exactly what the allow-list names."""

import json
from pathlib import Path

import pytest

from remediation.aws_settings import AwsAccount
from remediation.aws_types import AWS_TYPES
from remediation.evidence import target_of
from remediation.executors.aws.rights import ACTS, policy_documents
from remediation.settings import AllowRule
from sentinel.cli.settings import load_settings
from tests.remediation.aws.world import ACCOUNT, REGION, ROLE, deed, recording

CONFIG = Path(__file__).parents[3] / "config" / "aws"
EVERY_TYPE = tuple(entry.name for entry in AWS_TYPES if entry.plannable)
ACCOUNTS = {ACCOUNT: AwsAccount(role=ROLE, regions=(REGION,))}


def rule(*actions, name="*", namespace=f"{ACCOUNT}:{REGION}"):
    return AllowRule(actions=actions, backend="aws", namespace=namespace, name=name)


def documents(world, *rules, accounts=None):
    return policy_documents(accounts or ACCOUNTS, rules, (world.cart, world.batch, world.web))


def actions(*found):
    return {action for document in found for statement in document["Statement"] for action in statement["Action"]}


def sids(document):
    return [statement["Sid"] for statement in document["Statement"]]


def test_every_call_that_is_made_is_in_the_policy_and_nothing_else_is(world):
    calls: set[str] = set()
    executor = world.executor(recording(calls))
    for kind in EVERY_TYPE:
        params = {"ecs_scale": {"desired": 5}, "asg_scale": {"capacity": 5}}.get(kind, {})
        target = {"ecs": world.cart, "instance": world.batch, "group": world.web}[ACTS[kind][0]]
        wanted = deed(target, kind, **params)
        before = executor.observe(target)
        assert executor.dry_run(wanted).resource_version == before.resource_version
        applied = executor.apply(wanted, before.resource_version, f"rights-{kind}")
        assert executor.verify_applied(wanted, applied) == ""
        if inverse := executor.inverse(wanted, before):
            executor.apply(inverse, applied.after.resource_version, f"rights-undo-{kind}")
    found = documents(world, rule(*EVERY_TYPE))
    assert actions(found["sentinel"]) == {"sts:AssumeRole"}
    assert calls == actions(*found.values())


def test_there_is_one_statement_for_each_action_type_that_acts(world):
    found = documents(world, rule(*EVERY_TYPE))[ACCOUNT]
    acting = {sid for sid in sids(found) if not sid.startswith(("Look", "Mark"))}
    assert acting == {"".join(word.title() for word in entry.name.split("_")) for entry in AWS_TYPES}
    assert len(sids(found)) == len(set(sids(found)))
    assert ACTS.keys() == {entry.name for entry in AWS_TYPES}


def test_no_action_has_a_wildcard_and_acting_is_for_named_objects(world):
    found = documents(world, rule(*EVERY_TYPE))
    assert not [action for action in actions(*found.values()) if "*" in action]
    for statement in found[ACCOUNT]["Statement"]:
        if statement["Sid"].startswith("Look"):
            assert all(action.split(":")[1].startswith(("Describe", "List")) for action in statement["Action"])
            continue
        for resource in statement["Resource"]:
            assert resource.rpartition("/")[2] in ("cart", world.instance, world.name)
            assert f":{REGION}:{ACCOUNT}:" in resource


def test_what_the_allow_list_does_not_have_is_no_right(world):
    only_scale = documents(world, rule("ecs_scale"))[ACCOUNT]
    assert "EcsScale" in sids(only_scale)
    assert not {"EcsRedeploy", "EcsRollback", "EcsDeploy", "AsgScale", "Ec2Stop"} & set(sids(only_scale))
    assert "ec2:CreateTags" not in actions(only_scale)
    elsewhere = documents(world, rule(*EVERY_TYPE, namespace=f"{ACCOUNT}:us-east-1"))[ACCOUNT]
    assert all(sid.startswith("Look") for sid in sids(elsewhere))


def test_what_undoes_an_allowed_action_is_a_right(world):
    assert "Ec2Start" in sids(documents(world, rule("ec2_stop"))[ACCOUNT])
    assert "EcsDeploy" in sids(documents(world, rule("ecs_rollback"))[ACCOUNT])


def test_a_region_that_the_account_may_not_reach_gives_no_right(world):
    accounts = {ACCOUNT: AwsAccount(role=ROLE, regions=("us-east-1",))}
    assert documents(world, rule(*EVERY_TYPE), accounts=accounts)[ACCOUNT]["Statement"] == []


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov", "aws-cn"])
def test_arns_are_of_the_partition_of_the_role(world, partition):
    accounts = {ACCOUNT: AwsAccount(role=ROLE.replace("arn:aws:", f"arn:{partition}:"), regions=(REGION,))}
    found = documents(world, rule(*EVERY_TYPE), accounts=accounts)
    arns = [r for one in found.values() for statement in one["Statement"] for r in statement["Resource"] if r != "*"]
    assert all(arn.startswith(f"arn:{partition}:") for arn in arns)


def test_the_shipped_policies_are_those_of_the_shipped_example():
    settings = load_settings(CONFIG / "sentinel.yaml")
    targets = [target_of(name, entry) for name, entry in settings.services.services.items()]
    accounts = settings.remediation.executor.aws.accounts
    found = policy_documents(accounts, settings.remediation.policy.allow, targets)
    assert json.loads((CONFIG / "policies.json").read_text()) == found
    assert settings.remediation.executor.acting == frozenset()
