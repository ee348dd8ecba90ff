"""Slack as the API asks it: who a user is now, and the few things that are said back to one person."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from sentinel.approvals import Role
from sentinel.errors import PermanentError, RefusedError, TransientError
from sentinel.slack_settings import SlackSettings


def open_client(settings: SlackSettings) -> WebClient:
    """The client for this bot; connects at the first call and repeats nothing by itself."""
    token = settings.token.get_secret_value()
    return WebClient(token=token, base_url=settings.base_url, timeout=settings.timeout, retry_handlers=[])


class SlackUsers:
    """Roles of users: what the configuration gives, as long as Slack says that the user is a living member."""

    def __init__(self, client: WebClient, roles: Mapping[str, Role]) -> None:
        self._client = client
        self._roles = dict(roles)

    def role_of(self, user_id: str) -> Role:
        """The role, asked anew each time: one call to `users.info`.

        Raises `RefusedError` (rule `role`) for who has none, and `TransientError` when Slack does not answer: then
        nobody has a role.
        """
        role = self._roles.get(user_id)
        if role is None:
            raise RefusedError("role", f"slack:{user_id} has no role; slack.users in the configuration gives one")
        try:
            user = call(self._client.users_info, user=user_id).get("user")
        except PermanentError as error:
            raise RefusedError("role", f"slack:{user_id}: Slack does not say who this is ({error})") from error
        if not isinstance(user, dict) or user.get("id") != user_id:
            raise RefusedError("role", f"slack:{user_id}: Slack answered about somebody else")
        for flag, what in (("deleted", "is deactivated"), ("is_bot", "is a bot"), ("is_stranger", "is a stranger")):
            if user.get(flag):
                raise RefusedError("role", f"slack:{user_id} {what} in Slack, so has no role")
        return role


def call(function: Callable[..., SlackResponse], **values: Any) -> dict[str, Any]:
    """One call of the Web API; errors become `TransientError` (away, too many calls) or `PermanentError`."""
    name = function.__name__
    try:
        data = function(**values).data
    except SlackApiError as error:
        answer = getattr(error.response, "data", None)
        reason = str(answer.get("error", "")) if isinstance(answer, dict) else ""
        text = f"slack: {name}: {reason or 'no JSON answer'}"
        if not reason or reason in ("ratelimited", "internal_error", "fatal_error", "service_unavailable"):
            raise TransientError(text) from error
        raise PermanentError(text) from error
    except (SlackClientError, OSError, http.client.HTTPException) as error:
        raise TransientError(f"slack: {name}: {str(error) or type(error).__name__}") from error
    return data if isinstance(data, dict) else {}
