"""Configuration of Slack: where cards go, and who may answer on them. Used by the worker (sends) and the API (takes in)."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from sentinel.approvals import Role
from sentinel.config import Section

ChannelId = Annotated[str, Field(pattern=r"^[CGD][A-Z0-9]{2,}$")]
"""A channel's id (`C0123ABCD`), not its name: names can be taken over."""
UserId = Annotated[str, Field(pattern=r"^[UW][A-Z0-9]{2,}$")]
"""A user's id (`U0123ABCD`)."""


class SlackRoute(Section):
    """Incidents of some services go to a channel of their own."""

    services: tuple[str, ...] = Field(min_length=1)
    """Patterns (`*`, `?`) of service names; one service of the incident must match one of them. No default."""
    channel: ChannelId
    """Id of the channel. No default."""


class SlackSettings(Section):
    """Approval cards in Slack: one message per incident, updated in place. As shipped it is off."""

    channel: ChannelId | Annotated[str, Field(pattern="^$")] = ""
    """Id of the channel that gets the cards. Default empty: no Slack, and the API has no route for it."""
    routes: tuple[SlackRoute, ...] = ()
    """Other channels for some services; the first that fits counts. Default none."""
    token: SecretStr = SecretStr("")
    """Bot token: say `${SLACK_BOT_TOKEN}`. Scopes: chat:write, channels:history (groups:history), users:read,
    files:write (the picture on the card), commands (the kill switch)."""
    mode: Literal["http", "socket"] = "http"
    """How clicks and commands come in. `http`: Slack calls `/slack/events`, which needs an address that Slack reaches.
    `socket`: the API connects to Slack (Socket Mode) and listens to nothing. Default `http`."""
    signing_secret: SecretStr = SecretStr("")
    """The app's signing secret: say `${SLACK_SIGNING_SECRET}`. Every request is checked against it. Mode `http` alone."""
    app_token: SecretStr = SecretStr("")
    """App-level token with the scope connections:write: say `${SLACK_APP_TOKEN}`. Mode `socket` alone."""
    users: dict[UserId, Role] = {}
    """Who may do what, by user id. Default nobody. Slack is asked about the user at every answer: who is deactivated,
    a bot or of another workspace has no role, whatever stands here."""
    answer_channels: tuple[ChannelId, ...] = ()
    """Channels where an answer counts, beside those that get cards. Default none."""
    base_url: str = Field(default="https://slack.com/api/", pattern=r"^https?://.+/$")
    """Slack's Web API; ends in a slash. Default Slack itself."""
    timeout: int = Field(default=5, ge=1, le=60)
    """Seconds for one call to Slack. Default 5."""
    poll: float = Field(default=0.5, gt=0, le=60)
    """Longest pause in wall seconds until a change that another process wrote is on the card. Default 0.5."""

    @model_validator(mode="after")
    def _is_whole(self) -> SlackSettings:
        if self.channel:
            for name in ("token", "signing_secret" if self.mode == "http" else "app_token"):
                if not getattr(self, name).get_secret_value():
                    raise ValueError(f"slack.channel is set and slack.mode is {self.mode}, so slack.{name} is needed")
        elif self.routes:
            raise ValueError("slack.routes needs slack.channel, for the incidents that no route fits")
        return self

    @property
    def on(self) -> bool:
        """Whether Slack is configured."""
        return bool(self.channel)

    @property
    def over_http(self) -> bool:
        """Whether the API has a route for Slack."""
        return self.on and self.mode == "http"

    @property
    def over_socket(self) -> bool:
        """Whether the API connects to Slack to hear of clicks."""
        return self.on and self.mode == "socket"

    @property
    def card_channels(self) -> tuple[str, ...]:
        """Every channel that gets cards, each once."""
        return tuple(dict.fromkeys([self.channel, *(route.channel for route in self.routes)])) if self.on else ()

    @property
    def allowed_channels(self) -> frozenset[str]:
        """Where an answer counts."""
        return frozenset((*self.card_channels, *self.answer_channels))

    def channel_for(self, services: tuple[str, ...]) -> str:
        """The channel for an incident of these services."""
        for route in self.routes:
            if any(fnmatchcase(service, pattern) for service in services for pattern in route.services):
                return route.channel
        return self.channel
