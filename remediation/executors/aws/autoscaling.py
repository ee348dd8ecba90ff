"""Auto Scaling groups: desired capacity, within the group's own bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediation.executors.aws.clients import AwsClients
from remediation.executors.aws.errors import told
from remediation.executors.aws.places import Place
from remediation.executors.aws.resources import PREFIX, Fields, Look, marks_of, no_such_action
from sentinel.errors import PermanentError, RefusedError
from sentinel.plans import Action, Scalar


class GroupResource:
    """One group. The fields are the decisions: desired capacity and its bounds."""

    def __init__(self, clients: AwsClients, place: Place) -> None:
        self._clients = clients
        self._place = place
        self._name = place.name
        self.text = place.text

    def look(self) -> Look:
        """See `Resource.look`."""
        found = self._describe()
        fields: Fields = {
            "capacity": int(found["DesiredCapacity"]),
            "lowest": int(found["MinSize"]),
            "highest": int(found["MaxSize"]),
        }
        serving = sum(
            one["LifecycleState"] == "InService" and one["HealthStatus"] == "Healthy" for one in found["Instances"]
        )
        done = serving == fields["capacity"] == len(found["Instances"])
        return Look(
            fields=fields,
            marks=marks_of((tag["Key"], tag["Value"]) for tag in found.get("Tags", [])),
            waits_for="" if done else f"{serving} of {fields['capacity']} instances are in service",
        )

    def wanted(self, action: Action, fields: Fields) -> Fields:
        """See `Resource.wanted`."""
        if action.type != "asg_scale":
            raise no_such_action(action, self.text)
        capacity, lowest, highest = action.params["capacity"], int(fields["lowest"]), int(fields["highest"])
        if not lowest <= int(capacity) <= highest:
            raise RefusedError("bounds", f"{self.text} takes {lowest} to {highest} instances, not {capacity}")
        return {"capacity": capacity}

    def rehearse(self, action: Action) -> None:
        """Auto Scaling cannot be asked; a group whose scaling is suspended is left alone."""
        suspended = {one["ProcessName"] for one in self._describe().get("SuspendedProcesses", [])}
        if stops := sorted(suspended & {"Launch", "Terminate"}):
            raise RefusedError("suspended", f"{self.text}: {', '.join(stops)} is suspended")

    def mark(self, marks: Mapping[str, str]) -> None:
        """See `Resource.mark`."""
        about = {"ResourceId": self._name, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": False}
        tags = [{**about, "Key": f"{PREFIX}{key}", "Value": value} for key, value in marks.items()]
        with told(f"CreateOrUpdateTags {self.text}"):
            self._writing().create_or_update_tags(Tags=tags)

    def act(self, action: Action, wanted: Fields) -> None:
        """See `Resource.act`."""
        with told(f"SetDesiredCapacity {self.text}"):
            self._writing().set_desired_capacity(
                AutoScalingGroupName=self._name, DesiredCapacity=wanted["capacity"], HonorCooldown=False
            )

    def undo(self, action: Action, before: Fields) -> tuple[str, dict[str, Scalar]] | None:
        """See `Resource.undo`."""
        return ("asg_scale", {"capacity": before["capacity"]}) if action.type == "asg_scale" else None

    def _describe(self) -> dict[str, Any]:
        with told(f"DescribeAutoScalingGroups {self.text}"):
            answer = self._clients.reading(
                self._place.account, self._place.region, "autoscaling"
            ).describe_auto_scaling_groups(AutoScalingGroupNames=[self._name])
        if not answer["AutoScalingGroups"]:
            raise PermanentError(f"aws: {self.text} is not there")
        found: dict[str, Any] = answer["AutoScalingGroups"][0]
        return found

    def _writing(self) -> Any:
        return self._clients.writing(self._place.account, self._place.region, "autoscaling")
