"""PagerDuty as destinations of queues: one for each routing key, because each has its own limits at PagerDuty."""

from __future__ import annotations

from collections.abc import Mapping

from remediation.notifiers.delivery import DroppedError
from remediation.notifiers.delivery_http import HttpPoster, Post
from remediation.notifiers.delivery_secrets import read_secret
from remediation.notifiers.delivery_settings import NotificationSettings, Reason
from remediation.notifiers.pagerduty_events import page_action, page_body
from sentinel.canonical import canonical_json
from sentinel.notifications import Event, Notification


class PagerDuty:
    """One routing key. `tiers` are those whose incidents go there."""

    def __init__(
        self, name: str, routing_key: str, tiers: frozenset[int], page_when: tuple[Reason, ...],
        settings: NotificationSettings,
    ) -> None:  # fmt: skip
        self.name = name
        self.deadline = settings.pagerduty.deadline
        self._key = routing_key
        self._tiers = tiers
        self._page_when = page_when
        self._settings = settings.pagerduty
        self._public_url = settings.public_url
        self._poster = HttpPoster(name, self.deadline)

    def wants(self, event: Event, told: frozenset[str]) -> bool:
        """See `Destination.wants`: pages of its tiers, and whatever follows a page that it got."""
        action = page_action(event, self._page_when, self._settings.escalate_after)
        if action == "trigger":
            return event.incident.tier in self._tiers
        return action is not None and self.name in told

    def deliver(self, notification: Notification, *, over: bool, now: float) -> None:
        """See `Destination.deliver`."""
        event = notification.event
        action = page_action(event, self._page_when, self._settings.escalate_after)
        if action is None:
            raise DroppedError("the configuration does not page for this any more")
        if over and action != "resolve":
            # The alert may be resolved already: this would open it again, for nobody.
            raise DroppedError("the incident is over")
        body = page_body(notification, action, self._settings.severities, self._public_url)
        content = canonical_json({**body, "routing_key": self._key})
        headers = {"Content-Type": "application/json"}
        self._poster.send(Post(url=self._settings.url, body=content, headers=headers, secrets=(self._key,)), now=now)


def open_pagerduty(settings: NotificationSettings, env: Mapping[str, str]) -> list[PagerDuty]:
    """The destinations that are configured; raises `ConfigError` when a variable with a key is not set."""
    pages, found = settings.pagerduty, []
    place = "notifications.pagerduty"
    for tier, own in sorted(pages.tiers.items()):
        key = read_secret(env, own.routing_key_env, f"{place}.tiers.{tier}.routing_key_env")
        when = pages.page_when if own.page_when is None else own.page_when
        found.append(PagerDuty(f"pagerduty-tier-{tier}", key, frozenset({tier}), when, settings))
    if pages.routing_key_env:
        key = read_secret(env, pages.routing_key_env, f"{place}.routing_key_env")
        rest = frozenset(range(5)).difference(pages.tiers)
        found.append(PagerDuty("pagerduty", key, rest, pages.page_when, settings))
    return found
