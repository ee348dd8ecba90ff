"""The same key never acts twice: whatever becomes of calls and answers, and however often the process is a new one."""

from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel.errors import PermanentError, TransientError
from tests.remediation.aws.world import deed
from tests.services.aws_double import KINDS

TYPES = {
    "ec2_reboot": ("RebootInstances", "CreateTags"),
    "ec2_stop": ("StopInstances", "CreateTags"),
    "ecs_redeploy": ("UpdateService", "TagResource"),
    "ecs_rollback": ("UpdateService", "TagResource"),
    "ecs_scale": ("UpdateService", "TagResource"),
    "asg_scale": ("SetDesiredCapacity", "CreateOrUpdateTags"),
}
"""Action type to the call that acts and the call that marks."""


def action(world, kind):
    match kind:
        case "ecs_scale":
            return deed(world.cart, kind, desired=5)
        case "asg_scale":
            return deed(world.web, kind, capacity=5)
        case "ecs_redeploy" | "ecs_rollback":
            return deed(world.cart, kind)
        case _:
            return deed(world.batch, kind)


def insist(world, wanted, version, key, tries=12, same_process=False):
    """Apply as a worker does: again after each transient error, in a new process each time; the answer or the error."""
    executor = world.executor()
    error: Exception | None = None
    for _ in range(tries):
        try:
            return executor.apply(wanted, version, key), executor
        except TransientError as again:
            error = again
            world.clock.at += 7
        except PermanentError as final:
            return final, executor
        if not same_process:
            executor.close()
            executor = world.executor()
    return error, executor


@pytest.mark.parametrize("same_process", [True, False], ids=["same", "new"])
@pytest.mark.parametrize("kind", TYPES)
def test_a_lost_answer_is_followed_by_no_second_act(world, kind, same_process):
    call, _ = TYPES[kind]
    wanted = action(world, kind)
    version = world.executor().observe(wanted.target).resource_version
    world.double.faults[call] = ["", "lost"] if call.endswith("Instances") else ["lost"]  # the first one is the dry run
    answer, executor = insist(world, wanted, version, f"key-{kind}-{same_process}", same_process=same_process)
    assert world.double.effects == {call: 1}
    assert answer.changed
    problem = executor.verify_applied(wanted, answer)
    assert ("nobody knows" in problem) if kind == "ec2_reboot" else problem == ""


@pytest.mark.parametrize("fault", ["throttle", "unsent", "error"])
@pytest.mark.parametrize("kind", TYPES)
def test_what_did_not_happen_is_done_later_where_that_is_safe(world, kind, fault):
    call, _ = TYPES[kind]
    wanted = action(world, kind)
    version = world.executor().observe(wanted.target).resource_version
    world.double.faults[call] = ["", fault] if call.endswith("Instances") else [fault]
    answer, executor = insist(world, wanted, version, f"key-{kind}-{fault}")
    unknown = kind in ("ec2_reboot", "ecs_redeploy") and fault != "throttle"
    if not unknown:
        assert world.double.effects == {call: 1}
        assert executor.verify_applied(wanted, answer) == ""
    else:
        # Nobody can tell this from a lost answer, so it is not sent again, and said.
        assert world.double.effects == {}
        said = str(answer) if isinstance(answer, Exception) else executor.verify_applied(wanted, answer)
        assert "does not show" in said or "nobody knows" in said


@pytest.mark.parametrize("same_process", [True, False], ids=["same", "new"])
@pytest.mark.parametrize("kind", ["ec2_reboot", "ecs_redeploy"])
def test_what_would_act_twice_is_not_sent_again_however_late_aws_shows_it(world, kind, same_process):
    call, _ = TYPES[kind]
    wanted = action(world, kind)
    version = world.executor().observe(wanted.target).resource_version
    world.double.faults[call] = ["", "lost"] if call.endswith("Instances") else ["lost"]
    world.double.stale = 5
    insist(world, wanted, version, f"stale-{kind}-{same_process}", same_process=same_process)
    assert world.double.effects == {call: 1}


@pytest.mark.parametrize("kind", ["ec2_stop", "ecs_scale", "asg_scale"])
def test_what_does_not_show_at_once_is_waited_for(world, kind):
    call, _ = TYPES[kind]
    wanted = action(world, kind)
    executor = world.executor()
    version = executor.observe(wanted.target).resource_version
    world.double.stale = 2
    for _ in range(2):
        with pytest.raises(TransientError, match="does not show yet"):
            executor.apply(wanted, version, f"late-{kind}")
        world.clock.at += 2
    assert executor.apply(wanted, version, f"late-{kind}").changed
    assert world.double.effects == {call: 1}


def test_tags_that_do_not_show_yet_hold_the_act_back(world):
    """Nothing has been sent, so it is done later, also what is never sent twice."""
    executor = world.executor()
    wanted = deed(world.cart, "ecs_redeploy")
    version = executor.observe(world.cart).resource_version
    before = world.double.seen["DescribeServices"]
    world.double.replaced["DescribeServices"] = ["", "", before.decode()]
    with pytest.raises(TransientError, match=r"tags of .* do not show yet"):
        executor.apply(wanted, version, "late-tags")
    assert world.double.effects.total() == 0
    world.clock.at += 7
    assert executor.apply(wanted, version, "late-tags").changed
    assert world.double.effects == {"UpdateService": 1}


@pytest.mark.parametrize("kind", TYPES)
def test_an_answer_is_the_same_in_a_new_process(world, kind):
    wanted = action(world, kind)
    version = world.executor().observe(wanted.target).resource_version
    first = world.executor().apply(wanted, version, f"again-{kind}")
    again = world.executor().apply(wanted, version, f"again-{kind}")
    assert again == first
    assert world.double.effects.total() == 1


FAULTS = st.lists(st.sampled_from(["", *KINDS]), max_size=3)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(sorted(TYPES)),
    acting=FAULTS,
    marking=FAULTS,
    looking=st.lists(st.sampled_from(["", "", "denied", "expired", "lost"]), max_size=3),
    same_process=st.booleans(),
)
def test_no_sequence_of_faults_acts_twice(world, kind, acting, marking, looking, same_process):
    world.restore()
    call, mark = TYPES[kind]
    wanted = action(world, kind)
    version = world.executor().observe(wanted.target).resource_version
    looks = {"UpdateService": "DescribeServices", "SetDesiredCapacity": "DescribeAutoScalingGroups"}
    world.double.faults = {call: acting, mark: marking, looks.get(call, "DescribeInstances"): looking}
    answer, executor = insist(world, wanted, version, f"key-{kind}-{uuid4().hex}", same_process=same_process)
    assert world.double.effects.total() <= 1
    world.double.faults.clear()
    if not isinstance(answer, Exception) and executor.verify_applied(wanted, answer) == "":
        assert world.double.effects.total() == 1
