"""Answers from Slack over Socket Mode: the same code as over HTTP, whatever the connection does."""

import time
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import pytest

from api.app import create_app
from api.parts import ApiParts
from api.settings import ApiSettings
from api.slack_socket import SlackSocket
from remediation.notifiers.slack_card import render_card
from remediation.notifiers.slack_sender import facts_of
from sentinel.approvals import Choice
from sentinel.errors import TransientError
from sentinel.slack_blocks import APPROVE, DETAILS, REJECT
from sentinel.slack_settings import SlackSettings
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.migrate import migrate
from sentinel.stores.sql.stores import SqlStores
from tests.api.conftest import Clock
from tests.contracts.sql.samples import incident, request
from tests.services.slack_double import APP_TOKEN, TOKEN, SlackDouble

pytestmark = pytest.mark.slow
ANN, VERA, GONE = "U0ANN", "U0VERA", "U0GONE"


@pytest.fixture
def slack():
    double = SlackDouble()
    for user in (ANN, VERA):
        double.add_user(user)
    double.add_user(GONE, deleted=True)
    yield double
    double.close()


@pytest.fixture
def parts(slack, tmp_path):
    users = {ANN: "approver", VERA: "viewer", GONE: "admin"}
    values = {"channel": "C0MAIN", "mode": "socket", "token": TOKEN, "app_token": APP_TOKEN, "users": users}
    settings = SlackSettings.model_validate({**values, "base_url": slack.url, "timeout": 2})
    database = Database(f"sqlite:///{tmp_path}/s.db")
    with closing(SqlStores.over(database)) as stores:
        migrate(database)
        stores.incidents.upsert(incident())
        stores.approvals.create(request())
        yield ApiParts(stores=stores, now=Clock(), slack=settings)


@pytest.fixture
def desk(slack, parts):
    socket = SlackSocket(parts.slack, parts)
    with socket.listening():
        slack.sockets.wait_open()
        yield desk_of(slack, parts, socket)


def desk_of(slack, parts, socket):
    message = render_card(facts_of(parts.stores, "inc-1", parts.now()))
    card = {"channel": "C0MAIN", "text": message.text, "blocks": message.blocks}

    def press(action=APPROVE, user=ANN, **how):
        return slack.press(None, card, action, user, **how)

    return SimpleNamespace(slack=slack, parts=parts, stores=parts.stores, socket=socket, card=card, press=press)


def eventually(check, seconds=10.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def actions(stores):
    return [(record.actor, record.action) for record in stores.audit.records()]


def click(user=ANN, action=APPROVE, value=None):
    """A payload that Slack sends again with the same bytes."""
    value = value or "apr-1:" + request().digest
    return {
        "type": "block_actions",
        "user": {"id": user},
        "channel": {"id": "C0MAIN"},
        "trigger_id": "t",
        "actions": [{"type": "button", "action_id": action, "block_id": "b", "value": value}],
    }


def test_a_click_decides_as_it_does_over_http(desk):
    _, answer = desk.press()
    assert answer is None
    eventually(lambda: desk.stores.approvals.decision("apr-1"))
    decision = desk.stores.approvals.decision("apr-1")
    assert (decision.actor, decision.choice) == ("slack:U0ANN", Choice.APPROVE)
    assert actions(desk.stores) == [("slack:U0ANN", "approval.approve")]
    assert desk.socket.check() == "connected"


def test_modals_are_answered_in_the_acknowledgement(desk):
    desk.press(REJECT)
    eventually(lambda: desk.slack.views)
    _, answer = desk.slack.submit(None, desk.slack.views[0], ANN, " ")
    assert answer["response_action"] == "errors"
    desk.slack.submit(None, desk.slack.views[0], ANN, "not on a Friday")
    eventually(lambda: desk.stores.approvals.decision("apr-1"))
    assert desk.stores.approvals.decision("apr-1").reason == "not on a Friday"


@pytest.mark.parametrize("user", ["U0STRANGER", VERA, GONE])
def test_who_has_no_role_decides_nothing(desk, user):
    desk.press(user=user)
    eventually(lambda: desk.slack.ephemeral)
    assert actions(desk.stores) == [(f"slack:{user}", "approval.refused")]
    assert desk.stores.approvals.decision("apr-1") is None


def test_an_envelope_that_comes_again_is_done_once(desk):
    sent, _ = desk.slack.send(None, click(VERA))
    eventually(lambda: desk.slack.ephemeral)
    time.sleep(0.2)
    for _ in range(3):
        desk.slack.sockets.post("interactive", click(VERA), envelope_id=sent)
    desk.slack.sockets.wait_acks(sent, 4)
    desk.slack.send(None, click(VERA))
    assert actions(desk.stores) == [("slack:U0VERA", "approval.refused")]
    assert len(desk.slack.ephemeral) == 1


def test_slack_may_renew_the_connection(desk):
    opened = desk.slack.count("apps.connections.open")
    desk.slack.sockets.refresh()
    eventually(lambda: desk.slack.count("apps.connections.open") == opened + 1)
    eventually(lambda: desk.slack.sockets.open == 1)
    desk.press()
    eventually(lambda: desk.stores.approvals.decision("apr-1"))


def test_what_was_not_acknowledged_comes_again_over_the_next_connection(desk):
    """The connection breaks with an envelope under way: whether it was heard or not, the click counts once."""
    sent, _ = desk.slack.sockets.post("interactive", click())
    desk.slack.sockets.drop()
    desk.slack.sockets.wait_open()
    desk.slack.sockets.wait_acks(sent)
    eventually(lambda: desk.stores.approvals.decision("apr-1"))
    time.sleep(0.2)
    assert actions(desk.stores) == [("slack:U0ANN", "approval.approve")]


def test_slack_has_its_acknowledgement_before_the_work_is_done(desk):
    desk.slack.fail("users.info", "delay", seconds=1.5)
    started = time.monotonic()
    desk.press()
    assert time.monotonic() - started < 1.0
    assert desk.stores.approvals.decision("apr-1") is None
    eventually(lambda: desk.stores.approvals.decision("apr-1"))


@pytest.mark.parametrize("fault", [("error", {"error": "internal_error"}), ("lose", {}), ("status", {"status": 503})])
def test_slack_may_be_away_at_the_start(slack, parts, fault):
    slack.fail("apps.connections.open", fault[0], **fault[1])
    socket = SlackSocket(parts.slack, parts)
    with socket.listening():
        slack.sockets.wait_open()
        desk_of(slack, parts, socket).press(DETAILS, VERA)
        eventually(lambda: slack.views)


def test_a_wrong_token_is_said_and_stops_nothing(slack, parts):
    settings = parts.slack.model_copy(update={"app_token": parts.slack.token})
    socket = SlackSocket(settings, parts)
    with socket.listening():
        time.sleep(0.3)
        with pytest.raises(TransientError, match="clicks are not heard"):
            socket.check()
    assert slack.sockets.open == 0


def test_there_is_no_route_for_slack(parts):
    app = create_app(ApiSettings(), parts)
    with_route = create_app(ApiSettings(), replace(parts, slack=parts.slack.model_copy(update={"mode": "http"})))
    assert not [route for route in app.routes if "slack" in str(getattr(route, "path", ""))]
    assert len(with_route.routes) > len(app.routes)
