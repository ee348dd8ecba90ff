"""Configuration of what is told beside Slack: PagerDuty, webhooks, and how their queues deliver.

Secrets stand in environment variables; the configuration names the variables, so that a file, a dump of the settings or a
log holds none of them.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from sentinel.alerts import Severity
from sentinel.config import Section
from sentinel.notifications import NotificationKind

Positive = Annotated[float, Field(gt=0)]
"""A number above zero."""
EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""The name of an environment variable."""
Reason = Literal["opened", "asked", "unanswered", "worse", "lasting", "unresolved"]
"""Why somebody is paged."""
Tier = Annotated[int, Field(ge=0, le=4)]
"""A tier of the service catalogue."""

STANDARD_KINDS = tuple(NotificationKind)
_WEB_PORTS = {"http": 80, "https": 443}


def _check_url(name: str, url: str) -> None:
    """Raise ValueError, without showing the URL, for one that is no plain `https` (or, on the loopback, `http`) URL."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(f"{name} is not a URL") from None
    if parts.scheme not in _WEB_PORTS or not parts.hostname:
        raise ValueError(f"{name} must be an https URL with a host")
    if parts.username is not None or parts.fragment:
        raise ValueError(f"{name} must hold neither user and password nor a fragment")
    if parts.scheme == "http" and not _loopback(parts.hostname):
        raise ValueError(f"{name} must be https; http is for the loopback alone")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host(url: str) -> str:
    parts = urlsplit(url)
    usual = parts.port in (None, _WEB_PORTS.get(parts.scheme))
    return (parts.hostname or "") if usual else f"{parts.hostname}:{parts.port}"


class QueueSettings(Section):
    """How the queue of each destination delivers. Times are wall seconds."""

    poll: float = Field(default=0.5, gt=0, le=60)
    """Longest pause until something that another process queued, or that is due again, is looked for. Default 0.5."""
    max_attempts: int = Field(default=20, ge=1)
    """Tries after which a notification is dead. Default 20: with the pauses below about half an hour."""
    give_up_after: Positive = 86_400.0
    """Age at which one that was not delivered is dead, however often it was put off. Default a day."""
    retry_first: Positive = 1.0
    """Bound of the pause after the first failure; it doubles with each one. The pause is drawn evenly from 0 to the
    bound (full jitter), so that what failed together does not come back together. Default 1."""
    retry_max: Positive = 300.0
    """Largest bound. Default 300."""
    keep_delivered: Positive = 7 * 86_400.0
    """How long what was delivered or dropped is kept. Default a week. Nothing of an open incident is deleted."""
    keep_dead: Positive = 30 * 86_400.0
    """How long dead ones can be replayed. Default 30 days."""


class PagerDutyTier(Section):
    """A PagerDuty service of its own for incidents of one tier."""

    routing_key_env: EnvName
    """Environment variable with the integration key (Events API v2). No default."""
    page_when: tuple[Reason, ...] | None = None
    """When incidents of this tier page. Default: as `pagerduty.page_when`."""


class PagerDutySettings(Section):
    """Pages through PagerDuty's Events API v2: one alert per incident, by its id. As shipped it is off.

    An incident has the tier of its most important service. An approval or a rejection acknowledges the page; the end of
    the incident resolves it.
    """

    routing_key_env: EnvName | Literal[""] = ""
    """Environment variable with the integration key for every tier that has none of its own. Default none: other tiers
    page nobody."""
    tiers: dict[Tier, PagerDutyTier] = {}
    """Keys by tier. Default none."""
    page_when: tuple[Reason, ...] = ("unanswered", "worse", "lasting", "unresolved")
    """Why somebody is paged: `opened` (every incident), `asked` (every question), `unanswered` (`escalate_after` questions
    ran out, or the last one did), `worse` (the incident got worse while it was acted on), `lasting` (it is open for
    `lasting_after` seconds, whatever is being done) and `unresolved` (a run ended and its incident goes on). Default the
    last four: Sentinel tries first."""
    escalate_after: int = Field(default=2, ge=1)
    """Unanswered questions before a page. Default 2: asked, asked again, then paged with the third question."""
    severities: dict[Severity, Literal["info", "warning", "error", "critical"]] = {}
    """PagerDuty's severity for Sentinel's. Default the same word."""
    url: str = "https://events.pagerduty.com/v2/enqueue"
    """Where events go. Default PagerDuty in the US; its European service region has another host."""
    deadline: float = Field(default=10.0, gt=0, le=60)
    """Seconds for one call, from name lookup to the last byte. Default 10."""

    @model_validator(mode="after")
    def _is_whole(self) -> PagerDutySettings:
        _check_url("pagerduty.url", self.url)
        return self


class WebhookSettings(Section):
    """One receiver of signed HTTP POSTs, one for each event."""

    url: SecretStr
    """Where to. `https`, or `http` on the loopback; its host must be in `notifications.allowed_hosts`. Redirects are not
    followed. It may hold a token (`${NAME}`), so it is never logged. No default."""
    secret_env: EnvName
    """Environment variable with the signing secret: at least 24 bytes, plain, or `whsec_` and base64. No default."""
    kinds: tuple[NotificationKind, ...] = Field(default=STANDARD_KINDS, min_length=1)
    """Which events. Default all. `resolved` comes for incidents of which something else came before."""
    services: tuple[str, ...] = Field(default=("*",), min_length=1)
    """Patterns (`*`, `?`) of service names; one service of the incident must match. Default all."""
    headers_env: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")], EnvName] = {}
    """Extra headers: name to the environment variable with its value, such as `Authorization: OPS_TOKEN`. Default none."""
    template: str = ""
    """YAML or JSON file with the body, relative to the configuration file; texts may hold `{{ incident.title }}`.
    Default empty: the standard body. See docs/notifications.md."""
    deadline: float = Field(default=10.0, gt=0, le=60)
    """Seconds for one call, from name lookup to the last byte. Default 10."""

    @model_validator(mode="after")
    def _is_whole(self) -> WebhookSettings:
        _check_url("url", self.url.get_secret_value())
        if set(self.kinds) == {NotificationKind.RESOLVED}:
            raise ValueError("kinds: `resolved` alone never comes, because it follows another event")
        taken = {"content-type", "content-length", "host", "webhook-id", "webhook-timestamp", "webhook-signature"}
        if clash := taken.intersection(name.lower() for name in self.headers_env):
            raise ValueError(f"headers_env: {', '.join(sorted(clash))} cannot be set, Sentinel sets it")
        return self


class NotificationSettings(Section):
    """What is told beside Slack and the log, each destination from a durable queue of its own. As shipped nothing."""

    public_url: str = Field(default="", pattern=r"^(https?://\S+[^/\s])?$")
    """Base URL under which people reach the API, without a slash at its end; events link to it. Default empty: no links."""
    pagerduty: PagerDutySettings = PagerDutySettings()
    """Who is paged through PagerDuty, and when."""
    webhooks: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")], WebhookSettings] = {}
    """Receivers of signed events, by a name of your own. Default none."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts that webhooks may reach: `host`, or `host:port` for another port than the usual. Default none."""
    lasting_after: float = Field(default=3600.0, gt=0, le=43_200)
    """Wall seconds after an incident was first seen at which it counts as `lasting` if it is still open. Default an hour;
    a run that cannot go on, because its target does not answer, ends in no other page."""
    queue: QueueSettings = QueueSettings()
    """How the queues deliver."""

    @model_validator(mode="after")
    def _hosts_are_allowed(self) -> NotificationSettings:
        for name, webhook in self.webhooks.items():
            host = _host(webhook.url.get_secret_value())
            if host not in self.allowed_hosts:
                raise ValueError(f"webhooks.{name}.url goes to {host!r}, which is not in notifications.allowed_hosts")
        return self

    @property
    def on(self) -> bool:
        """Whether there is any destination."""
        return bool(self.pagerduty.routing_key_env or self.pagerduty.tiers or self.webhooks)
