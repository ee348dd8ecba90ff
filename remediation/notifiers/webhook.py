"""A webhook as destination of a queue: one signed POST for each event."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from remediation.notifiers.delivery import DroppedError
from remediation.notifiers.delivery_http import HttpPoster, Post
from remediation.notifiers.delivery_secrets import read_secret
from remediation.notifiers.delivery_settings import NotificationSettings, WebhookSettings
from remediation.notifiers.webhook_signature import signed_headers, signing_key
from remediation.notifiers.webhook_template import Body, load_template, standard_body, values_of
from sentinel.canonical import canonical_json
from sentinel.notifications import Event, Notification, NotificationKind


class Webhook:
    """One receiver."""

    def __init__(
        self, name: str, settings: WebhookSettings, secret: str, headers: Mapping[str, str], body: Body, *,
        place: str, public_url: str = "",
    ) -> None:  # fmt: skip
        """`place` is the setting that is named when the secret cannot be used (`ConfigError`)."""
        self.name = name
        self.deadline = settings.deadline
        self._settings = settings
        self._key = signing_key(secret, place)
        self._headers = dict(headers)
        self._secrets = (secret, *headers.values())
        self._body = body
        self._public_url = public_url
        self._poster = HttpPoster(name, self.deadline)

    def wants(self, event: Event, told: frozenset[str]) -> bool:
        """See `Destination.wants`."""
        if event.kind is NotificationKind.RESOLVED and self.name not in told:
            return False
        return event.kind in self._settings.kinds and self._fits(event)

    def deliver(self, notification: Notification, *, over: bool, now: float) -> None:
        """See `Destination.deliver`. The body is the same at each try; time and signature are new."""
        if notification.event.kind not in self._settings.kinds:
            raise DroppedError("the configuration does not want this kind any more")
        body = canonical_json(self._body(values_of(notification, self._public_url)))
        headers = {
            **self._headers,
            "Content-Type": "application/json",
            "Idempotency-Key": notification.id,
            **signed_headers(self._key, notification.id, body, now),
        }
        url = self._settings.url.get_secret_value()
        self._poster.send(Post(url=url, body=body, headers=headers, secrets=(url, *self._secrets)), now=now)

    def _fits(self, event: Event) -> bool:
        services, patterns = event.incident.services, self._settings.services
        return "*" in patterns or any(fnmatchcase(name, pattern) for name in services for pattern in patterns)


def open_webhooks(settings: NotificationSettings, env: Mapping[str, str]) -> list[Webhook]:
    """The receivers that are configured.

    Raises `ConfigError` for a variable that is not set, a secret that is too short, or a template with a mistake
    (`file:line`).
    """
    found = []
    for name, one in settings.webhooks.items():
        place = f"notifications.webhooks.{name}"
        secret = read_secret(env, one.secret_env, f"{place}.secret_env")
        headers = {
            header: read_secret(env, variable, f"{place}.headers_env.{header}")
            for header, variable in one.headers_env.items()
        }
        body = load_template(Path(one.template), env) if one.template else standard_body
        webhook = Webhook(
            f"webhook-{name}", one, secret, headers, body, place=f"{place}.secret_env", public_url=settings.public_url
        )
        found.append(webhook)
    return found
