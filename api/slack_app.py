"""The Bolt application: which listener takes what a person did in Slack, for HTTP and Socket Mode alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from slack_bolt import App, BoltRequest, BoltResponse
from slack_bolt.authorization import AuthorizeResult

from api.deciding import Exchange
from api.parts import ApiParts
from api.slack_actions import SlackActions
from api.slack_commands import COMMAND, SlackCommands
from api.slack_desk import EXCHANGE, KEY, SlackDesk, done
from api.slack_users import open_client
from sentinel.logs import get_logger
from sentinel.slack_blocks import APPROVE, DETAILS, REJECT, REJECT_VIEW, SNOOZE, SNOOZE_VIEW
from sentinel.slack_settings import SlackSettings

RETRY_HEADER = "x-slack-retry-num"
"""Says that Slack sends a request again because it missed the answer to the first."""

log = get_logger("api")


class SlackApp:
    """Takes requests that are known to come from Slack. Answers at once; the work goes on in threads."""

    def __init__(self, settings: SlackSettings, parts: ApiParts) -> None:
        """Connects to nothing."""
        client = open_client(settings)
        self._parts = parts
        self._app = App(
            client=client,
            authorize=_authorize(settings),
            # Whoever takes a request in checks it: with its own clock, in SQL against replays, and on the raw bytes.
            request_verification_enabled=False,
        )
        desk = SlackDesk(settings, parts, client)
        actions, commands = SlackActions(parts, desk, client), SlackCommands(parts, desk)
        self._app.action(APPROVE)(actions.approve)
        self._app.action(REJECT)(actions.ask_why)
        self._app.action(DETAILS)(actions.details)
        self._app.action(SNOOZE)(actions.ask_how_long)
        self._app.view(REJECT_VIEW)(actions.reject)
        self._app.view(SNOOZE_VIEW)(actions.snooze)
        self._app.command(COMMAND)(commands.run)

    def take(
        self, body: str | dict[str, Any], headers: Mapping[str, str], key: str, exchange: Exchange, mode: str = "http"
    ) -> BoltResponse:
        """The answer for Slack. `key` names the content: what Slack repeats after it was done is not done again."""
        if self._parts.stores.seen.has(done(key)):
            log.info("slack repeated a request that is done", retry=headers.get(RETRY_HEADER, ""))
            return BoltResponse(status=200)
        incoming = BoltRequest(body=body, headers=dict(headers), mode=mode)
        incoming.context[KEY] = key
        incoming.context[EXCHANGE] = exchange
        return self._app.dispatch(incoming)


def _authorize(settings: SlackSettings) -> Callable[[], AuthorizeResult]:
    """One workspace and one token: nothing to look up."""

    def authorize() -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id=None, bot_token=settings.token.get_secret_value())

    return authorize
