"""What every notifier and every destination of a queue promises, over real HTTP where they call out."""

import io
import re
from pathlib import Path

import pytest

from remediation.notifiers.console import ConsoleNotifier
from remediation.notifiers.delivery import PauseError
from remediation.notifiers.delivery_http import pause_of
from remediation.notifiers.pagerduty import open_pagerduty
from remediation.notifiers.queue import open_destinations
from remediation.notifiers.several import SeveralNotifiers
from remediation.notifiers.slack import SlackNotifier
from remediation.notifiers.webhook import open_webhooks
from sentinel import logs
from sentinel.canonical import plain
from sentinel.errors import PermanentError, TransientError
from sentinel.notifications import DeliveryState, Notification, NotificationKind
from sentinel.slack_settings import SlackSettings
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.migrate import migrate
from sentinel.stores.sql.stores import SqlStores
from tests.contracts.sql import samples
from tests.contracts.sql.test_notifications import ASKED, event
from tests.remediation.notif_world import PD_KEY, TOKEN, Obedient, notice, notification_settings, queues, send
from tests.remediation.world import Clock
from tests.services.pagerduty_double import PagerDutyDouble
from tests.services.webhook_double import SECRET, WebhookDouble

ROOT = Path(__file__).parents[2]
NOW = 1_700_000_000.0
ENV = {"PD": PD_KEY, "HOOK": SECRET, "TOKEN": TOKEN}


class Known:
    """What notifiers write to: stores with one incident."""

    def __init__(self, folder):
        database = Database(f"sqlite:///{folder}/sentinel.db")
        migrate(database)
        self.stores, self.clock = SqlStores.over(database), Clock()
        self.stores.incidents.upsert(samples.incident())


@pytest.fixture
def known(tmp_path):
    found = Known(tmp_path)
    yield found
    found.stores.close()


def nowhere():
    """A webhook to a port where nobody listens."""
    url = "http://127.0.0.1:9/hook"
    hook = {"url": url, "secret_env": "HOOK", "deadline": 1}
    return open_webhooks(notification_settings(webhooks={"ops": hook}, allowed_hosts=["127.0.0.1:9"]), ENV)[0]


def slack(known):
    values = {"channel": "C0MAIN", "token": "xoxb-x", "signing_secret": "s", "base_url": "http://127.0.0.1:9/api/"}
    return SlackNotifier(SlackSettings.model_validate(values), known.stores, known.clock)


NOTIFIERS = {
    "console": lambda _known: ConsoleNotifier(),
    "slack": slack,
    "queues": lambda known: queues(known, nowhere()),
    "several": lambda known: SeveralNotifiers((ConsoleNotifier(), slack(known), queues(known, nowhere()))),
}
KINDS = (*(kind.value for kind in NotificationKind), "a kind of a later release")


@pytest.mark.parametrize("name", NOTIFIERS)
@pytest.mark.parametrize("kind", KINDS)
def test_any_notice_comes_twice_and_raises_nothing_though_every_destination_is_away(known, name, kind):
    notifier = NOTIFIERS[name](known)
    request = samples.request() if kind in ("asked", "unanswered", "approved", "refused") else None
    for _ in range(2):
        notifier.notify(notice(kind=kind, request=request))
    assert len(known.stores.notifications.find().items) <= 1


def test_every_kind_that_remediation_tells_is_one_that_queues_know():
    """A kind that they do not know would be told in Slack alone."""
    sources = "\n".join(path.read_text() for path in (ROOT / "remediation").glob("*.py"))
    told = set(re.findall(r"""(?:notify|_tell)\(state, "(\w+)\"""", sources)) | set(
        re.findall(r"""Notice\([^)]*kind="(\w+)\"""", sources)
    )
    assert {"asked", "approved", "unanswered", "escalated", "failed", "recorded"} <= told
    assert told <= {kind.value for kind in NotificationKind}


def test_a_notice_of_another_place_is_told_in_every_place(known):
    one, two = Obedient("one"), Obedient("two")
    notifiers = [queues(known, one), queues(known, two)]
    SeveralNotifiers(notifiers).notify(notice())
    send(notifiers[0], "one")
    send(notifiers[1], "two")
    assert len(one.got) == len(two.got) == 1


# --- destinations ----------------------------------------------------------------------------------------------------


class Place:
    """One destination with its double: what it gets is checked by the double's own rules."""

    def __init__(self, double, make, wrong, secrets):
        self.double, self.destination, self.hasty = double, make(double), make(double, deadline=0.7)
        self.wrong, self.secrets = make(double, **wrong), secrets


@pytest.fixture(scope="module")
def pager():
    double = PagerDutyDouble(PD_KEY)
    yield double
    double.close()


@pytest.fixture(scope="module")
def receiver():
    double = WebhookDouble(now=lambda: NOW)
    yield double
    double.close()


def pagerduty_at(double, deadline=30, **env):
    pages = {"routing_key_env": "PD", "url": double.enqueue, "deadline": deadline, "page_when": ["asked"]}
    return open_pagerduty(notification_settings(pagerduty=pages), {**ENV, **env})[0]


def webhook_at(double, deadline=30, **env):
    hook = {"url": f"{double.url}/hook/{TOKEN}", "secret_env": "HOOK", "headers_env": {"X-Token": "TOKEN"}}
    settings = notification_settings(webhooks={"ops": {**hook, "deadline": deadline}}, allowed_hosts=[double.host])
    return open_webhooks(settings, {**ENV, **env})[0]


@pytest.fixture(params=["pagerduty", "webhook"])
def place(request, pager, receiver):
    pager.reset()
    receiver.reset()
    if request.param == "pagerduty":
        return Place(pager, pagerduty_at, {"PD": "R0WRONGKEY"}, (PD_KEY,))
    secrets = (f"{receiver.url}/hook/{TOKEN}", SECRET, TOKEN)
    return Place(receiver, webhook_at, {"HOOK": "another-secret-of-24-bytes"}, secrets)


def waiting(kind=ASKED):
    told = event("inc-1", kind, "apr-1")
    return Notification(
        seq=1, id="ntf-0123456789abcdef", destination="x", event=told, state=DeliveryState.WAITING, attempts=1,
        takes=1, due_at=0.0, created_at=0.0, finished_at=0.0, last_error="",
    )  # fmt: skip


def deliver(destination):
    destination.deliver(waiting(), over=False, now=NOW)


def test_it_is_taken_and_a_repeat_carries_the_same_id(place):
    deliver(place.destination)
    deliver(place.destination)
    assert len(place.double.taken) == 2
    ids = [re.findall(r"ntf-[0-9a-f]{16}", body.decode()) for _, _, body in place.double.taken]
    assert ids[0] == ids[1] == ["ntf-0123456789abcdef"]


def test_it_knows_what_it_wants_before_it_connects(place):
    place.double.fail("lose")
    assert place.destination.wants(waiting().event, frozenset())


@pytest.mark.parametrize("fault", ["lose", "lose_answer", "late"])
def test_no_answer_is_worth_another_try(place, fault):
    place.double.fail(fault)
    with pytest.raises(TransientError):
        deliver(place.destination)


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 504])
def test_a_fault_of_the_server_is_worth_another_try(place, status):
    place.double.fail("status", status=status)
    with pytest.raises(TransientError, match=f"HTTP {status}"):
        deliver(place.destination)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422, 301, 302, 307])
def test_what_is_refused_is_refused_for_good_and_no_redirect_is_followed(place, status):
    place.double.fail("status", status=status, headers={"Location": f"{place.double.url}/elsewhere"})
    with pytest.raises(PermanentError, match=f"HTTP {status}"):
        deliver(place.destination)
    assert place.double.requests == 1


@pytest.mark.parametrize(("status", "seconds"), [(429, "17"), (503, "17")])
def test_a_pause_is_as_long_as_was_asked_for(place, status, seconds):
    place.double.fail("status", status=status, headers={"Retry-After": seconds})
    with pytest.raises(PauseError) as told:
        deliver(place.destination)
    assert told.value.seconds == 17


def test_a_wrong_secret_is_refused_for_good(place):
    with pytest.raises(PermanentError):
        deliver(place.wrong)
    assert place.double.taken == []


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "seconds"), [("delay", 1.5), ("drip", 3.0)])
def test_the_deadline_holds_for_the_whole_call(place, fault, seconds):
    place.double.fail(fault, seconds=seconds)
    with pytest.raises(TransientError, match=r"no answer within 0.7 s"):
        deliver(place.hasty)


@pytest.mark.parametrize("fault", ["echo", "lose", "status"])
def test_no_secret_is_in_an_error_in_a_log_or_in_the_database(place, known, fault):
    """The double echoes all that it got; the queue stores the reason and logs it."""
    place.double.fail(fault, status=500, body=f"no: {' '.join(place.secrets)}", times=2)
    shown = io.StringIO()
    logs.configure(level="debug", stream=shown)
    try:
        notifier = queues(known, place.destination)
        notifier.notify(notice(kind="asked", request=samples.request()))
        send(notifier, place.destination.name)
    finally:
        logs.configure()
    [kept] = known.stores.notifications.find().items
    assert kept.last_error
    everything = shown.getvalue() + str(plain(kept)) + repr(place.destination)
    assert kept.id in everything
    for secret in place.secrets:
        assert secret not in everything


def test_a_retry_after_is_a_number_or_a_date_and_never_more_than_an_hour():
    assert pause_of("120", 0.0) == 120
    assert pause_of("Tue, 14 Nov 2023 22:13:50 GMT", NOW) == 30
    assert pause_of("Tue, 14 Nov 2023 22:13:10 GMT", NOW) == 0
    assert [pause_of(text, 0.0) for text in ("", "soon", "-5", "1e9")] == [60] * 4
    assert pause_of("999999", 0.0) == 3600


def test_all_destinations_of_a_configuration_have_names_of_their_own(pager, receiver):
    settings = notification_settings(
        pagerduty={"routing_key_env": "PD", "tiers": {0: {"routing_key_env": "PD"}}},
        webhooks={name: {"url": receiver.url, "secret_env": "HOOK"} for name in ("a", "b")},
        allowed_hosts=[receiver.host],
    )
    names = [one.name for one in open_destinations(settings, ENV)]
    assert names == ["pagerduty-tier-0", "pagerduty", "webhook-a", "webhook-b"]
