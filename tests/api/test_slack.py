"""Answers from Slack over real HTTP: who may decide what, once, and what the audit says of it. On both databases."""

import time
from types import SimpleNamespace

import pytest

from remediation.notifiers.slack_card import render_card
from remediation.notifiers.slack_sender import facts_of
from sentinel.approvals import ApprovalStatus, Choice, Role
from sentinel.slack_blocks import APPROVE, DETAILS, REJECT, button_value
from sentinel.slack_settings import SlackSettings
from tests.api.conftest import KEYS
from tests.contracts.sql.samples import DIGEST, incident, request
from tests.contracts.sql.threads import at_once
from tests.remediation.test_slack_card import STEP
from tests.services.slack_double import SECRET, TOKEN, SlackDouble

pytestmark = pytest.mark.slow
ANN, BOB, VERA, GONE = "U0ANN", "U0BOB", "U0VERA", "U0GONE"
ROLES = {ANN: "approver", BOB: "approver", VERA: "viewer", GONE: "admin", "U0ROBOT": "admin"}


@pytest.fixture(scope="module")
def workspace():
    """One double for all tests of the file; each begins with an empty one."""
    double = SlackDouble(("C0MAIN", "C0ELSE"))
    yield double
    double.close()


@pytest.fixture
def slack(workspace):
    for kept in (workspace.messages, workspace.ephemeral, workspace.views, workspace.calls, workspace.users):
        kept.clear()
    for user in (ANN, BOB, VERA):
        workspace.add_user(user)
    workspace.add_user(GONE, deleted=True)
    workspace.add_user("U0ROBOT", is_bot=True)
    return workspace


@pytest.fixture
def desk(serve, slack):
    """The API with Slack, a pending request, and its card."""
    settings = SlackSettings.model_validate(
        {"channel": "C0MAIN", "token": TOKEN, "signing_secret": SECRET, "users": ROLES, "base_url": slack.url}
    )
    api = serve(slack=settings)
    api.stores.incidents.upsert(incident())
    api.stores.approvals.create(request())
    message = render_card(facts_of(api.stores, "inc-1", api.clock.at))
    card = {"channel": "C0MAIN", "text": message.text, "blocks": message.blocks}

    def press(action=APPROVE, user=ANN, **how):
        return slack.press(api.url, card, action, user, **{"at": api.clock.at, **how})

    def submit(view, reason, user=ANN, **how):
        return slack.submit(api.url, view, user, reason, **{"at": api.clock.at, **how})

    return SimpleNamespace(api=api, stores=api.stores, slack=slack, press=press, submit=submit, card=card)


def eventually(check, seconds=5.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def actions(stores):
    assert stores.audit.verify().ok
    return [(record.actor, record.action) for record in stores.audit.records() if record.action != "api.login"]


def refusals(stores):
    return [(r.actor, r.details["rule"]) for r in stores.audit.records() if r.action == "approval.refused"]


def payload_of(user, request_id="apr-1"):
    """The same bytes each time: what Slack or a thief sends again."""
    value = button_value(request_id, DIGEST)
    return {
        "type": "block_actions",
        "user": {"id": user},
        "channel": {"id": "C0MAIN"},
        "trigger_id": "t",
        "actions": [{"type": "button", "action_id": APPROVE, "block_id": "b", "value": value}],
    }


def wait_for_refusal(desk):
    """What was refused, once the person was told."""
    eventually(lambda: desk.slack.ephemeral)
    assert desk.stores.approvals.decision("apr-1") is None
    return refusals(desk.stores), desk.slack.ephemeral[-1]


def test_a_click_decides_like_the_api_does(desk):
    desk.stores.cards.want("C0MAIN", "inc-1", now=1.0)
    answer = desk.press()
    assert (answer.status_code, answer.content) == (200, b"")
    eventually(lambda: desk.stores.approvals.decision("apr-1"))
    decision = desk.stores.approvals.decision("apr-1")
    assert (decision.actor, decision.role, decision.choice) == ("slack:U0ANN", Role.APPROVER, Choice.APPROVE)
    assert decision.digest == DIGEST
    assert actions(desk.stores) == [("slack:U0ANN", "approval.approve")]
    assert desk.stores.cards.get("C0MAIN", "inc-1").wanted == 2


def test_a_rejection_asks_why(desk):
    assert desk.press(REJECT).status_code == 200
    eventually(lambda: desk.slack.views)
    [view] = desk.slack.views
    assert desk.submit(view, "not on a Friday").status_code == 200
    eventually(lambda: desk.stores.approvals.decision("apr-1"))
    decision = desk.stores.approvals.decision("apr-1")
    assert (decision.choice, decision.reason, decision.actor) == (Choice.REJECT, "not on a Friday", "slack:U0ANN")
    assert (decision.final, decision.objection) == (False, "not on a Friday")


def test_a_rejection_can_want_no_other_plan(desk):
    desk.press(REJECT)
    eventually(lambda: desk.slack.views)
    desk.submit(desk.slack.views[0], "I take over", ticked=True)
    eventually(lambda: desk.stores.approvals.decision("apr-1"))
    assert desk.stores.approvals.decision("apr-1").final


def test_a_rejection_without_a_reason_stays_open(desk):
    desk.press(REJECT)
    eventually(lambda: desk.slack.views)
    answer = desk.submit(desk.slack.views[0], "  ")
    assert answer.json()["response_action"] == "errors"
    assert desk.stores.approvals.decision("apr-1") is None


def test_details_show_the_whole_request(desk):
    desk.stores.approvals.create(request("apr-2", requested_at=101.0, steps=(STEP,)))
    desk.press(DETAILS, user=VERA, value=button_value("apr-2", DIGEST))
    eventually(lambda: desk.slack.views)
    text = str(desk.slack.views[0]["blocks"])
    assert '- version: "v2"' in text
    for part in (
        "tier 1",
        "undone by deploy",
        "proven when error_ratio",
        "alert, error_ratio",
        "deployed at 890",
    ):
        assert part in text
    assert DIGEST in text
    assert desk.stores.approvals.decision("apr-1") is None


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"secret": "guessed"}, "its signature is wrong"),
        ({"body": b"payload=%7B%7D"}, "its signature is wrong"),
        ({"at": 1000.0 - 301}, "its time stamp is more than 300 s off"),
        ({"at": 1000.0 + 301}, "its time stamp is more than 300 s off"),
        ({"headers": {"X-Slack-Signature": ""}}, "it is not signed"),
        ({"headers": {"X-Slack-Request-Timestamp": "now"}}, "it is not signed"),
    ],
)
def test_what_slack_did_not_sign_now_is_refused(desk, how, reason):
    desk.api.clock.at = 1000.0
    answer = desk.press(**how)
    assert (answer.status_code, answer.json()["rule"], answer.json()["detail"]) == (401, "signature", reason)
    assert actions(desk.stores) == [("unknown", "approval.login_failed")]
    assert desk.stores.approvals.decision("apr-1") is None
    assert not desk.slack.calls


def test_strangers_cannot_fill_the_audit(desk):
    answers = [desk.press(secret="guessed").status_code for _ in range(40)]
    assert answers == [401] * 30 + [429] * 10
    assert len(actions(desk.stores)) == 30


def test_a_replayed_request_is_refused(desk):
    """The same bytes with the same signature, after the first was refused for its user and the user got a role."""
    payload = payload_of(ANN, "apr-2")
    first = desk.slack.send(desk.api.url, payload, at=150.0)
    eventually(lambda: desk.slack.ephemeral)
    desk.stores.approvals.create(request("apr-2"))
    again = desk.slack.send(desk.api.url, payload, at=150.0)
    assert (first.status_code, again.status_code, again.json()["rule"]) == (200, 401, "replayed")
    assert desk.stores.approvals.decision("apr-2") is None


def test_of_one_signature_at_once_one_passes(desk):
    payload = payload_of(ANN)
    answers = at_once(8, lambda _: desk.slack.send(desk.api.url, payload, at=150.0).status_code)
    assert sorted(answers) == [200] + [401] * 7


def test_what_slack_repeats_is_done_once(desk):
    payload = payload_of(VERA)
    assert desk.slack.send(desk.api.url, payload, at=150.0).status_code == 200
    eventually(lambda: desk.slack.ephemeral)
    eventually(lambda: _seen_done(desk))
    same = {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"}
    assert desk.slack.send(desk.api.url, payload, at=150.0, headers=same).status_code == 200
    assert desk.slack.send(desk.api.url, payload, at=151.0, headers=same).status_code == 200
    time.sleep(0.3)
    assert refusals(desk.stores) == [("slack:U0VERA", "role")]
    assert len(desk.slack.ephemeral) == 1


def _seen_done(desk):
    with desk.stores.database.read() as connection:
        return connection.exec_driver_sql("select count(*) from seen_requests where key like 'slack-done%%'").scalar()


@pytest.mark.parametrize("user", ["U0STRANGER", VERA, GONE, "U0ROBOT"])
def test_who_has_no_role_now_decides_nothing(desk, user):
    assert desk.press(user=user).status_code == 200
    refused, told = wait_for_refusal(desk)
    assert refused == [(f"slack:{user}", "role")]
    assert (told["user"], told["channel"]) == (user, "C0MAIN")


def test_a_user_who_is_deactivated_meanwhile_loses_the_role(desk):
    desk.slack.users[ANN]["deleted"] = True
    desk.press()
    assert wait_for_refusal(desk)[0] == [("slack:U0ANN", "role")]


def test_nobody_has_a_role_while_slack_does_not_answer(desk):
    desk.slack.fail("users.info", "status", status=503)
    desk.press()
    eventually(lambda: desk.slack.ephemeral)
    assert "Not recorded" in desk.slack.ephemeral[0]["text"]
    assert desk.stores.approvals.decision("apr-1") is None
    desk.press()
    eventually(lambda: desk.stores.approvals.decision("apr-1"))


def test_an_answer_counts_in_the_channels_of_the_configuration_alone(desk):
    desk.press(channel="C0ELSE")
    assert wait_for_refusal(desk)[0] == [("slack:U0ANN", "channel")]


def test_a_modal_that_came_from_another_channel_does_not_count(desk):
    desk.press(REJECT, channel="C0ELSE")
    eventually(lambda: desk.slack.ephemeral)
    assert not desk.slack.views


def test_an_expired_question_takes_no_answer(desk):
    desk.api.clock.at = 200.0
    desk.press()
    assert wait_for_refusal(desk)[0] == [("slack:U0ANN", "expired")]


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (button_value("apr-1", "0" * 64), "wrong_digest"),
        (button_value("apr-9", DIGEST), "unknown_request"),
        ("approve everything", "unknown_request"),
    ],
)
def test_a_button_counts_for_its_request_and_digest(desk, value, rule):
    desk.press(value=value)
    assert wait_for_refusal(desk)[0] == [("slack:U0ANN", rule)]


def test_the_second_click_is_told_so(desk):
    desk.press()
    eventually(lambda: desk.stores.approvals.decision("apr-1"))
    desk.press(user=BOB)
    eventually(lambda: desk.slack.ephemeral)
    assert "already approved" in desk.slack.ephemeral[0]["text"]
    assert desk.stores.approvals.decision("apr-1").actor == "slack:U0ANN"


def test_slack_and_the_api_at_once_give_one_decision(desk):
    def answer(number):
        if number % 2:
            return desk.press(user=ANN if number % 4 == 1 else BOB).status_code
        with desk.api.http(Role.APPROVER) as http:
            body = {"choice": "reject", "digest": DIGEST, "reason": "no"}
            return http.post("/api/v1/approvals/apr-1/decision", json=body).status_code

    answers = at_once(12, answer)
    decision = desk.stores.approvals.decision("apr-1")
    eventually(lambda: len(actions(desk.stores)) == 12)
    taken = [action for _, action in actions(desk.stores) if action != "approval.refused"]
    assert taken == [f"approval.{decision.choice.value}"]
    assert answers[1::2] == [200] * 6
    assert sum(status == 200 for status in answers[0::2]) == (decision.actor == "the-approver")


def test_slack_has_its_answer_before_the_work_is_done(desk):
    desk.slack.fail("users.info", "delay", seconds=2.0)
    started = time.monotonic()
    assert desk.press().status_code == 200
    assert time.monotonic() - started < 1.0
    assert desk.stores.approvals.decision("apr-1") is None
    eventually(lambda: desk.stores.approvals.decision("apr-1"))


def test_a_click_with_the_largest_card_is_not_too_large(desk):
    large = {**desk.card, "padding": "ü" * 40_000}
    assert desk.slack.press(desk.api.url, large, APPROVE, ANN, at=150.0).status_code == 200
    eventually(lambda: desk.stores.approvals.decision("apr-1"))


def test_without_slack_there_is_no_route(serve, slack):
    api = serve()
    assert slack.send(api.url, {"type": "block_actions"}, at=150.0).status_code == 404
    assert api.stores.approvals.find(status=ApprovalStatus.APPROVED).items == ()


def test_keys_of_the_api_open_nothing_here(desk):
    answer = desk.press(secret="guessed", headers={"Authorization": f"Bearer {KEYS[Role.ADMIN]}"})
    assert answer.status_code == 401
