"""Pages: who is paged for what, from the worker's own notices, over real HTTP to a double with PagerDuty's rules."""

import pytest

from remediation.notifiers.pagerduty import open_pagerduty
from remediation.notifiers.several import SeveralNotifiers
from sentinel.approvals import Choice
from sentinel.errors import ConfigError
from sentinel.incidents import IncidentStatus
from sentinel.notifications import DeliveryState
from tests.remediation.notif_world import PD_KEY, PD_KEY_0, notice, notification_settings, queues, send
from tests.remediation.world import Notices, alert, bad_deploy, incident, later, settings
from tests.services.pagerduty_double import PagerDutyDouble

ENV = {"PD": PD_KEY, "PD0": PD_KEY_0}


@pytest.fixture(scope="module")
def account():
    double = PagerDutyDouble(PD_KEY, PD_KEY_0)
    yield double
    double.close()


@pytest.fixture
def pager(account, make_world):
    account.reset()
    return lambda config=None, **pages: Paged(account, make_world(config), pages)


class Paged:
    """A world whose worker pages."""

    def __init__(self, double, world, pages, **more):
        self.double, self.world = double, world
        values = {"routing_key_env": "PD", "url": double.enqueue, "deadline": 30, **pages}
        self.settings = notification_settings(pagerduty=values, public_url="https://sentinel.example", **more)
        self.destinations = open_pagerduty(self.settings, ENV)
        self.notifier = queues(world, *self.destinations)
        world.follow = self.notifier.follow
        world.notices = SeveralNotifiers((Notices(), self.notifier))
        world.restart()

    def send(self):
        for one in self.destinations:
            send(self.notifier, one.name)

    def actions(self, key=PD_KEY):
        return [(e["event_action"], e["dedup_key"]) for e in self.events() if e["routing_key"] == key]

    def events(self):
        import json

        return [json.loads(body) for _, _, body in self.double.taken]

    def expire(self):
        """Nobody answers."""
        self.world.clock.at += 901
        self.world.steps()
        self.send()


def test_a_question_is_asked_again_and_then_escalated_by_a_page_that_an_approval_acknowledges_and_the_end_resolves(
    pager,
):
    paged, one = pager(), bad_deploy()
    world = paged.world
    world.open(one)
    paged.send()
    paged.expire()
    assert paged.actions() == []
    paged.expire()
    assert paged.actions() == [("trigger", one.id)]
    page = paged.events()[0]
    [request] = world.pending()
    assert request.asked == 3
    assert page["payload"]["summary"] == "errors at checkout: approval wanted, asked 3 times"
    assert page["payload"]["severity"] == "error"
    assert page["payload"]["source"] == "checkout"
    assert page["payload"]["custom_details"]["approval"] == request.id
    assert page["payload"]["custom_details"]["actions"] == ["rollback fleet//service/checkout"]
    assert {link["href"] for link in page["links"]} == {
        f"https://sentinel.example/api/v1/incidents/{one.id}",
        f"https://sentinel.example/api/v1/approvals/{request.id}",
    }
    world.answer()
    world.steps()
    paged.send()
    assert paged.double.alert(one.id)["status"] == "acknowledged"
    world.windows(one, "normal", "normal", "normal")
    paged.send()
    assert paged.actions()[2:] == []
    world.push(later(one, status=IncidentStatus.RESOLVED, resolved_at=9_900.0))
    world.steps()
    paged.send()
    assert paged.double.alert(one.id)["status"] == "resolved"
    assert [action for action, _ in paged.actions()] == ["trigger", "acknowledge", "resolve"]


def test_a_rejection_acknowledges_too_and_the_run_that_ends_without_a_fix_pages_once(pager):
    paged, one = pager(), bad_deploy()
    paged.world.open(one)
    paged.world.answer(Choice.REJECT)
    paged.world.steps()
    paged.send()
    assert paged.actions() == [("trigger", one.id)]
    assert paged.events()[0]["payload"]["summary"] == "errors at checkout: not fixed (not_executed)"


def test_an_incident_that_gets_worse_while_it_is_acted_on_pages_first(pager):
    paged = pager(page_when=["worse"])
    paged.world.stores.incidents.upsert(bad_deploy())
    paged.notifier.notify(notice(kind="recorded", result="worse"))
    paged.notifier.notify(notice(kind="escalated", key="run-1:1"))
    paged.send()
    assert [event["payload"]["summary"] for event in paged.events()] == [
        "errors at checkout: got worse while it was acted on"
    ]


def test_an_incident_that_lasts_pages_though_its_run_cannot_go_on(pager):
    """The target does not answer: the run is tried again and again, and would tell nobody."""
    paged, one = pager(), bad_deploy()
    paged.world.fleet.down = True
    paged.world.open(one)
    paged.expire()
    assert paged.actions() == []
    paged.world.clock.at += 3600
    paged.send()
    assert paged.actions() == [("trigger", one.id)]
    assert paged.events()[0]["payload"]["summary"] == "errors at checkout: still open"
    paged.world.push(later(one, status=IncidentStatus.RESOLVED))
    paged.world.steps()
    paged.send()
    assert paged.actions()[1:] == [("resolve", one.id)]


def test_an_incident_that_is_over_in_time_pages_nobody_later(pager):
    paged, one = pager(page_when=["lasting"]), bad_deploy()
    paged.world.open(one)
    paged.world.push(later(one, status=IncidentStatus.RESOLVED))
    paged.world.steps()
    paged.world.clock.at += 4000
    paged.send()
    assert paged.double.requests == 0


def test_nobody_answers_at_all(pager):
    paged, one = pager(page_when=["unanswered"], escalate_after=9), bad_deploy()
    paged.world.open(one)
    paged.expire()
    paged.expire()
    assert paged.actions() == []
    paged.expire()
    assert paged.actions() == [("trigger", one.id)]
    assert "nobody answered" in paged.events()[0]["payload"]["summary"]


def test_a_verified_fix_pages_nobody(pager):
    paged, one = pager(), bad_deploy()
    paged.world.open(one)
    paged.world.answer()
    paged.world.steps()
    paged.world.windows(one, "normal", "normal", "normal")
    paged.world.push(later(one, status=IncidentStatus.RESOLVED))
    paged.world.steps()
    paged.send()
    assert paged.world.results(one) == ["verified"]
    assert paged.double.requests == 0


def test_no_runbook_fits_so_a_person_must(pager):
    paged, one = pager(), incident()
    paged.world.open(one)
    paged.send()
    assert paged.actions() == [("trigger", one.id)]


def test_an_incident_that_was_over_before_the_page_went_out_pages_nobody(pager):
    paged, one = pager(), incident()
    paged.world.open(one)
    paged.world.push(later(one, status=IncidentStatus.RESOLVED))
    paged.world.steps()
    paged.send()
    assert paged.actions() == [("resolve", one.id)]
    dropped = paged.world.stores.notifications.find(state=DeliveryState.DROPPED).items
    assert [one.last_error for one in dropped] == ["the incident is over"]


def test_a_replayed_page_opens_no_alert_for_an_incident_that_is_over(pager):
    paged, one = pager(), incident()
    paged.double.fail("status", status=400)
    paged.world.open(one)
    paged.send()
    paged.world.push(later(one, status=IncidentStatus.RESOLVED))
    paged.world.steps()
    paged.send()
    [dead] = paged.world.stores.notifications.find(state=DeliveryState.DEAD).items
    paged.world.stores.notifications.replay([dead.id], actor="ann", reason="x", now=paged.world.clock.at)
    paged.send()
    assert ("trigger", one.id) not in paged.actions()


def test_each_tier_has_its_key_and_its_reasons(pager):
    paged = pager(tiers={0: {"routing_key_env": "PD0", "page_when": ["opened"]}}, page_when=["asked"])
    shop, money = bad_deploy(), incident(alert("payments"), id="inc-0", suspect="payments")
    paged.world.open(shop)
    paged.world.open(money)
    paged.send()
    assert paged.actions(PD_KEY) == [("trigger", "inc-1")]
    assert paged.actions(PD_KEY_0) == [("trigger", "inc-0")]
    paged.world.push(later(money, status=IncidentStatus.RESOLVED), later(shop, status=IncidentStatus.RESOLVED))
    paged.world.steps()
    paged.send()
    assert paged.actions(PD_KEY)[-1] == ("resolve", "inc-1")
    assert paged.actions(PD_KEY_0)[-1] == ("resolve", "inc-0")


def test_a_tier_without_a_key_pages_nobody(pager):
    paged = pager(routing_key_env="", tiers={0: {"routing_key_env": "PD0"}}, page_when=["opened"])
    paged.world.open(bad_deploy())
    paged.send()
    assert paged.double.requests == 0


def test_severities_are_mapped(pager):
    paged = pager(severities={"error": "critical"}, page_when=["opened"])
    paged.world.open(bad_deploy())
    paged.send()
    assert paged.events()[0]["payload"]["severity"] == "critical"


def test_what_pagerduty_loses_repeats_and_delays_is_one_alert(pager):
    paged, one = pager(page_when=["opened"]), bad_deploy()
    for fault in ("lose", "lose_answer", "repeat"):
        paged.double.fail(fault)
    paged.world.open(one)
    for _ in range(4):
        paged.send()
        paged.world.clock.at += 300
    [alerts] = paged.double.alerts.values()
    assert len(alerts) == 1
    ids = {event["payload"]["custom_details"]["notification_id"] for event in paged.events()}
    assert (len(paged.events()), len(ids)) == (3, 1)
    assert not paged.world.stores.notifications.depth("pagerduty", paged.world.clock.at).waiting


def test_a_run_that_fails_by_a_defect_pages(pager, make_world):
    class Broken:
        def plan(self, analysis, failed):
            raise ZeroDivisionError

    paged = pager()
    paged.world.planner = Broken()
    paged.world.restart()
    paged.world.open(bad_deploy())
    paged.send()
    assert paged.events()[0]["payload"]["summary"] == "errors at checkout: Sentinel's run failed"


def test_suggestions_page_where_nothing_may_run(pager):
    paged, one = pager(settings(mode="suggest")), bad_deploy()
    paged.world.open(one)
    paged.send()
    assert paged.actions() == [("trigger", one.id)]


def test_a_key_that_is_not_there_stops_the_start_with_its_place():
    values = notification_settings(pagerduty={"tiers": {0: {"routing_key_env": "NOT_SET"}}})
    with pytest.raises(ConfigError, match=r"tiers.0.routing_key_env: the environment variable NOT_SET is not set"):
        open_pagerduty(values, {})
