"""EC2 instances: reboot, stop, start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from remediation.executors.aws.clients import AwsClients
from remediation.executors.aws.errors import told
from remediation.executors.aws.places import Place
from remediation.executors.aws.resources import NEW, PREFIX, Fields, Look, marks_of, no_such_action
from sentinel.errors import PermanentError, RefusedError
from sentinel.plans import Action, Scalar

REBOOTED = "rebooted"
"""The mark of a reboot, which EC2 itself shows nowhere: when Sentinel last asked for one. It is part of the state, and
it is written before the call, so that a reboot whose answer was lost is never asked for again."""

_NEVER = "never"
_CALLS = {"ec2_reboot": "reboot_instances", "ec2_stop": "stop_instances", "ec2_start": "start_instances"}
_POWER = {"pending": "running", "running": "running", "stopping": "stopped", "stopped": "stopped"}
"""State of an instance to what was decided about it."""


class InstanceResource:
    """One instance. The fields are the decisions: whether it is to run, since which launch, and the last reboot."""

    def __init__(self, clients: AwsClients, place: Place) -> None:
        self._clients = clients
        self._place = place
        self._id = place.name
        self.text = place.text

    def look(self) -> Look:
        """See `Resource.look`."""
        found = self._describe()
        state = found["State"]["Name"]
        if state not in _POWER:
            raise PermanentError(f"aws: {self.text} is {state}")
        marks = marks_of((tag["Key"], tag["Value"]) for tag in found.get("Tags", []))
        fields: Fields = {
            "power": _POWER[state],
            "launched": found["LaunchTime"].isoformat(),
            "rebooted": marks.get(REBOOTED, _NEVER),
        }
        waits_for = f"it is {state}" if state in ("pending", "stopping") else ""
        if state == "running":
            waits_for = self._checks()
        return Look(fields=fields, marks=marks, waits_for=waits_for)

    def wanted(self, action: Action, fields: Fields) -> Fields:
        """See `Resource.wanted`."""
        if action.type not in _CALLS:
            raise no_such_action(action, self.text)
        match action.type:
            case "ec2_reboot" if fields["power"] != "running":
                raise RefusedError("state", f"{self.text} is {fields['power']}: it cannot be rebooted")
            case "ec2_reboot":
                return {"rebooted": NEW}
            case "ec2_stop":
                return {"power": "stopped"}
            case _:
                return {"power": "running"}

    def rehearse(self, action: Action) -> None:
        """EC2's own dry run; and an instance of an Auto Scaling group is not stopped, because the group replaces it."""
        tags = {tag["Key"]: tag["Value"] for tag in self._describe().get("Tags", [])}
        if action.type == "ec2_stop" and (group := tags.get("aws:autoscaling:groupName")):
            raise RefusedError(
                "managed", f"{self.text} belongs to the Auto Scaling group {group}, which would replace it"
            )
        with told(f"dry run of {action.type} {self.text}"):
            try:
                getattr(self._writing(), _CALLS[action.type])(InstanceIds=[self._id], DryRun=True)
            except ClientError as error:
                if error.response["Error"]["Code"] == "DryRunOperation":
                    return
                raise
        raise PermanentError(f"aws: the dry run of {action.type} on {self.text} was not answered as one")

    def mark(self, marks: Mapping[str, str]) -> None:
        """See `Resource.mark`."""
        tags = [{"Key": f"{PREFIX}{key}", "Value": value} for key, value in marks.items()]
        with told(f"CreateTags {self.text}"):
            self._writing().create_tags(Resources=[self._id], Tags=tags)

    def act(self, action: Action, wanted: Fields) -> None:
        """See `Resource.act`."""
        with told(f"{action.type} {self.text}"):
            getattr(self._writing(), _CALLS[action.type])(InstanceIds=[self._id])

    def undo(self, action: Action, before: Fields) -> tuple[str, dict[str, Scalar]] | None:
        """See `Resource.undo`: a reboot cannot be undone."""
        back = {"ec2_stop": "ec2_start", "ec2_start": "ec2_stop"}.get(action.type)
        return (back, {}) if back else None

    def _describe(self) -> dict[str, Any]:
        with told(f"DescribeInstances {self.text}"):
            answer = self._reading().describe_instances(InstanceIds=[self._id])
        found = [one for reservation in answer["Reservations"] for one in reservation["Instances"]]
        if not found:
            raise PermanentError(f"aws: {self.text} is not there")
        instance: dict[str, Any] = found[0]
        return instance

    def _checks(self) -> str:
        """What AWS's own waiter `instance_status_ok` waits for, and the same of the system's status."""
        with told(f"DescribeInstanceStatus {self.text}"):
            answer = self._reading().describe_instance_status(InstanceIds=[self._id], IncludeAllInstances=True)
        for status in answer["InstanceStatuses"]:
            own, system = status["InstanceStatus"]["Status"], status["SystemStatus"]["Status"]
            if own not in ("ok", "not-applicable") or system not in ("ok", "not-applicable"):
                return f"its status checks are {own} (instance) and {system} (system)"
        return "" if answer["InstanceStatuses"] else "it has no status checks yet"

    def _reading(self) -> Any:
        return self._clients.reading(self._place.account, self._place.region, "ec2")

    def _writing(self) -> Any:
        return self._clients.writing(self._place.account, self._place.region, "ec2")
