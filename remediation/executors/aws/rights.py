"""IAM policy documents with the least rights: generated from the allow-list, the action types and the objects. Pure.

One statement for each action type that the allow-list has on an object, for those objects alone; one for the marks and
one for looking. No action has a wildcard. `Resource` is `*` only for calls that AWS cannot narrow down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from remediation.aws_settings import AwsAccount
from remediation.aws_types import AWS_TYPES, BACKEND
from remediation.executors.aws.places import Place, partition_of, place_of
from remediation.executors.aws.resources import PREFIX
from remediation.policy import allowed
from remediation.settings import AllowRule
from sentinel.plans import Action, Target

ACTS: Mapping[str, tuple[str, str]] = {
    "ec2_reboot": ("instance", "ec2:RebootInstances"),
    "ec2_stop": ("instance", "ec2:StopInstances"),
    "ec2_start": ("instance", "ec2:StartInstances"),
    "ecs_redeploy": ("ecs", "ecs:UpdateService"),
    "ecs_scale": ("ecs", "ecs:UpdateService"),
    "ecs_rollback": ("ecs", "ecs:UpdateService"),
    "ecs_deploy": ("ecs", "ecs:UpdateService"),
    "asg_scale": ("group", "autoscaling:SetDesiredCapacity"),
}
"""Action type to the kind of object that it acts on and the call that acts."""

MARKS = {"instance": "ec2:CreateTags", "ecs": "ecs:TagResource", "group": "autoscaling:CreateOrUpdateTags"}
"""The call that writes Sentinel's tags, by kind of object."""

LOOKS = {
    "instance": ("ec2:DescribeInstances", "ec2:DescribeInstanceStatus"),
    "ecs": ("ecs:ListTaskDefinitions",),
    "group": ("autoscaling:DescribeAutoScalingGroups",),
}
"""Calls that only look and that AWS cannot narrow down to objects, by kind of object."""

OWN = "sentinel"
"""The document of Sentinel's own identity, which may assume the roles and nothing else."""


def policy_documents(
    accounts: Mapping[str, AwsAccount], rules: Sequence[AllowRule], targets: Iterable[Target]
) -> dict[str, Any]:
    """Documents by account number, each for that account's role, and one for `sentinel` itself.

    Raises `PermanentError` for a target in AWS that is no object.
    """
    places = [(target, place_of(target)) for target in targets if target.backend == BACKEND]
    documents: dict[str, Any] = {OWN: _document([_own(accounts)] if accounts else [])}
    for number, account in sorted(accounts.items()):
        own = [(t, p) for t, p in places if p.account == number and p.region in account.regions]
        documents[number] = _document(_statements(own, rules, partition_of(account.role)))
    return documents


def _own(accounts: Mapping[str, AwsAccount]) -> dict[str, Any]:
    roles = sorted(account.role for account in accounts.values())
    return {"Sid": "AssumeRoles", "Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": roles}


def _statements(
    places: Sequence[tuple[Target, Place]], rules: Sequence[AllowRule], partition: str
) -> list[dict[str, Any]]:
    acted: dict[str, set[Place]] = {}
    for kind, (of, _) in ACTS.items():
        for target, place in places:
            if place.kind == of and _may(kind, target, rules):
                acted.setdefault(kind, set()).add(place)
    statements = [
        _allow(_sid(kind), [ACTS[kind][1]], sorted(place.arn(partition) for place in found))
        for kind, found in acted.items()
    ]
    for of, mark in MARKS.items():
        marked = {place for kind, found in acted.items() if ACTS[kind][0] == of for place in found}
        if marked:
            statement = _allow(f"Mark{of.title()}", [mark], sorted(place.arn(partition) for place in marked))
            keys = [f"{PREFIX}{name}" for name in ("answered", "before", "begun", "key", "rebooted")]
            statements.append({**statement, "Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": keys}}})
        seen = [place for _, place in places if place.kind == of]
        if seen:
            statements += _looking(of, seen, partition)
    return statements


def _may(kind: str, target: Target, rules: Sequence[AllowRule]) -> bool:
    """Whether the allow-list has the type on the target, or one that it undoes."""
    return any(
        kind in (entry.name, entry.inverse) for entry in AWS_TYPES if allowed(_action(entry.name, target), rules)
    )


def _action(kind: str, target: Target) -> Action:
    entry = next(one for one in AWS_TYPES if one.name == kind)
    return Action(
        id="",
        type=kind,
        target=target,
        params={},
        risk=entry.risk,
        expected_downtime=entry.expected_downtime,
        reversible=entry.reversible,
        reason="",
    )


def _looking(of: str, seen: Sequence[Place], partition: str) -> list[dict[str, Any]]:
    regions = sorted({place.region for place in seen})
    anywhere = _allow(f"Look{of.title()}", list(LOOKS[of]), ["*"])
    found = [{**anywhere, "Condition": {"StringEquals": {"aws:RequestedRegion": regions}}}]
    if of == "ecs":
        arns = sorted(place.arn(partition) for place in seen)
        found.append(_allow("LookEcsServices", ["ecs:DescribeServices"], arns))
    return found


def _allow(sid: str, actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}


def _sid(kind: str) -> str:
    return "".join(word.title() for word in kind.split("_"))


def _document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}
