"""AWS's subjects for the suite of executors: a service of ECS, an instance, an Auto Scaling group."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.contracts.executor_subjects import Fixture, Subject
from tests.remediation.aws.world import AwsWorld, Clock, deed
from tests.services.aws_double import serve_aws


@contextmanager
def _world(fixture: Fixture) -> Iterator[AwsWorld]:
    with serve_aws(fixture("moto_port")) as double:
        yield AwsWorld(double, Clock(time.time()))


@contextmanager
def ecs(fixture: Fixture) -> Iterator[Subject]:
    """A service of ECS."""
    with _world(fixture) as world:
        cart = world.cart
        redeploy = deed(cart, "ecs_redeploy")
        yield Subject(
            executor=world.executor(),
            target=cart,
            stranger=world.gone,
            unknown="is not there",
            deed=redeploy,
            final=(redeploy,),
            changes=tuple((deed(cart, "ecs_scale", desired=count), {"desired": count}) for count in (9, 6)),
            undone=(deed(cart, "ecs_scale", desired=11), deed(cart, "ecs_rollback")),
            kept=("desired", "task_definition"),
        )


@contextmanager
def group(fixture: Fixture) -> Iterator[Subject]:
    """An Auto Scaling group."""
    with _world(fixture) as world:
        web = world.web
        yield Subject(
            executor=world.executor(),
            target=web,
            stranger=replace(web, name="gone"),
            unknown="is not there",
            deed=deed(web, "asg_scale", capacity=4),
            final=(),
            changes=tuple((deed(web, "asg_scale", capacity=count), {"capacity": count}) for count in (9, 6)),
            undone=(deed(web, "asg_scale", capacity=11),),
            kept=("capacity",),
        )


@contextmanager
def instance(fixture: Fixture) -> Iterator[Subject]:
    """An EC2 instance."""
    with _world(fixture) as world:
        batch = world.batch
        reboot, stop, start = (deed(batch, kind) for kind in ("ec2_reboot", "ec2_stop", "ec2_start"))
        yield Subject(
            executor=world.executor(),
            target=batch,
            stranger=replace(batch, name="i-0123456789abcdef0"),
            unknown="InvalidInstanceID.NotFound",
            deed=reboot,
            final=(reboot,),
            changes=((stop, {"power": "stopped"}), (start, {"power": "running"})),
            undone=(stop,),
            kept=("power",),
        )
