"""The pure half: revisions as the controller counts them, images of the same repository, requests below limits."""

import copy

import pytest

from remediation.executors.kubernetes.edits import Surroundings, edit
from remediation.executors.kubernetes.quantities import amount
from remediation.executors.kubernetes.records import Record, find_record, with_record, without_record
from remediation.executors.kubernetes.rollouts import Progress, judge, worst_off
from remediation.executors.kubernetes.states import differences, revision_of, state_of
from remediation.executors.protocol import TargetState
from sentinel.errors import PermanentError
from tests.remediation.kubernetes.world import action
from tests.services.kube_cluster import deployment

NOTHING = Surroundings((), (), 1_700_000_000.0)


def live(image="registry.local/shop/app:1", revision=1, **changes):
    thing = deployment("shop", "web", image=image, **changes)
    thing["metadata"] |= {"uid": "0123456789", "generation": 4}
    thing["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": str(revision)}
    return thing


def replica_set(image, revision, created="2026-01-01T00:00:00Z"):
    thing = copy.deepcopy(live(image, revision))
    thing["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] = f"hash-{revision}"
    thing["metadata"] |= {"creationTimestamp": created, "name": f"web-{revision}"}
    return thing


OLD, NEW = replica_set("registry.local/shop/app:1", 1), replica_set("registry.local/shop/app:2", 2)


@pytest.mark.parametrize(
    ("image", "revision"), [("shop/app:2", 2), ("shop/app:1", 3), ("shop/app:3", 3)], ids=["same", "earlier", "new"]
)
def test_the_revision_that_the_controller_will_give(image, revision):
    assert revision_of(live(f"registry.local/{image}", revision=2), [OLD, NEW]) == revision


def test_a_paused_roll_out_gets_no_revision_before_it_goes_on():
    thing = live("registry.local/shop/app:3", revision=2, paused=True)
    assert revision_of(thing, [OLD, NEW]) == 2


@pytest.mark.parametrize(
    ("present", "tag", "wanted"),
    [
        ("app:1", "2", "app:2"),
        ("app", "2", "app:2"),
        ("host:5000/shop/app:1", "v1.2_3-rc", "host:5000/shop/app:v1.2_3-rc"),
        ("host:5000/shop/app", "2", "host:5000/shop/app:2"),
        (f"host/app:1@sha256:{'a' * 64}", f"sha256:{'b' * 64}", f"host/app@sha256:{'b' * 64}"),
        (f"host/app@sha256:{'a' * 64}", "2", "host/app:2"),
    ],
)
def test_an_image_keeps_its_repository(present, tag, wanted):
    made = edit(live(present), action("set_image", "web", container="app", tag=tag), NOTHING)
    assert made["spec"]["template"]["spec"]["containers"][0]["image"] == wanted


@pytest.mark.parametrize("tag", ["evil/app:1", "1@sha256:0", "", "a b", "../x", "1\n"])
def test_a_tag_names_no_other_image(tag):
    with pytest.raises(PermanentError, match="tag must match"):
        action("set_image", "web", container="app", tag=tag)


@pytest.mark.parametrize(("mebibytes", "request_"), [(512, "128Mi"), (64, "64Mi")])
def test_a_request_comes_down_with_its_limit(mebibytes, request_):
    made = edit(live(), action("set_memory", "web", container="app", mebibytes=mebibytes), NOTHING)
    resources = made["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources["limits"]["memory"] == f"{mebibytes}Mi"
    assert resources["requests"] == {"cpu": "100m", "memory": request_}


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("1500m", 1.5), ("2k", 2000), ("1Ki", 1024), ("0.5Gi", 2**29)])
def test_amounts(text, value):
    assert float(amount(text)) == value


def test_an_edit_leaves_what_it_was_given():
    thing = live()
    before = copy.deepcopy(thing)
    edit(thing, action("restart", "web"), NOTHING)
    assert thing == before


def test_the_version_follows_the_specification_and_the_object_itself():
    one = state_of("deployment", live()).resource_version
    other, again = live(), live()
    other["metadata"]["uid"] = "9876543210"
    again["metadata"]["generation"] += 1
    assert (
        len({one, state_of("deployment", other).resource_version, state_of("deployment", again).resource_version}) == 3
    )


def test_notes_are_found_by_key_and_the_oldest_go():
    state = TargetState(resource_version="1", fields={"replicas": 2, "paused": False, "image.app": "a"})
    thing = live()
    for number in range(5):
        note = Record(key=f"key-{number}", type="scale", at=float(number), before=state, after=state)
        thing = with_record(thing, note)
    assert [bool(find_record(thing, f"key-{number}")) for number in range(5)] == [False, False, True, True, True]
    found = find_record(thing, "key-4")
    assert found is not None
    assert (found.at, found.before) == (4.0, state)
    assert find_record(without_record(thing, "key-4"), "key-4") is None
    thing["metadata"]["annotations"]["aiops-sentinel/actions"] = '[{"key": 1}]'
    assert find_record(thing, "key-3") is None


def test_differences_name_the_place():
    one, other = live(), live("registry.local/shop/app:2")
    places = list(differences(one["spec"], other["spec"], "spec"))
    assert places == [
        "spec.template.spec.containers[app].image: registry.local/shop/app:1 -> registry.local/shop/app:2"
    ]


STATUS = {"observedGeneration": 4, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
LATE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too late"}


@pytest.mark.parametrize(
    ("changes", "progress", "reason"),
    [
        ({}, Progress.DONE, ""),
        ({"observedGeneration": 3}, Progress.GOING, "not seen"),
        ({"updatedReplicas": 1}, Progress.GOING, "1 of 2 replicas are of the new kind"),
        ({"replicas": 3}, Progress.GOING, "1 old replicas"),
        ({"availableReplicas": 1}, Progress.GOING, "1 of 2 replicas are available"),
        ({"availableReplicas": 1, "conditions": [LATE]}, Progress.FAILED, "too late"),
    ],
)
def test_how_far_a_roll_out_is(changes, progress, reason):
    judged = judge({**live(), "status": {**STATUS, **changes}})
    assert judged.progress is progress
    assert reason in judged.reason


def pod(name, *, ready=True, restarts=0, created="2026-01-02T00:00:00Z", **metadata):
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-02T00:00:00Z"}
    status = {"conditions": [condition], "containerStatuses": [{"restartCount": restarts}]}
    return {"metadata": {"name": name, "creationTimestamp": created, **metadata}, "status": status}


def test_which_pod_is_worst_off():
    well, old = pod("well"), pod("old", created="2026-01-01T00:00:00Z")
    often, sick = pod("often", restarts=9), pod("sick", ready=False)
    gone = pod("gone", ready=False, restarts=99, deletionTimestamp="2026-01-03T00:00:00Z")
    assert worst_off([well, old, often, sick, gone]) == sick
    assert worst_off([well, old, often]) == often
    assert worst_off([well, old]) == old
    assert worst_off([gone]) is None
