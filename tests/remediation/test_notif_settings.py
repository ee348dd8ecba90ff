"""Configuration of the queues: what cannot be meant is refused at the start, with its line and without a secret."""

import pytest

from remediation.notifiers.delivery_settings import NotificationSettings
from sentinel.config_files import parse_text, validate
from sentinel.errors import ConfigError

HOOK = "webhooks:\n  ops:\n    url: {url}\n    secret_env: HOOK\nallowed_hosts: [{hosts}]\n"


def read(text):
    from pathlib import Path

    return validate(parse_text(text, Path("sentinel.yaml"), {}), NotificationSettings)


def hook(url, hosts="hooks.example"):
    return read(HOOK.format(url=url, hosts=hosts))


def test_as_shipped_nothing_is_told():
    assert not NotificationSettings().on
    assert hook("https://hooks.example/x").on
    assert read("pagerduty: {tiers: {0: {routing_key_env: PD}}}").on


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://hooks.example/x?y=1", "hooks.example"),
        ("https://HOOKS.example:443/x", "hooks.example"),
        ("https://hooks.example:8443/x", '"hooks.example:8443"'),
        ("http://127.0.0.1:99/x", '"127.0.0.1:99"'),
        ("http://localhost/x", "localhost"),
    ],
)
def test_hosts_that_are_listed_may_be_reached(url, hosts):
    assert hook(url, hosts).on


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://evil.example/s3cret", "goes to 'evil.example', which is not in notifications.allowed_hosts"),
        ("https://hooks.example:8443/s3cret", "goes to 'hooks.example:8443'"),
        ("https://hooks.example.evil.example/s3cret", "allowed_hosts"),
        ("https://hooks.example@evil.example/s3cret", "neither user and password"),
        ("https://evil.example#s3cret.hooks.example", "fragment"),
        ("http://hooks.example/s3cret", "must be https"),
        ("http://169.254.169.254/s3cret", "must be https"),
        ("file:///etc/s3cret", "must be an https URL"),
        ("https:///s3cret", "with a host"),
        ("https://[s3cret", "is not a URL"),
        ("https://hooks.example:s3cret/", "is not a URL"),
    ],
)
def test_others_are_refused_with_the_line_and_without_the_url(url, said):
    with pytest.raises(ConfigError) as error:
        hook(url)
    assert said in str(error.value)
    assert str(error.value).startswith("sentinel.yaml:")
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("webhooks: {ops: {url: 'https://h.example', secret_env: X, kinds: [resolved]}}", "alone never comes"),
        ("webhooks: {ops: {url: 'https://h.example', secret_env: X, headers_env: {Webhook-Id: A}}}", "webhook-id cannot"),
        ("webhooks: {ops: {url: 'https://h.example', secret_env: 'no name'}}", "sentinel.yaml:1"),
        ("webhooks: {Ops: {url: 'https://h.example', secret_env: X}}", "sentinel.yaml:1"),
        ("pagerduty: {routing_key: R0}", "unknown key 'pagerduty.routing_key'; did you mean 'routing_key_env'"),
        ("pagerduty: {tiers: {7: {routing_key_env: PD}}}", "sentinel.yaml:1"),
        ("pagerduty: {url: 'http://events.pagerduty.com/'}", "must be https"),
        ("public_url: https://x.example/", "public_url"),
        ("queue: {max_attempts: 0}", "max_attempts"),
    ],
)  # fmt: skip
def test_mistakes_are_told(text, said):
    with pytest.raises(ConfigError) as error:
        read(text)
    assert said in str(error.value)
