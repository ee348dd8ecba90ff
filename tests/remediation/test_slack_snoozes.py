"""A snoozed card is quiet, and nothing else about the question changes."""

import pytest

from sentinel.snoozes import Snooze
from tests.remediation.test_slack_sender import cards, slack, text_of, workspace
from tests.remediation.world import bad_deploy

__all__ = ["cards", "slack", "workspace"]
pytestmark = pytest.mark.slow


@pytest.fixture
def asked(cards):
    cards.world.open(bad_deploy())
    cards.send()
    return cards


def snooze(cards, seconds):
    [request] = cards.world.pending()
    now = cards.world.clock.at
    cards.world.stores.snoozes.add(
        Snooze(request_id=request.id, incident_id="inc-1", actor="slack:U0ANN", at=now, until=now + seconds)
    )
    return request


def told(cards):
    return "\n".join(message["text"] for message in cards.slack.thread(cards.card()["ts"]))


def another_row(cards, name):
    row = cards.world.stores.runs.timeline("inc-1")[0]
    cards.world.stores.runs.tell(
        type(row)(**{**_fields(row), "row_id": name, "kind": name, "at": cards.world.clock.at})
    )
    cards.world.stores.cards.touch("inc-1")


def _fields(row):
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def test_the_thread_is_quiet_and_then_told_all_of_it_with_a_reminder(asked):
    snooze(asked, 600)
    asked.send()
    assert "*Snoozed* by <@U0ANN>" in text_of(asked.card())
    posts = asked.slack.count("chat.postMessage")
    another_row(asked, "meanwhile")
    asked.send()
    assert asked.slack.count("chat.postMessage") == posts
    asked.world.clock.at += 601
    asked.send()
    assert "*Snoozed*" not in text_of(asked.card())
    assert told(asked).count("*meanwhile*") == 1
    assert told(asked).count("still waits for an answer") == 1
    asked.world.stores.cards.touch("inc-1")
    asked.send()
    assert told(asked).count("still waits for an answer") == 1


def test_an_answer_ends_the_quiet(asked):
    snooze(asked, 600)
    another_row(asked, "meanwhile")
    asked.send()
    asked.world.answer()
    asked.world.steps()
    asked.send()
    assert "*Snoozed*" not in text_of(asked.card())
    assert "*meanwhile*" in told(asked)
    assert "*approved*" in told(asked)
    asked.world.clock.at += 601
    asked.send()
    assert "still waits" not in told(asked)


def test_the_question_expires_when_it_would_and_the_next_one_is_heard(asked):
    request = snooze(asked, 800)
    asked.send()
    asked.world.clock.at += 901
    asked.world.steps()
    asked.send()
    assert asked.world.stores.approvals.get(request.id).status == "expired"
    assert "question 2" in text_of(asked.card())
    assert "*Snoozed*" not in text_of(asked.card())
    assert "*expired*" in told(asked)


def test_of_two_senders_one_wakes(asked):
    snooze(asked, 10)
    later = asked.world.clock.at + 11
    assert [asked.world.stores.snoozes.wake(later) for _ in range(2)] == [1, 0]


def test_a_longer_snooze_replaces_a_shorter_one(asked):
    snooze(asked, 10)
    snooze(asked, 600)
    asked.world.clock.at += 11
    asked.send()
    assert "*Snoozed*" in text_of(asked.card())
