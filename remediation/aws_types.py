"""What can be done in AWS, with its bounds and risks. Joined to the catalogue; `executors/aws/` does it."""

from __future__ import annotations

from remediation.action_types import ActionType, IntegerParam, TextParam
from sentinel.plans import Risk

BACKEND = "aws"
"""The backend of every target in AWS."""

AWS_TYPES = (
    ActionType(
        name="ec2_reboot",
        text="reboot the instance; what it holds in memory is lost, and nothing undoes it",
        params={},
        risk=Risk.MEDIUM,
        expected_downtime=120.0,
        backend=BACKEND,
    ),
    ActionType(
        name="ec2_stop",
        text="stop the instance until it is started again",
        params={},
        risk=Risk.HIGH,
        expected_downtime=600.0,
        inverse="ec2_start",
        backend=BACKEND,
    ),
    ActionType(
        name="ec2_start",
        text="start the stopped instance",
        params={},
        risk=Risk.LOW,
        expected_downtime=0.0,
        inverse="ec2_stop",
        backend=BACKEND,
    ),
    ActionType(
        name="ecs_redeploy",
        text="replace every task of the ECS service by a new one of the same task definition; nothing undoes it",
        params={},
        risk=Risk.LOW,
        expected_downtime=20.0,
        backend=BACKEND,
    ),
    ActionType(
        name="ecs_scale",
        text="change the desired number of tasks of the ECS service",
        params={"desired": IntegerParam(low=1, high=100)},
        risk=Risk.LOW,
        expected_downtime=0.0,
        inverse="ecs_scale",
        backend=BACKEND,
    ),
    ActionType(
        name="ecs_rollback",
        text="put the previous task definition of the ECS service back",
        params={},
        risk=Risk.MEDIUM,
        expected_downtime=30.0,
        inverse="ecs_deploy",
        backend=BACKEND,
    ),
    ActionType(
        name="ecs_deploy",
        text="put a named task definition of the same family in place",
        params={"task_definition": TextParam(pattern=r"[A-Za-z0-9_-]{1,255}:[0-9]{1,9}")},
        risk=Risk.HIGH,
        expected_downtime=30.0,
        inverse="ecs_deploy",
        plannable=False,
        backend=BACKEND,
    ),
    ActionType(
        name="asg_scale",
        text="change the desired capacity of the Auto Scaling group",
        params={"capacity": IntegerParam(low=1, high=100)},
        risk=Risk.LOW,
        expected_downtime=0.0,
        inverse="asg_scale",
        backend=BACKEND,
    ),
)
"""Every action type of AWS."""
