"""Services of ECS: desired count, a new deployment, another task definition of the same family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediation.executors.aws.clients import AwsClients
from remediation.executors.aws.errors import told
from remediation.executors.aws.places import Place
from remediation.executors.aws.resources import NEW, PREFIX, Fields, Look, marks_of, no_such_action
from sentinel.errors import PermanentError, RefusedError
from sentinel.plans import Action, Scalar


class EcsServiceResource:
    """One service. The fields are the decisions: desired count, task definition, and the deployment that carries them."""

    def __init__(self, clients: AwsClients, place: Place, partition: str) -> None:
        self._clients = clients
        self._place = place
        self._arn = place.arn(partition)
        self._cluster, _, self._service = place.name.partition("/")
        self.text = place.text

    def look(self) -> Look:
        """See `Resource.look`."""
        found = self._describe()
        current = _short(found["taskDefinition"])
        primary: dict[str, Any] = next((one for one in found["deployments"] if one["status"] == "PRIMARY"), {})
        fields: Fields = {
            "desired": int(found["desiredCount"]),
            "task_definition": current,
            "previous_task_definition": self._previous(current),
            "deployment": str(primary.get("id", "")),
        }
        failed = f"its roll-out failed: {primary.get('rolloutStateReason', '')}"
        return Look(
            fields=fields,
            marks=marks_of((tag["key"], tag["value"]) for tag in found.get("tags", [])),
            waits_for=_waits_for(found),
            failed=failed if primary.get("rolloutState") == "FAILED" else "",
        )

    def wanted(self, action: Action, fields: Fields) -> Fields:
        """See `Resource.wanted`."""
        match action.type:
            case "ecs_scale":
                return {"desired": action.params["desired"]}
            case "ecs_redeploy":
                return {"deployment": NEW}
            case "ecs_rollback":
                if not fields["previous_task_definition"]:
                    raise RefusedError("history", f"{fields['task_definition']} is the first revision that is active")
                return {"task_definition": fields["previous_task_definition"]}
            case "ecs_deploy":
                return {"task_definition": self._same_family(str(action.params["task_definition"]), fields)}
            case _:
                raise no_such_action(action, self.text)

    def rehearse(self, action: Action) -> None:
        """ECS cannot be asked; what would refuse the change for sure is looked for."""
        found = self._describe()
        if found.get("status") != "ACTIVE":
            raise PermanentError(f"aws: {self.text} is {found.get('status')}")
        controller = found.get("deploymentController", {}).get("type", "ECS")
        if controller != "ECS" and action.type != "ecs_scale":
            raise RefusedError("controller", f"{self.text} is deployed by {controller}, not by ECS")
        if found.get("schedulingStrategy") == "DAEMON" and action.type == "ecs_scale":
            raise RefusedError("controller", f"{self.text} runs one task per machine; it has no desired count")

    def mark(self, marks: Mapping[str, str]) -> None:
        """See `Resource.mark`."""
        tags = [{"key": f"{PREFIX}{key}", "value": value} for key, value in marks.items()]
        with told(f"TagResource {self.text}"):
            self._writing().tag_resource(resourceArn=self._arn, tags=tags)

    def act(self, action: Action, wanted: Fields) -> None:
        """See `Resource.act`."""
        request: dict[str, Any] = {"cluster": self._cluster, "service": self._service}
        match action.type:
            case "ecs_scale":
                request["desiredCount"] = wanted["desired"]
            case "ecs_redeploy":
                request["forceNewDeployment"] = True
            case _:
                request["taskDefinition"] = wanted["task_definition"]
        with told(f"UpdateService {self.text}"):
            self._writing().update_service(**request)

    def undo(self, action: Action, before: Fields) -> tuple[str, dict[str, Scalar]] | None:
        """See `Resource.undo`."""
        match action.type:
            case "ecs_scale":
                return "ecs_scale", {"desired": before["desired"]}
            case "ecs_rollback" | "ecs_deploy":
                return "ecs_deploy", {"task_definition": before["task_definition"]}
            case _:
                return None

    def _describe(self) -> dict[str, Any]:
        with told(f"DescribeServices {self.text}"):
            answer = self._reading().describe_services(
                cluster=self._cluster, services=[self._service], include=["TAGS"]
            )
        if not answer["services"]:
            reasons = ", ".join(failure.get("reason", "") for failure in answer["failures"])
            raise PermanentError(f"aws: {self.text} is not there ({reasons})")
        found: dict[str, Any] = answer["services"][0]
        return found

    def _previous(self, current: str) -> str:
        """The highest active revision below the current one; empty when there is none."""
        family, revision = _split(current)
        pages = self._reading().get_paginator("list_task_definitions")
        lower = []
        with told(f"ListTaskDefinitions {family}"):
            for page in pages.paginate(familyPrefix=family, status="ACTIVE", sort="DESC"):
                revisions = [_split(_short(arn)) for arn in page["taskDefinitionArns"]]
                lower = [number for name, number in revisions if name == family and number < revision]
                if lower:
                    break
        return f"{family}:{max(lower)}" if lower else ""

    def _same_family(self, name: str, fields: Fields) -> str:
        if _split(name)[0] != _split(str(fields["task_definition"]))[0]:
            raise RefusedError("family", f"{name} is not of the family that {self.text} runs")
        return name

    def _reading(self) -> Any:
        return self._clients.reading(self._place.account, self._place.region, "ecs")

    def _writing(self) -> Any:
        return self._clients.writing(self._place.account, self._place.region, "ecs")


def _waits_for(found: Mapping[str, Any]) -> str:
    """What AWS's own waiter `services_stable` waits for."""
    running, desired, deployments = found["runningCount"], found["desiredCount"], len(found["deployments"])
    if running == desired and deployments == 1:
        return ""
    more = f", {deployments} deployments" if deployments > 1 else ""
    return f"{running} of {desired} tasks run{more}"


def _short(name: str) -> str:
    """`family:revision`, from that or from an ARN."""
    return name.rpartition("/")[2]


def _split(name: str) -> tuple[str, int]:
    family, _, revision = name.partition(":")
    return family, int(revision or 0)
