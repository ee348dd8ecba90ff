"""What every listener for Slack shares: who may, telling the one person, and what was done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_sdk import WebClient

from api.deciding import Exchange
from api.parts import ApiParts
from api.slack_users import SlackUsers, call
from sentinel.approvals import Role
from sentinel.errors import PermanentError, RefusedError, TransientError
from sentinel.logs import get_logger
from sentinel.slack_blocks import line
from sentinel.slack_settings import SlackSettings

KEY, EXCHANGE = "sentinel_key", "sentinel_exchange"
"""Names in Bolt's context: the hash of the request's content, and the ids of the request."""

log = get_logger("api")


class SlackDesk:
    """Rights as they are now, and words to one person."""

    def __init__(self, settings: SlackSettings, parts: ApiParts, client: WebClient) -> None:
        self._channels = settings.allowed_channels
        self._parts = parts
        self._client = client
        self._users = SlackUsers(client, settings.users)

    def check_channel(self, channel: str) -> None:
        """Raise `RefusedError` (rule `channel`) unless the configuration names the channel."""
        if channel not in self._channels:
            raise RefusedError("channel", f"answers in the channel {channel!r} do not count")

    def role_of(self, user: str, channel: str) -> Role:
        """The role that the user has there now. Raises as `check_channel` and `SlackUsers.role_of` do."""
        self.check_channel(channel)
        return self._users.role_of(user)

    def require(self, user: str, channel: str, least: Role, what: str) -> Role:
        """The user's role; `RefusedError` (rule `role`) when it is less than `least`. `what` says for which purpose."""
        role = self.role_of(user, channel)
        if role.rank < least.rank:
            raise RefusedError("role", f"slack:{user} has the role {role.value}; {what} needs {least.value}")
        return role

    def say(self, channel: str, user: str, text: str) -> None:
        """Tell the one person; that they cannot be told changes nothing."""
        try:
            call(self._client.chat_postEphemeral, channel=channel, user=user, text=line(text, 1000))
        except (TransientError, PermanentError) as error:
            log.warning("slack_user_not_told", error=str(error))

    def announce(self, channel: str, text: str) -> None:
        """Tell everybody in the channel; that they cannot be told changes nothing."""
        try:
            call(self._client.chat_postMessage, channel=channel, text=text, unfurl_links=False, unfurl_media=False)
        except (TransientError, PermanentError) as error:
            log.warning("slack_channel_not_told", error=str(error))

    def refused(self, action: str, target: str, actor: str, error: RefusedError, exchange: Exchange) -> None:
        """Put into the audit what a rule refused, other than an answer to a question."""
        self._parts.stores.audit.append(
            actor=actor,
            action=action,
            target=target,
            reason=str(error),
            at=self._parts.now(),
            details={"rule": error.rule, "request_id": exchange.request_id},
            trace_id=exchange.trace_id,
        )

    def finish(self, context: Mapping[str, Any]) -> None:
        """The same content again (Slack repeats what it thinks was lost) is answered without doing anything."""
        self._parts.stores.seen.add(done(str(context[KEY])), now=self._parts.now())


def done(key: str) -> str:
    """The key in `seen_requests` of content that was dealt with."""
    return f"slack-done:{key}"
