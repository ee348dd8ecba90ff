"""What the executor waits for, refuses and says: with moto, which calls everything done at once, and with injected lag."""

from dataclasses import replace

import pytest

from remediation.executors.aws.executor import AwsExecutor
from sentinel.errors import PermanentError, RefusedError, TransientError
from tests.remediation.aws.world import deed


def version(executor, target):
    return executor.observe(target).resource_version


@pytest.mark.parametrize(
    ("action", "waiting"),
    [
        (("cart", "ecs_scale", {"desired": 5}), "0 of 5 tasks run"),
        (("cart", "ecs_rollback", {}), "0 of 3 tasks run"),
        (("batch", "ec2_stop", {}), "it is stopping"),
        (("batch", "ec2_reboot", {}), "it is pending"),
        (("web", "asg_scale", {"capacity": 4}), "0 of 4 instances are in service"),
    ],
)
def test_an_action_takes_effect_when_what_it_changed_runs(world, action, waiting):
    target, kind, params = action
    wanted = deed(getattr(world, target), kind, **params)
    executor = world.executor()
    at = version(executor, wanted.target)
    world.double.lag = 3
    for _ in range(2):
        with pytest.raises(TransientError, match=waiting):
            executor.apply(wanted, at, f"lag-{kind}")
        world.clock.at += 20
    ended = world.clock.at
    world.double.lag = 0
    applied = executor.apply(wanted, at, f"lag-{kind}")
    assert applied.effective_at == ended
    assert executor.verify_applied(wanted, applied) == ""
    assert world.double.effects.total() == 1


def test_what_never_runs_is_answered_after_settle_and_not_confirmed(world):
    wanted = deed(world.cart, "ecs_scale", desired=5)
    executor = world.executor(settle=30)
    at = version(executor, world.cart)
    world.double.lag = 100
    with pytest.raises(TransientError):
        executor.apply(wanted, at, "never-runs")
    world.clock.at += 31
    applied = executor.apply(wanted, at, "never-runs")
    assert applied.changed
    assert executor.verify_applied(wanted, applied) == "0 of 5 tasks run"
    assert world.double.effects.total() == 1


def test_status_checks_that_fail_are_waited_for(world):
    executor = world.executor()
    at = version(executor, world.batch)
    world.double.impaired = True
    with pytest.raises(TransientError, match="status checks are impaired"):
        executor.apply(deed(world.batch, "ec2_reboot"), at, "impaired")
    world.double.impaired = False
    assert executor.apply(deed(world.batch, "ec2_reboot"), at, "impaired").changed


def test_a_failed_roll_out_is_said_at_once(world):
    executor = world.executor()
    wanted = deed(world.cart, "ecs_rollback")
    at = version(executor, world.cart)
    world.double.rollout = "FAILED"
    applied = executor.apply(wanted, at, "failed-rollout")
    assert "roll-out failed" in executor.verify_applied(wanted, applied)


@pytest.mark.parametrize("mark", ["TagResource", "UpdateService"])
def test_a_change_between_look_and_act_is_drift(world, mark):
    executor = world.executor()
    at = version(executor, world.cart)

    def somebody():
        world.ecs.update_service(cluster=world.name, service="cart", desiredCount=8)

    if mark == "TagResource":
        world.double.meanwhile[mark] = somebody
    else:
        somebody()
    with pytest.raises(RefusedError) as refused:
        executor.apply(deed(world.cart, "ecs_scale", desired=5), at, f"drift-{mark}")
    assert refused.value.rule == "drift"
    assert world.double.effects.total() == 0
    assert world.service()["desiredCount"] == 8


@pytest.mark.parametrize("acts", [True, False], ids=["marks-and-acts", "only-marks"])
def test_of_two_that_act_at_once_the_first_to_mark_stands_back(world, acts):
    """The second comes between the first's mark and its last look."""
    first, second = world.executor(), world.executor()
    at = version(first, world.web)

    def other():
        if acts:
            second.apply(deed(world.web, "asg_scale", capacity=5), at, "second")
        else:
            about = {"ResourceId": world.name, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": False}
            world.groups.create_or_update_tags(Tags=[{**about, "Key": "sentinel:key", "Value": "second"}])

    between = world.double.meanwhile
    between["CreateOrUpdateTags"] = lambda: between.update(DescribeAutoScalingGroups=other)
    with pytest.raises(RefusedError) as refused:
        first.apply(deed(world.web, "asg_scale", capacity=4), at, "first")
    assert refused.value.rule == "drift"
    assert "second" in str(refused.value)
    assert world.double.effects.total() == acts
    assert world.capacity() == (5 if acts else 2)


def test_the_rollback_goes_to_the_highest_active_revision_below(world):
    executor = world.executor()
    assert executor.dry_run(deed(world.cart, "ecs_rollback")).after["task_definition"] == f"{world.name}:2"
    world.ecs.deregister_task_definition(taskDefinition=f"{world.name}:2")
    assert executor.dry_run(deed(world.cart, "ecs_rollback")).after["task_definition"] == f"{world.name}:1"
    world.ecs.deregister_task_definition(taskDefinition=f"{world.name}:1")
    with pytest.raises(RefusedError, match="first revision"):
        executor.dry_run(deed(world.cart, "ecs_rollback"))
    world.make_revisions()


@pytest.mark.parametrize(
    ("target", "kind", "params", "rule"),
    [
        ("web", "asg_scale", {"capacity": 13}, "bounds"),
        ("web", "ecs_redeploy", {}, "catalogue"),
        ("cart", "ec2_reboot", {}, "catalogue"),
        ("batch", "asg_scale", {"capacity": 2}, "catalogue"),
        ("cart", "ecs_deploy", {"task_definition": "other:1"}, "family"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_touched(world, target, kind, params, rule):
    executor = world.executor()
    wanted = deed(getattr(world, target), kind, **params)
    at = version(executor, wanted.target)
    for act in (lambda: executor.dry_run(wanted), lambda: executor.apply(wanted, at, f"misfit-{kind}")):
        with pytest.raises(RefusedError) as refused:
            act()
        assert refused.value.rule == rule
    assert world.double.effects.total() == 0
    assert not {"TagResource", "CreateTags", "CreateOrUpdateTags"} & set(world.double.calls)


def test_an_instance_of_a_group_is_not_stopped(world):
    found = world.groups.describe_auto_scaling_groups(AutoScalingGroupNames=[world.name])["AutoScalingGroups"][0]
    member = replace(world.batch, name=found["Instances"][0]["InstanceId"])
    with pytest.raises(RefusedError, match="would replace it"):
        world.executor().dry_run(deed(member, "ec2_stop"))


def test_a_suspended_group_is_left_alone(world):
    world.groups.suspend_processes(AutoScalingGroupName=world.name, ScalingProcesses=["Launch"])
    with pytest.raises(RefusedError, match="Launch is suspended"):
        world.executor().dry_run(deed(world.web, "asg_scale", capacity=4))
    world.groups.resume_processes(AutoScalingGroupName=world.name, ScalingProcesses=["Launch"])


def test_ec2_is_asked_whether_it_would_allow_it(world):
    world.double.faults["StopInstances"] = ["denied"]
    with pytest.raises(RefusedError) as refused:
        world.executor().dry_run(deed(world.batch, "ec2_stop"))
    assert refused.value.rule == "iam"
    assert world.power() == "running"


def test_a_stopped_instance_cannot_be_rebooted(world):
    world.ec2.stop_instances(InstanceIds=[world.instance])
    with pytest.raises(RefusedError, match="cannot be rebooted"):
        world.executor().dry_run(deed(world.batch, "ec2_reboot"))


def test_what_cannot_be_undone_or_was_out_of_bounds_has_no_inverse(world):
    executor = world.executor()
    before = executor.observe(world.cart)
    assert executor.inverse(deed(world.cart, "ecs_redeploy"), before) is None
    none = replace(before, fields={**before.fields, "desired": 0})
    assert executor.inverse(deed(world.cart, "ecs_scale", desired=2), none) is None


def test_tags_that_somebody_else_wrote_stop_the_run(world):
    executor = world.executor()
    at = version(executor, world.web)
    about = {"ResourceId": world.name, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": False}
    forged = [{**about, "Key": f"sentinel:{key}", "Value": value} for key, value in (("key", "k"), ("before", "1 2"))]
    world.groups.create_or_update_tags(Tags=forged)
    with pytest.raises(PermanentError, match="not what Sentinel wrote"):
        executor.apply(deed(world.web, "asg_scale", capacity=4), at, "k")


def test_describing_needs_no_call(world):
    executor: AwsExecutor = world.executor()
    text = executor.describe(deed(world.cart, "ecs_scale", desired=5))
    assert "desired=5" in text
    assert "ECS service" in text
    assert world.double.calls == []
