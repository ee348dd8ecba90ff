"""A small account in moto: a service of ECS with three revisions, an instance, a group; and executors for them."""

from __future__ import annotations

import time
from functools import cache
from typing import Any
from uuid import uuid4

import boto3.session

from remediation.aws_settings import AwsSettings
from remediation.executors.aws.clients import AwsClients
from remediation.executors.aws.executor import AwsExecutor
from sentinel.plans import Action, Scalar, Target
from tests.contracts.executor_subjects import make
from tests.services.aws_double import AwsDouble

ACCOUNT, REGION = "123456789012", "eu-west-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/sentinel"


class Clock:
    """Wall time of an executor, moved by tests; it starts at real time because credentials really expire."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


class AwsWorld:
    """Objects of its own in the double's account, made without being counted."""

    def __init__(self, double: AwsDouble, clock: Clock) -> None:
        self.double, self.clock = double, clock
        self.name = f"n{uuid4().hex[:8]}"
        self.ec2, self.ecs, self.groups = (self.client(one) for one in ("ec2", "ecs", "autoscaling"))
        self._make_service()
        self.cart = self.target("ecs", f"{self.name}/cart", "cart")
        self.gone = self.target("ecs", f"{self.name}/gone", "gone")
        self._make_machines()
        self.batch = self.target("instance", self.instance, "batch")
        self.web = self.target("group", self.name, "web")
        double.reset()

    def target(self, kind: str, name: str, service: str) -> Target:
        """A target as the catalogue's `resource` gives it."""
        return Target(backend="aws", kind=kind, name=name, namespace=f"{ACCOUNT}:{REGION}", service=service)

    def client(self, service: str) -> Any:
        """Talks to moto itself."""
        return _client(service, self.double.behind)

    def settings(self, **more: Any) -> AwsSettings:
        """The configuration that reaches everything here, through the proxy."""
        values = {
            "accounts": {ACCOUNT: {"role": ROLE, "regions": [REGION]}},
            "endpoint": self.double.url,
            "deadline": 5,
            "settle": 60,
        }
        return AwsSettings.model_validate(values | more)

    def executor(self, watched: boto3.session.Session | None = None, **more: Any) -> AwsExecutor:
        """A new executor, as a new process would have it."""
        settings = self.settings(**more)
        return AwsExecutor(settings, AwsClients(settings, self.clock, watched or session()), self.clock)

    def service(self) -> Any:
        """The service as moto has it."""
        return self.ecs.describe_services(cluster=self.name, services=["cart"])["services"][0]

    def power(self) -> str:
        """The instance's state as moto has it."""
        found = self.ec2.describe_instances(InstanceIds=[self.instance])
        return str(found["Reservations"][0]["Instances"][0]["State"]["Name"])

    def capacity(self) -> int:
        """The group's desired capacity as moto has it."""
        found = self.groups.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])
        return int(found["AutoScalingGroups"][0]["DesiredCapacity"])

    def make_revisions(self) -> str:
        """Three new revisions of the task definition; the name of the newest."""
        for version in (1, 2, 3):
            containers = [{"name": "cart", "image": f"cart:{version}", "memory": 64}]
            made = self.ecs.register_task_definition(family=self.name, containerDefinitions=containers)
            self.newest = str(made["taskDefinition"]["taskDefinitionArn"])
        return self.newest

    def restore(self) -> None:
        """Put everything back as it was made; no faults, nothing counted."""
        if self.power() != "running":
            self.ec2.start_instances(InstanceIds=[self.instance])
        self.groups.set_desired_capacity(AutoScalingGroupName=self.name, DesiredCapacity=2)
        self.ecs.update_service(cluster=self.name, service="cart", desiredCount=3, taskDefinition=self.newest)
        self._unmark()
        self.clock.at = time.time()
        self.double.reset()

    def _unmark(self) -> None:
        names = [f"sentinel:{name}" for name in ("answered", "before", "begun", "key", "rebooted")]
        about = {"ResourceId": self.name, "ResourceType": "auto-scaling-group"}
        self.ecs.untag_resource(resourceArn=self.service()["serviceArn"], tagKeys=names)
        self.ec2.delete_tags(Resources=[self.instance], Tags=[{"Key": name} for name in names])
        self.groups.delete_tags(Tags=[{**about, "Key": name} for name in names])

    def _make_service(self) -> None:
        self.ecs.create_cluster(clusterName=self.name)
        arn = self.make_revisions()
        self.ecs.create_service(cluster=self.name, serviceName="cart", taskDefinition=arn, desiredCount=3)
        # In moto no task runs before the first update.
        self.ecs.update_service(cluster=self.name, service="cart", desiredCount=3)

    def _make_machines(self) -> None:
        image = self.ec2.describe_images()["Images"][0]["ImageId"]
        made = self.ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.micro")
        self.instance = made["Instances"][0]["InstanceId"]
        self.groups.create_launch_configuration(
            LaunchConfigurationName=self.name, ImageId=image, InstanceType="t3.micro"
        )
        self.groups.create_auto_scaling_group(
            AutoScalingGroupName=self.name,
            LaunchConfigurationName=self.name,
            MinSize=1,
            MaxSize=12,
            DesiredCapacity=2,
            AvailabilityZones=[f"{REGION}a"],
        )


@cache
def _client(service: str, url: str) -> Any:
    return session().client(service, region_name=REGION, endpoint_url=url)


@cache
def session() -> boto3.session.Session:
    """Sentinel's own credentials: never those of the machine."""
    return boto3.session.Session(aws_access_key_id="testing", aws_secret_access_key="testing")


def recording(calls: set[str]) -> boto3.session.Session:
    """A session that notes every call that is made with it, by its name in IAM: `ec2:StopInstances`."""

    def note(model: Any, **_: Any) -> None:
        calls.add(f"{model.service_model.endpoint_prefix}:{model.name}")

    made = boto3.session.Session(aws_access_key_id="testing", aws_secret_access_key="testing")
    made.events.register("before-call.*.*", note)
    return made


def deed(target: Target, kind: str, **params: Scalar) -> Action:
    """An action as a plan has it."""
    return make(target, kind, **params)
