"""Webhooks from the worker's notices to a receiver that checks every signature, over real HTTP that misbehaves."""

import base64
import hashlib
import hmac
import json

import pytest

from remediation.notifiers.several import SeveralNotifiers
from remediation.notifiers.webhook import open_webhooks
from remediation.notifiers.webhook_signature import signed_headers, signing_key
from sentinel.errors import ConfigError
from sentinel.incidents import IncidentStatus
from sentinel.notifications import DeliveryState
from tests.remediation.notif_world import TOKEN, notification_settings, queues, send
from tests.remediation.world import Notices, bad_deploy, later
from tests.services.webhook_double import SECRET, WebhookDouble

ENV = {"HOOK": SECRET, "TOKEN": TOKEN}


@pytest.fixture(scope="module")
def double():
    found = WebhookDouble()
    yield found
    found.close()


@pytest.fixture
def hooked(double, world, tmp_path):
    double.reset()
    double.now = lambda: world.clock.at

    def build(env=ENV, **hook):
        values = {"url": f"{double.url}/hook", "secret_env": "HOOK", "deadline": 30, **hook}
        settings = notification_settings(webhooks={"ops": values}, allowed_hosts=[double.host])
        notifier = queues(world, *open_webhooks(settings, env))
        world.follow = notifier.follow
        world.notices = SeveralNotifiers((Notices(), notifier))
        world.restart()
        return notifier

    return build


def play(world, one):
    """From the first alert to the end."""
    world.open(one)
    world.answer()
    world.steps()
    world.windows(one, "normal", "normal", "normal")
    world.push(later(one, status=IncidentStatus.RESOLVED))
    world.steps()


def deliver(world, notifier, rounds=12, step=100):
    for _ in range(rounds):
        send(notifier, "webhook-ops")
        world.clock.at += step


STORY = ["opened", "asked", "approved", "recorded", "resolved"]


def test_a_whole_story_arrives_signed_in_order_and_once(hooked, world, double):
    notifier, one = hooked(), bad_deploy()
    play(world, one)
    send(notifier, "webhook-ops")
    assert [event["kind"] for event in double.events] == STORY
    assert len(set(double.ids)) == 5
    asked, recorded = double.events[1], double.events[3]
    assert asked["approval"]["actions"] == ["rollback fleet//service/checkout"]
    assert (recorded["result"], recorded["final"]) == ("verified", True)
    assert double.events[4]["incident"]["status"] == "resolved"
    assert [headers["idempotency-key"] for _, headers, _ in double.taken] == double.ids


@pytest.mark.parametrize("fault", ["lose", "lose_answer", "repeat", "status", "delay"])
def test_nothing_is_lost_and_the_order_is_kept_when_every_other_request_fails(hooked, world, double, fault):
    notifier, one = hooked(), bad_deploy()
    for _ in range(4):
        double.fail(fault, status=500, seconds=0.05)
        double.fail("")
    play(world, one)
    deliver(world, notifier)
    first_times = list(dict.fromkeys(double.ids))
    assert len(first_times) == 5
    assert [event["kind"] for event in double.unique] == STORY
    assert world.stores.notifications.depth("webhook-ops", world.clock.at).waiting == 0


def test_what_a_gateway_held_back_comes_late_and_is_known_by_its_id(hooked, world, double):
    notifier, one = hooked(), bad_deploy()
    double.fail("late", times=2)
    play(world, one)
    deliver(world, notifier, rounds=4, step=20)
    before = len(double.taken)
    double.release()
    assert len(double.taken) == before + 2
    assert [event["kind"] for event in double.unique] == STORY
    double.fail("late")
    notifier.follow(bad_deploy(id="inc-2"))
    deliver(world, notifier, rounds=9)
    before = len(double.taken)
    double.release()
    assert len(double.taken) == before, "a signature of more than five minutes ago counts no more"


def test_every_try_is_signed_anew_with_the_same_body(hooked, world, double):
    notifier = hooked()
    double.fail("lose_answer", times=2)
    world.stores.incidents.upsert(bad_deploy())
    notifier.follow(bad_deploy())
    deliver(world, notifier)
    assert len(double.taken) == 3
    assert len({body for *_, body in double.taken}) == 1
    assert len({headers["webhook-signature"] for _, headers, _ in double.taken}) == 3


def test_a_receiver_with_another_secret_takes_nothing(hooked, world, double):
    notifier = hooked({"HOOK": "another-secret-of-24-bytes!"})
    notifier.follow(bad_deploy())
    deliver(world, notifier)
    assert double.taken == []
    [dead] = world.stores.notifications.find(state=DeliveryState.DEAD).items
    assert dead.last_error == "webhook-ops: HTTP 401 bad signature"


def test_only_what_is_wanted_comes(hooked, world, double):
    notifier = hooked(kinds=["asked", "resolved"], services=["check*"])
    play(world, bad_deploy())
    notifier.follow(bad_deploy(id="inc-2", services=("cart",)))
    deliver(world, notifier)
    assert [event["kind"] for event in double.events] == ["asked", "resolved"]


def test_a_template_and_headers_by_reference(hooked, world, double, tmp_path):
    file = tmp_path / "ops.json"
    file.write_text('{"summary": "{{ incident.title }}", "key": "{{ id }}"}')
    notifier = hooked(template=str(file), headers_env={"Authorization": "TOKEN"})
    notifier.follow(bad_deploy())
    deliver(world, notifier)
    [(_, headers, body)] = double.taken
    assert json.loads(body) == {"summary": "errors at checkout", "key": double.ids[0]}
    assert headers["authorization"] == TOKEN


def test_the_signature_is_the_standards_own():
    """The example of https://github.com/standard-webhooks/standard-webhooks (libraries' test vector)."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    headers = signed_headers(signing_key(secret, "x"), "msg_p5jXN8AQM9LWM0D4loKWxJek", body, 1614265330.7)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


def test_id_time_and_body_are_all_signed():
    key = signing_key(SECRET, "x")
    one = signed_headers(key, "ntf-1", b"{}", 100.0)["webhook-signature"]
    others = [("ntf-2", b"{}", 100.0), ("ntf-1", b"{ }", 100.0), ("ntf-1", b"{}", 101.0)]
    assert one not in [signed_headers(key, *other)["webhook-signature"] for other in others]
    mac = hmac.digest(key, b"ntf-1.100.{}", hashlib.sha256)
    assert one == f"v1,{base64.b64encode(mac).decode()}"


@pytest.mark.parametrize("secret", ["short", "whsec_c2hvcnQ=", "whsec_no base64!"])
def test_a_weak_or_broken_secret_stops_the_start_and_is_not_shown(secret):
    values = {"url": "http://127.0.0.1:1/x", "secret_env": "HOOK"}
    settings = notification_settings(webhooks={"ops": values}, allowed_hosts=["127.0.0.1:1"])
    with pytest.raises(ConfigError, match=r"webhooks.ops.secret_env") as error:
        open_webhooks(settings, {"HOOK": secret})
    assert secret.removeprefix("whsec_") not in str(error.value)
