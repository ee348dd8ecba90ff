"""Where an object is: what a target says about account, region and name, and its ARN. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sentinel.errors import PermanentError
from sentinel.plans import Target

_NAMESPACE = re.compile(r"([0-9]{12}):([a-z0-9-]{3,40})")
_NAMES = {
    "ecs": re.compile(r"[A-Za-z0-9_-]{1,255}/[A-Za-z0-9_-]{1,255}"),
    "instance": re.compile(r"i-[0-9a-f]{8,17}"),
    "group": re.compile(r"[^/:\s*?]{1,255}"),
}
"""Kinds of objects, each with what its name looks like. No name can reach beyond one object in an ARN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One object of one account and region. `kind` is `ecs`, `instance` or `group`."""

    account: str
    region: str
    kind: str
    name: str

    @property
    def text(self) -> str:
        """For a person."""
        kinds = {"ecs": "ECS service", "instance": "EC2 instance", "group": "Auto Scaling group"}
        return f"{kinds[self.kind]} {self.name} in {self.account} {self.region}"

    def arn(self, partition: str) -> str:
        """The object's ARN. A group's holds an id that nobody knows beforehand, so it has a `*` in that place."""
        match self.kind:
            case "ecs":
                return f"arn:{partition}:ecs:{self.region}:{self.account}:service/{self.name}"
            case "instance":
                return f"arn:{partition}:ec2:{self.region}:{self.account}:instance/{self.name}"
            case _:
                group = f"autoScalingGroup:*:autoScalingGroupName/{self.name}"
                return f"arn:{partition}:autoscaling:{self.region}:{self.account}:{group}"


def place_of(target: Target) -> Place:
    """Where a target is; raises `PermanentError` with the remedy when it does not say so."""
    found = _NAMESPACE.fullmatch(target.namespace)
    name = _NAMES.get(target.kind)
    if found is None or name is None or not name.fullmatch(target.name):
        raise PermanentError(
            f"aws: {target.namespace}/{target.kind}/{target.name} is no object of AWS; the catalogue's `resource` looks "
            "like 123456789012:eu-west-1/ecs/CLUSTER/SERVICE, .../instance/i-0123456789abcdef0 or .../group/NAME"
        )
    return Place(account=found[1], region=found[2], kind=target.kind, name=target.name)


def partition_of(role: str) -> str:
    """The partition that the ARN of a role names: `aws`, `aws-cn` or `aws-us-gov`."""
    return role.split(":", 2)[1]
