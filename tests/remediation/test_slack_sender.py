"""Cards reach Slack once and stay up to date, whatever Slack does. Real HTTP against the double."""

import threading
import time
from dataclasses import replace

import pytest

from api.app import create_app
from api.parts import ApiParts
from api.server import run_api
from api.settings import ApiSettings
from remediation.notifiers.protocol import Notice
from remediation.notifiers.slack import SlackNotifier
from remediation.notifiers.slack_card import render_card
from remediation.notifiers.slack_client import SlackClient
from remediation.notifiers.slack_sender import LEASE, RETRY_REFUSED, facts_of
from sentinel.incidents import IncidentStatus
from sentinel.slack_blocks import APPROVE, REJECT
from sentinel.slack_settings import SlackSettings
from tests.remediation.world import Clock, bad_deploy, later
from tests.services.slack_double import SECRET, TOKEN, SlackDouble
from tests.services.slack_rules import texts

pytestmark = pytest.mark.slow
ANN = "U0ANN"


@pytest.fixture(scope="module")
def workspace():
    double = SlackDouble(("C0MAIN", "C0CART"))
    yield double
    double.close()


@pytest.fixture
def slack(workspace):
    for kept in (workspace.messages, workspace.ephemeral, workspace.views, workspace.calls, workspace.refused):
        kept.clear()
    workspace.add_user(ANN)
    return workspace


def slack_settings(slack, **more):
    values = {"channel": "C0MAIN", "token": TOKEN, "signing_secret": SECRET, "users": {ANN: "approver"}}
    return SlackSettings.model_validate({**values, "base_url": slack.url, "timeout": 2, "poll": 0.05, **more})


@pytest.fixture
def cards(make_world, slack):
    """A world whose worker tells Slack; `send` lets the senders do all that they can now."""
    return Cards(make_world(), slack)


class Cards:
    def __init__(self, world, slack, **more):
        self.world, self.slack = world, slack
        self.settings = slack_settings(slack, **more)
        self.notifier = world.notices = SlackNotifier(self.settings, world.stores, world.clock)
        world.restart()

    def restart(self):
        """The process died; another one begins."""
        self.notifier = self.world.notices = SlackNotifier(self.settings, self.world.stores, self.world.clock)
        self.world.restart()

    def send(self, channel="C0MAIN"):
        sender = self.notifier.senders[channel]
        while sender.step():
            pass

    def want(self, one, *, urgent=False):
        self.world.stores.incidents.upsert(one)
        request = self.world.pending()[0] if urgent else None
        kind = "asked" if urgent else "recorded"
        self.notifier.notify(Notice(incident_id=one.id, kind=kind, text="", trace_id="", request=request))

    def card(self):
        [card] = self.slack.cards()
        return card


def text_of(message):
    return "\n".join(texts(message["blocks"]))


def test_from_the_question_to_the_verified_fix_by_one_click(cards):
    world, slack, incident = cards.world, cards.slack, bad_deploy()
    world.open(incident)
    cards.send()
    card = cards.card()
    assert card["blocks"][0]["text"]["text"] == "Approval wanted: errors at checkout"
    assert '- version: "1.1.0"\n+ version: "1.0.0"' in text_of(card)
    assert world.fleet.actions == []
    parts = ApiParts(stores=world.stores, now=world.clock, slack=cards.settings)
    stop, urls = threading.Event(), list[str]()
    app = create_app(ApiSettings(), parts)
    server = threading.Thread(target=run_api, args=(app, "127.0.0.1", 0, stop), kwargs={"ready": urls.append})
    server.start()
    try:
        while not urls:
            time.sleep(0.01)
        assert slack.press(urls[0], card, APPROVE, ANN, at=world.clock.at).status_code == 200
        request = world.stores.approvals.find(incident_id=incident.id).items[0]
        while world.stores.approvals.decision(request.id) is None:
            time.sleep(0.01)
    finally:
        stop.set()
        server.join()
    cards.send()
    assert "*Approve* by <@U0ANN>" in text_of(cards.card())
    assert "sentinel_approve" not in str(cards.card()["blocks"])
    world.steps()
    assert world.fleet.actions == [("rollback", "checkout", {})]
    world.windows(incident, "normal", "normal", "normal")
    assert world.results(incident) == ["verified"]
    cards.send()
    assert cards.card()["ts"] == card["ts"]
    assert cards.card()["blocks"][0]["text"]["text"] == "Verified: errors at checkout"
    told = "\n".join(m["text"] for m in slack.thread(card["ts"]))
    assert [told.count(f"*{kind}*") for kind in ("asked", "approved", "verified", "recorded")] == [1, 1, 1, 1]
    assert slack.refused == []


def test_nothing_new_is_no_call(cards):
    cards.world.open(bad_deploy())
    cards.send()
    calls = len(cards.slack.calls)
    cards.world.stores.cards.touch("inc-1")
    cards.send()
    assert len(cards.slack.calls) == calls


def test_a_question_that_is_asked_again_is_on_the_same_card(cards):
    world = cards.world
    world.open(bad_deploy())
    cards.send()
    first = cards.card()["ts"]
    world.clock.at += 901
    world.steps()
    cards.send()
    assert cards.card()["ts"] == first
    assert "question 2" in text_of(cards.card())
    [request] = world.pending()
    assert request.id in str(cards.card()["blocks"])


@pytest.mark.parametrize("fault", ["lose", "lose_answer"])
def test_a_card_whose_answer_was_lost_is_there_once(cards, fault):
    cards.slack.fail("chat.postMessage", fault)
    cards.world.open(bad_deploy())
    cards.send()
    cards.world.clock.at += 10
    cards.send()
    assert len(cards.slack.cards()) == 1
    assert len(cards.slack.thread(cards.card()["ts"])) == 1


def test_a_time_out_is_not_a_second_card(cards):
    cards.slack.fail("chat.postMessage", "delay", seconds=2.5)
    cards.world.open(bad_deploy())
    cards.send()
    assert cards.world.stores.cards.get("C0MAIN", "inc-1").attempts == 1
    time.sleep(1)
    cards.world.clock.at += 10
    cards.send()
    assert len(cards.slack.cards()) == 1


def test_a_reply_whose_answer_was_lost_is_there_once(cards):
    cards.world.open(bad_deploy())
    sender = cards.notifier.senders["C0MAIN"]
    assert sender.step()
    cards.slack.fail("chat.postMessage", "lose_answer")
    cards.send()
    cards.world.clock.at += 10
    cards.send()
    assert len(cards.slack.thread(cards.card()["ts"])) == 1


def test_a_crash_after_the_post_and_before_it_is_written_down_gives_no_second_card(cards):
    world = cards.world
    world.open(bad_deploy())
    card = world.stores.cards.take("C0MAIN", now=world.clock(), lease=LEASE)
    world.stores.cards.update(card, unsure_since=world.clock())
    message = render_card(facts_of(world.stores, "inc-1", world.clock()))
    SlackClient(cards.settings).post("C0MAIN", message, "inc-1")
    cards.restart()
    cards.send()
    assert world.stores.cards.get("C0MAIN", "inc-1").message == ""
    world.clock.at += LEASE
    cards.send()
    assert world.stores.cards.get("C0MAIN", "inc-1").message == cards.card()["ts"]


def test_a_crash_before_the_post_loses_no_question(cards):
    cards.world.open(bad_deploy())
    cards.restart()
    cards.send()
    assert REJECT in str(cards.card()["blocks"])


def test_a_deleted_card_comes_anew_with_its_story(cards):
    cards.world.open(bad_deploy())
    cards.send()
    old = cards.card()["ts"]
    cards.slack.delete("C0MAIN", old)
    cards.world.answer()
    cards.world.steps()
    cards.send()
    assert cards.card()["ts"] != old
    told = "\n".join(m["text"] for m in cards.slack.thread(cards.card()["ts"]))
    assert "*asked*" in told
    assert "*approved*" in told


def test_a_pause_that_slack_wants_holds_up_this_channel_alone(make_world, slack):
    cards = Cards(make_world(), slack, routes=[{"services": ["cart"], "channel": "C0CART"}])
    slack.fail("chat.postMessage", "rate_limit", seconds=30)
    cards.want(bad_deploy())
    cards.want(bad_deploy(id="inc-2", services=("cart",)))
    cards.send("C0MAIN")
    cards.send("C0CART")
    assert slack.cards("C0MAIN") == []
    assert len(slack.cards("C0CART")) == 1
    cards.world.clock.at += 29
    cards.send("C0MAIN")
    assert slack.cards("C0MAIN") == []
    cards.world.clock.at += 2
    cards.send("C0MAIN")
    assert len(slack.cards("C0MAIN")) == 1
    assert slack.count("chat.postMessage") == 2


def test_approvals_go_first(cards):
    cards.world.open(bad_deploy())
    for number in range(2, 6):
        cards.want(bad_deploy(id=f"inc-{number}", detected_at=0.0))
    cards.want(bad_deploy(), urgent=True)
    cards.send()
    posted = [v["metadata"]["event_payload"] for m, v in cards.slack.calls if m == "chat.postMessage"]
    assert posted[0] == {"incident_id": "inc-1"}
    assert [list(payload) for payload in posted] == [["incident_id"]] * 5 + [["rows"]]


def test_what_slack_refuses_is_kept_and_tried_again_later(cards):
    cards.slack.fail("chat.postMessage", "error", error="not_in_channel")
    cards.world.open(bad_deploy())
    cards.send()
    kept = cards.world.stores.cards.get("C0MAIN", "inc-1")
    assert (kept.attempts, kept.behind) == (1, True)
    assert "not_in_channel" in kept.last_error
    cards.world.clock.at += RETRY_REFUSED
    cards.send()
    assert cards.world.stores.cards.get("C0MAIN", "inc-1").last_error == ""
    assert len(cards.slack.cards()) == 1


def test_a_wrong_token_is_refused_and_nothing_is_lost(make_world, slack):
    cards = Cards(make_world(), slack, token="xoxb-old")
    cards.world.open(bad_deploy())
    cards.send()
    assert "invalid_auth" in cards.world.stores.cards.get("C0MAIN", "inc-1").last_error
    assert cards.world.pending()


def test_an_incident_that_recovered_says_so(cards):
    one = bad_deploy()
    cards.world.open(one)
    cards.send()
    cards.world.push(later(one, status=IncidentStatus.RESOLVED, resolved_at=9_900.0))
    cards.world.steps()
    cards.send()
    card = cards.card()
    assert card["blocks"][0]["text"]["text"] == "Not executed: errors at checkout"
    assert "*Superseded*" in text_of(card)


def test_a_card_follows_the_incident_after_the_run(cards):
    """A service joins, long after the question was answered."""
    one = bad_deploy()
    cards.world.open(one)
    cards.send()
    cards.world.push(later(one, services=("checkout", "web")))
    cards.world.steps()
    cards.send()
    assert "checkout, web" in text_of(cards.card())


def test_senders_work_in_the_background_and_one_slow_channel_stops_no_run(make_world, slack):
    cards = Cards(make_world(), slack, routes=[{"services": ["cart"], "channel": "C0CART"}])
    slack.fail("chat.postMessage", "delay", seconds=1.5)
    with cards.notifier.sending():
        started = time.monotonic()
        cards.want(bad_deploy())
        time.sleep(0.2)
        cards.want(bad_deploy(id="inc-2", services=("cart",)))
        assert time.monotonic() - started < 1.0
        while not slack.cards("C0CART"):
            assert time.monotonic() - started < 1.4
            time.sleep(0.01)
        assert slack.cards("C0MAIN") == []
        while not slack.cards("C0MAIN"):
            assert time.monotonic() - started < 5
            time.sleep(0.01)


def test_two_senders_of_one_channel_post_one_card(make_world, slack):
    """Two workers on one database."""
    world = make_world()
    cards = Cards(world, slack)
    other = SlackNotifier(cards.settings, world.stores, Clock(world.clock.at))
    for number in range(10):
        cards.want(replace(bad_deploy(), id=f"inc-{number}"))
    with cards.notifier.sending(), other.sending():
        end = time.monotonic() + 10
        while len(slack.cards()) < 10 and time.monotonic() < end:
            time.sleep(0.02)
    marks = [m["metadata"]["event_payload"]["incident_id"] for m in slack.cards()]
    assert sorted(marks) == [f"inc-{number}" for number in range(10)]
