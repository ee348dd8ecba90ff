"""The slash command: `/sentinel kill on|off|status [reason]`. Turns the kill switch by the code that the API uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slack_bolt import Ack, BoltContext

from api.deciding import Exchange
from api.parts import ApiParts
from api.slack_desk import EXCHANGE, SlackDesk
from sentinel.approvals import Role
from sentinel.errors import RefusedError, TransientError
from sentinel.logs import get_logger
from sentinel.slack_blocks import line

COMMAND = "/sentinel"
"""The command's name in the app's configuration."""
MAX_REASON = 2000
USAGE = f"{COMMAND} kill on [reason] · {COMMAND} kill off REASON · {COMMAND} kill status"
"""What to type."""
LEAST = {"status": Role.VIEWER, "on": Role.APPROVER, "off": Role.ADMIN}
"""Who may: stopping everything must be easy at three in the morning; starting again is a second thought."""

log = get_logger("api")


@dataclass(frozen=True, slots=True, kw_only=True)
class KillCommand:
    """A command as it was typed. `verb` is empty when it is none of ours."""

    user: str
    channel: str
    verb: str
    reason: str


def read_command(body: dict[str, Any]) -> KillCommand:
    """The slash command's payload. A reason is not needed to stop everything."""
    words = str(body.get("text", "")).replace("\x00", "").split(maxsplit=2)
    known = len(words) >= 2 and words[0].lower() == "kill" and words[1].lower() in LEAST
    verb = words[1].lower() if known else ""
    reason = words[2].strip()[:MAX_REASON] if known and len(words) > 2 else ""
    return KillCommand(
        user=str(body.get("user_id", "")),
        channel=str(body.get("channel_id", "")),
        verb=verb,
        reason=reason or ("in Slack, without a reason" if verb == "on" else ""),
    )


class SlackCommands:
    """The listener of the command."""

    def __init__(self, parts: ApiParts, desk: SlackDesk) -> None:
        self._parts = parts
        self._desk = desk

    def run(self, ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        """Do what was typed, and say what came of it."""
        ack()
        command, exchange = read_command(body), context[EXCHANGE]
        try:
            self._do(command, exchange)
        except RefusedError as error:
            actor = f"slack:{command.user}"
            self._desk.refused("kill_switch.refused", "kill_switch", actor, error, exchange)
            self._desk.say(command.channel, command.user, f"Not done: {error.reason}.")
        except TransientError as error:
            log.warning("slack_command_not_done", error=str(error))
            text = "Not done, because something is away. Try again, or use `sentinel kill-switch on`."
            self._desk.say(command.channel, command.user, text)
            return
        self._desk.finish(context)

    def _do(self, command: KillCommand, exchange: Exchange) -> None:
        switch = self._parts.stores.kill_switch
        if not command.verb:
            self._desk.say(command.channel, command.user, USAGE)
            return
        what = f"kill {command.verb}"
        role = self._desk.require(command.user, command.channel, LEAST[command.verb], what)
        if command.verb == "status":
            self._desk.say(command.channel, command.user, f"The kill switch is {switch.read().text}")
            return
        now_is = switch.turn(
            on=command.verb == "on",
            actor=f"slack:{command.user}",
            reason=command.reason,
            now=self._parts.now(),
            details={"role": role.value, "request_id": exchange.request_id},
            trace_id=exchange.trace_id,
        )
        turned = f"*Kill switch {command.verb}* by <@{command.user}>: {line(command.reason, 600)}"
        still = "" if now_is.on == (command.verb == "on") else f"\nIt is still {line(now_is.text, 300)}"
        self._desk.announce(command.channel, turned + still)
