"""The kill switch from Slack: who may turn it, over HTTP and over the socket, and what is written down."""

from contextlib import closing
from types import SimpleNamespace

import pytest

from api.parts import ApiParts
from api.slack_commands import read_command
from api.slack_socket import SlackSocket
from sentinel.slack_settings import SlackSettings
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.migrate import migrate
from sentinel.stores.sql.stores import SqlStores
from tests.api.conftest import Clock
from tests.api.test_slack_socket import eventually
from tests.services.slack_double import APP_TOKEN, SECRET, TOKEN, SlackDouble

pytestmark = pytest.mark.slow
ANN, ADA, VERA, GONE = "U0ANN", "U0ADA", "U0VERA", "U0GONE"
ROLES = {ANN: "approver", ADA: "admin", VERA: "viewer", GONE: "admin"}


@pytest.fixture(scope="module")
def workspace():
    double = SlackDouble(("C0MAIN", "C0ELSE"))
    yield double
    double.close()


@pytest.fixture
def slack(workspace):
    for kept in (workspace.messages, workspace.ephemeral, workspace.calls, workspace.users):
        kept.clear()
    for user in (ANN, ADA, VERA):
        workspace.add_user(user)
    workspace.add_user(GONE, deleted=True)
    return workspace


@pytest.fixture
def stores(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/s.db")
    with closing(SqlStores.over(database)) as made:
        migrate(database)
        yield made


@pytest.fixture
def type_it(request, slack, stores, serve):
    """`type_it(TEXT, USER)`, over HTTP where a test does not choose."""
    mode = getattr(request, "param", "http")
    values = {"channel": "C0MAIN", "token": TOKEN, "users": ROLES, "base_url": slack.url, "mode": mode}
    settings = SlackSettings.model_validate({**values, "signing_secret": SECRET, "app_token": APP_TOKEN})
    if mode == "http":
        api = serve(slack=settings)
        yield lambda text, user, **how: slack.command(api.url, text, user, at=api.clock.at, **how)
        return
    with SlackSocket(settings, ApiParts(stores=stores, now=Clock(), slack=settings)).listening():
        slack.sockets.wait_open()
        yield lambda text, user, **how: slack.command(None, text, user, **how)


@pytest.fixture
def room(slack, stores, type_it):
    return SimpleNamespace(slack=slack, stores=stores, type=type_it)


def told(room):
    eventually(lambda: room.slack.ephemeral)
    return room.slack.ephemeral[-1]["text"]


def actions(stores):
    return [(record.actor, record.action) for record in stores.audit.records()]


@pytest.mark.parametrize("type_it", ["http", "socket"], indirect=True)
def test_an_approver_stops_everything_and_an_admin_lets_it_go_on(room):
    room.type("kill on the database is on fire", ANN)
    eventually(lambda: room.stores.kill_switch.read().on)
    switch = room.stores.kill_switch.read()
    assert (switch.actor, switch.reason) == ("slack:U0ANN", "the database is on fire")
    eventually(room.slack.cards)
    assert "*Kill switch on* by <@U0ANN>: the database is on fire" in room.slack.cards()[0]["text"]
    room.type("kill off it was a drill", ADA)
    eventually(lambda: not room.stores.kill_switch.read().on)
    assert actions(room.stores) == [("slack:U0ANN", "kill_switch.on"), ("slack:U0ADA", "kill_switch.off")]


def test_in_a_hurry_no_reason_is_needed(room):
    room.type("KILL ON", ANN)
    eventually(lambda: room.stores.kill_switch.read().on)
    assert room.stores.kill_switch.read().reason == "in Slack, without a reason"


@pytest.mark.parametrize(
    ("text", "user", "why"),
    [
        ("kill on now", VERA, "kill on needs approver"),
        ("kill off now", ANN, "kill off needs admin"),
        ("kill off", ADA, "say why"),
        ("kill on", GONE, "is deactivated"),
        ("kill on", "U0STRANGER", "has no role"),
        ("kill status", "U0STRANGER", "has no role"),
    ],
)
def test_who_may_not_is_told_so_and_it_is_in_the_audit(room, text, user, why):
    on = text.startswith("kill off")
    room.stores.kill_switch.turn(on=on, actor="test", reason="as before", now=1.0)
    room.type(text, user)
    assert why in told(room)
    assert room.stores.kill_switch.read().on == on
    assert actions(room.stores)[1:] == [(f"slack:{user}", "kill_switch.refused")]


@pytest.mark.parametrize("type_it", ["http", "socket"], indirect=True)
def test_a_command_in_another_channel_does_not_count(room):
    room.type("kill on", ANN, channel="C0ELSE")
    assert "do not count" in told(room)
    assert not room.stores.kill_switch.read().on


def test_how_it_stands_and_what_can_be_typed(room):
    room.stores.kill_switch.turn(on=True, actor="ann", reason="<!channel> fire", now=1.0)
    room.type("kill status", VERA)
    assert told(room) == "The kill switch is on, by ann: &lt;!channel&gt; fire"
    room.type("", VERA)
    eventually(lambda: len(room.slack.ephemeral) == 2)
    assert "/sentinel kill on [reason]" in told(room)


def test_a_command_that_slack_did_not_send_turns_nothing(serve, slack, stores):
    values = {"channel": "C0MAIN", "token": TOKEN, "users": ROLES, "base_url": slack.url, "signing_secret": SECRET}
    api = serve(slack=SlackSettings.model_validate(values))
    answer = slack.command(api.url, "kill on", ANN, at=api.clock.at, secret="guessed")
    assert answer.status_code == 401
    assert not stores.kill_switch.read().on


@pytest.mark.parametrize(
    ("text", "verb"),
    [("", ""), ("kill", ""), ("kill everything", ""), ("on", ""), ("kill\x00 on", "on"), ("Kill ON", "on")],
)
def test_what_is_a_command(text, verb):
    assert read_command({"text": text, "user_id": ANN, "channel_id": "C0MAIN"}).verb == verb
