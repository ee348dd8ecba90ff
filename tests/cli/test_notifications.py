"""`sentinel notifications`: what waits, what is dead and why, and sending it again; templates that stop the start."""

import time

import pytest

from remediation.notifiers.protocol import Notice
from remediation.notifiers.queue_events import life_notice, make_event
from sentinel.catalogue import ServiceCatalogue
from sentinel.cli import bootstrap
from sentinel.cli.settings import load_settings
from sentinel.errors import ConfigError
from sentinel.notifications import DeliveryState
from tests.cli.running import configuration, parsed, sentinel, stores_of
from tests.contracts.sql import samples
from tests.services.pagerduty_double import PagerDutyDouble
from tests.services.webhook_double import SECRET, WebhookDouble


@pytest.fixture
def config(tmp_path):
    """Two dead notifications for `webhook-ops` and one for `pagerduty` that waits."""
    config = configuration(tmp_path)
    with stores_of(config) as stores:
        for number in (1, 2):
            put(stores, "webhook-ops", f"inc-{number}")
            taken = stores.notifications.take("webhook-ops", now=2000.0, lease=10.0)
            assert taken is not None
            stores.notifications.finish(taken, DeliveryState.DEAD, now=2000.0, reason="HTTP 400 [bold]no[/bold]")
        put(stores, "pagerduty", "inc-1")
    return config


def put(stores, destination, incident_id):
    one = samples.incident(incident_id)
    stores.notifications.put(destination, make_event(life_notice(one), one, ServiceCatalogue(), 1000.0))


def test_the_worker_tells_what_the_configuration_says(tmp_path, monkeypatch):
    """From the file to the receiver, by the wiring that the worker has."""
    double = WebhookDouble()
    monkeypatch.setenv("HOOK", SECRET)
    try:
        hook = {"url": double.url, "secret_env": "HOOK"}
        told = {"webhooks": {"ops": hook}, "allowed_hosts": [double.host], "queue": {"poll": 0.05}}
        settings = load_settings(configuration(tmp_path, notifications=told))
        with bootstrap.sql_of(settings) as stores:
            stores.incidents.upsert(samples.incident())
            queues = bootstrap._queues(settings, stores)
            with bootstrap._telling(settings, stores, queues) as notifier:
                queues.follow(samples.incident())
                notifier.notify(Notice(incident_id="inc-1", kind="asked", text="?", trace_id="a" * 32, key="q1"))
                end = time.monotonic() + 20
                while len(double.taken) < 2 and time.monotonic() < end:
                    time.sleep(0.02)
        assert [event["kind"] for event in double.events] == ["opened", "asked"]
    finally:
        double.close()


@pytest.fixture
def places():
    found = PagerDutyDouble("R0KEY"), WebhookDouble()
    yield found
    for one in found:
        one.close()


def test_a_destination_is_tried_out_with_what_it_wants(tmp_path, places):
    pager, receiver = places
    told = {
        "pagerduty": {"tiers": {0: {"routing_key_env": "PD"}}, "url": pager.enqueue},
        "webhooks": {"ops": {"url": receiver.url, "secret_env": "HOOK", "kinds": ["asked"]}},
        "allowed_hosts": [receiver.host],
    }
    config = configuration(tmp_path, notifications=told)
    env = {"PD": "R0KEY", "HOOK": SECRET}
    done = sentinel("-c", config, "notifications", "try", "pagerduty-tier-0", env=env)
    assert done.stdout.strip() == "pagerduty-tier-0 took: asked, resolved"
    [[alert]] = pager.alerts.values()
    assert alert["status"] == "resolved"
    assert sentinel("-c", config, "notifications", "try", "webhook-ops", env=env).exit_code == 0
    assert [event["incident"]["kind"] for event in receiver.events] == ["trial"]
    receiver.fail("status", status=403)
    refused = sentinel("-c", config, "notifications", "try", "webhook-ops", env=env)
    assert (refused.exit_code, "HTTP 403" in refused.stderr) == (1, True)
    receiver.fail("lose")
    assert sentinel("-c", config, "notifications", "try", "webhook-ops", env=env).exit_code == 4
    unknown = sentinel("-c", config, "notifications", "try", "ops", env=env)
    assert (unknown.exit_code, "webhook-ops" in unknown.stderr) == (2, True)


def test_a_secret_that_is_not_there_stops_the_worker_not_the_command_line(tmp_path, monkeypatch):
    monkeypatch.delenv("HOOK", raising=False)
    told = {"webhooks": {"ops": {"url": "https://h.example", "secret_env": "HOOK"}}, "allowed_hosts": ["h.example"]}
    config = configuration(tmp_path, notifications=told)
    assert sentinel("-c", config, "notifications", "list").exit_code == 0
    settings = load_settings(config)
    with bootstrap.sql_of(settings) as stores, pytest.raises(ConfigError, match="HOOK is not set"):
        bootstrap._queues(settings, stores)


def states(config):
    with stores_of(config) as stores:
        return sorted((one.destination, one.state.value) for one in stores.notifications.find().items)


def test_lists_show_state_and_reason(config):
    shown = sentinel("-c", config, "notifications", "list", env={"COLUMNS": "250"}).stdout
    assert "HTTP 400 [bold]no[/bold]" in shown
    assert "pagerduty" in shown
    only = parsed(sentinel("-c", config, "notifications", "list", "--state", "waiting", "--json"))
    assert [(one["destination"], one["event"]["kind"]) for one in only] == [("pagerduty", "opened")]
    assert parsed(sentinel("-c", config, "notifications", "list", "--incident", "inc-2", "--json"))[0]["attempts"] == 1


def test_dead_ones_are_the_exit_code(config):
    done = sentinel("-c", config, "notifications", "dead", "--json")
    assert (done.exit_code, len(parsed(done))) == (1, 2)
    assert sentinel("-c", config, "notifications", "dead", "--destination", "pagerduty").exit_code == 0


def test_replay_by_id(config):
    dead = parsed(sentinel("-c", config, "notifications", "dead", "--json"))
    done = sentinel("-c", config, "notifications", "replay", dead[0]["id"], "--reason", "key renewed")
    assert (done.exit_code, done.stdout.strip()) == (0, "1 of 1 are sent again")
    again = sentinel("-c", config, "notifications", "replay", dead[0]["id"], "-r", "once more")
    assert again.exit_code == 1
    assert dead[0]["id"] in again.stderr
    with stores_of(config) as stores:
        [record] = stores.audit.records()
        assert record.actor.startswith("cli:")
        assert (record.action, record.target, record.reason) == ("notification.replayed", "webhook-ops", "key renewed")


def test_replay_of_a_destination(config):
    done = sentinel(
        "-c", config, "notifications", "replay", "--destination", "webhook-ops", "-r", "it is back", "--json"
    )
    assert len(parsed(done)) == 2
    assert states(config) == [("pagerduty", "waiting"), ("webhook-ops", "waiting"), ("webhook-ops", "waiting")]


def test_replay_wants_to_know_what_and_why(config):
    assert sentinel("-c", config, "notifications", "replay", "-r", "x").exit_code == 2
    assert sentinel("-c", config, "notifications", "replay", "ntf-1", "--destination", "a", "-r", "x").exit_code == 2
    assert sentinel("-c", config, "notifications", "replay", "--destination", "webhook-ops").exit_code == 2
    assert sentinel("-c", config, "notifications", "replay", "--destination", "webhook-ops", "-r", " ").exit_code == 3


def test_check_reads_templates_beside_the_configuration_and_names_the_line(tmp_path):
    webhooks = {"ops": {"url": "https://h.example/s3cret", "secret_env": "HOOK", "template": "ops.yaml"}}
    config = configuration(tmp_path, notifications={"webhooks": webhooks, "allowed_hosts": ["h.example"]})
    (tmp_path / "ops.yaml").write_text('a: 1\ntext: "{{ titel }}"\n')
    done = sentinel("check", config)
    assert done.exit_code == 2
    assert f"{tmp_path / 'ops.yaml'}:2: there is no value 'titel'" in done.stderr.replace("\n", "")
    (tmp_path / "ops.yaml").write_text('text: "{{ text }}"\n')
    done = sentinel("check", config, "--json")
    assert done.exit_code == 0, done.stderr
    assert "s3cret" not in done.stdout
