"""Snoozing from Slack: who may, for how long at most, and what is written down."""

from contextlib import closing
from types import SimpleNamespace

import pytest

from remediation.notifiers.slack_card import render_card
from remediation.notifiers.slack_sender import facts_of
from sentinel.slack_blocks import SNOOZE
from sentinel.slack_settings import SlackSettings
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.migrate import migrate
from sentinel.stores.sql.stores import SqlStores
from tests.api.test_slack_socket import eventually
from tests.contracts.sql.samples import incident, request
from tests.services.slack_double import SECRET, TOKEN, SlackDouble

pytestmark = pytest.mark.slow
ANN, VERA = "U0ANN", "U0VERA"


@pytest.fixture
def stores(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/s.db")
    with closing(SqlStores.over(database)) as made:
        migrate(database)
        yield made


@pytest.fixture
def desk(serve, stores):
    slack = SlackDouble()
    for user in (ANN, VERA):
        slack.add_user(user)
    values = {"channel": "C0MAIN", "token": TOKEN, "signing_secret": SECRET, "base_url": slack.url}
    api = serve(slack=SlackSettings.model_validate({**values, "users": {ANN: "approver", VERA: "viewer"}}))
    stores.incidents.upsert(incident())
    stores.approvals.create(request(expires_at=1000.0))
    stores.cards.want("C0MAIN", "inc-1", now=1.0)
    message = render_card(facts_of(stores, "inc-1", api.clock.at))
    slack.press(api.url, {"channel": "C0MAIN", "blocks": message.blocks}, SNOOZE, ANN, at=api.clock.at)
    eventually(lambda: slack.views)
    [view] = slack.views

    def snooze(seconds, user=ANN):
        return slack.submit(api.url, view, user, seconds, at=api.clock.at)

    yield SimpleNamespace(api=api, slack=slack, stores=stores, snooze=snooze)
    slack.close()


def audited(desk):
    return [(record.actor, record.action, record.details.get("rule", "")) for record in desk.stores.audit.records()]


def test_it_is_kept_with_who_and_the_card_is_behind(desk):
    assert desk.snooze(300).status_code == 200
    eventually(lambda: desk.stores.snoozes.get("apr-1"))
    snooze = desk.stores.snoozes.get("apr-1")
    assert (snooze.actor, snooze.at, snooze.until) == ("slack:U0ANN", 150.0, 450.0)
    assert audited(desk) == [("slack:U0ANN", "approval.snoozed", "")]
    assert desk.stores.cards.get("C0MAIN", "inc-1").wanted == 2
    assert desk.stores.approvals.get("apr-1").expires_at == 1000.0
    assert facts_of(desk.stores, "inc-1", 449.0).snooze == snooze
    assert facts_of(desk.stores, "inc-1", 450.0).snooze is None


def test_it_never_outlasts_the_question(desk):
    desk.snooze(14400)
    eventually(lambda: desk.stores.snoozes.get("apr-1"))
    assert desk.stores.snoozes.get("apr-1").until == 1000.0


@pytest.mark.parametrize(
    ("seconds", "user", "rule"),
    [(300, VERA, "role"), (300, "U0STRANGER", "role"), (86400, ANN, "snooze"), ("soon", ANN, "snooze")],
)
def test_who_may_not_or_asks_for_another_time_is_told_so(desk, seconds, user, rule):
    desk.snooze(seconds, user)
    eventually(lambda: desk.slack.ephemeral)
    assert "Not snoozed" in desk.slack.ephemeral[0]["text"]
    assert audited(desk) == [(f"slack:{user}", "approval.refused", rule)]
    assert desk.stores.snoozes.get("apr-1") is None


def test_a_question_that_is_over_cannot_be_snoozed(desk):
    desk.api.clock.at = 1000.0
    desk.snooze(300)
    eventually(lambda: desk.slack.ephemeral)
    assert audited(desk) == [("slack:U0ANN", "approval.refused", "closed")]
