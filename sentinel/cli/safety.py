"""`sentinel kill-switch` and `sentinel breakers`: stop every action at once; say what may act by itself.

Both go through the API; stopping everything also works when the API is away.
"""

from __future__ import annotations

import getpass
import os
import time
from typing import TYPE_CHECKING, Annotated

import typer

from sentinel.cli.options import Json, settings_of
from sentinel.cli.output import EXIT_REFUSED, EXIT_USAGE, at, console, exit_codes, fail, print_json, print_table

if TYPE_CHECKING:
    from sentinel.api_client import ApiClient
    from sentinel.cli.settings import Settings
    from sentinel.safety import KillSwitch

kill_switch_app = typer.Typer(help="The kill switch: while it is on, nothing acts on anything.", no_args_is_help=True)
breakers_app = typer.Typer(
    help="Circuit breakers: open for automatic action until a person closes them.", no_args_is_help=True
)

Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; it goes into the audit record.")]
Url = Annotated[str, typer.Option(help="Base URL of the API. Default: host and port of the configuration.")]


@kill_switch_app.command("show")
@exit_codes
def show(context: typer.Context, as_json: Json = False) -> None:
    """Show how the kill switch stands, who turned it, and why. Reads the database and the switch's file."""
    from sentinel.cli.bootstrap import sql_of

    with sql_of(settings_of(context)) as stores:
        _print(stores.kill_switch.read(), as_json)


@kill_switch_app.command("on")
@exit_codes
def turn_on(context: typer.Context, reason: Reason, url: Url = "") -> None:
    """Stop every action: running plans see it before their next call.

    Through the API with $SENTINEL_API_KEY; without a key, or when the API does not answer, straight in the database.
    """
    from sentinel.cli.bootstrap import sql_of
    from sentinel.errors import TransientError

    settings = settings_of(context)
    if os.environ.get("SENTINEL_API_KEY"):
        try:
            _print(_through_api(settings, url, on=True, reason=reason))
            return
        except TransientError as error:
            console.print(f"{error}; turning it in the database instead", markup=False)
    with sql_of(settings) as stores:
        actor = f"cli:{getpass.getuser()}"
        _print(stores.kill_switch.turn(on=True, actor=actor, reason=reason, now=time.time()))


@kill_switch_app.command("off")
@exit_codes
def turn_off(context: typer.Context, reason: Reason, url: Url = "") -> None:
    """Let policy decide again. Needs an API key with the role approver in $SENTINEL_API_KEY."""
    _print(_through_api(settings_of(context), url, on=False, reason=reason))


@breakers_app.command("list")
@exit_codes
def list_breakers(context: typer.Context, as_json: Json = False) -> None:
    """List every breaker that was ever moved, and the global one. Any other is open: nothing passes it by itself."""
    from sentinel.api_types import BreakerView
    from sentinel.cli.bootstrap import sql_of

    now = time.time()
    with sql_of(settings_of(context)) as stores:
        found = [BreakerView(state=one.state(now), breaker=one) for one in stores.breakers.find()]
    if as_json:
        print_json(found)
        return
    columns = ("scope", "state", "since (UTC)", "by", "because")
    rows = [(b.scope, v.state, at(b.changed_at or None), b.actor, b.reason) for v in found for b in (v.breaker,)]
    print_table("Circuit breakers", columns, rows)


@breakers_app.command("close")
@exit_codes
def close_breakers(
    context: typer.Context,
    scopes: Annotated[list[str], typer.Argument(help="global, type:NAME or target:BACKEND/NAMESPACE/KIND/NAME.")],
    reason: Reason,
    url: Url = "",
) -> None:
    """Close breakers, so that what policy lists as automatic runs by itself; undoes a trip as well.

    Needs an API key with the role approver in $SENTINEL_API_KEY.
    """
    from sentinel.api_client import ApiError

    with open_api(settings_of(context), url) as client:
        for scope in scopes:
            try:
                view = client.close_breaker(scope, reason=reason)
            except ApiError as error:
                fail(str(error), EXIT_REFUSED)
            console.print(f"{view.breaker.scope}: {view.state}", markup=False)


def open_api(settings: Settings, url: str) -> ApiClient:
    """The API with the key of the environment; ends the command with a hint when there is no key."""
    from sentinel.api_client import ApiClient

    key = os.environ.get("SENTINEL_API_KEY", "")
    if not key:
        fail("set SENTINEL_API_KEY to an API key with the role approver (`sentinel keys new` makes one)", EXIT_USAGE)
    return ApiClient(url or f"http://{settings.api.host}:{settings.api.port}", key)


def _through_api(settings: Settings, url: str, *, on: bool, reason: str) -> KillSwitch:
    from sentinel.api_client import ApiError

    with open_api(settings, url) as client:
        try:
            return client.turn_kill_switch(on=on, reason=reason)
        except ApiError as error:
            fail(str(error), EXIT_REFUSED)


def _print(switch: KillSwitch, as_json: bool = False) -> None:
    if as_json:
        print_json(switch)
        return
    since = f" (since {at(switch.changed_at)} UTC)" if switch.changed_at else ""
    console.print(f"kill switch: {switch.text}{since}", markup=False)
