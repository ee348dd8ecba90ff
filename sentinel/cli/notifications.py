"""`sentinel notifications`: what is told beside Slack, what waits, what is dead; and sending it again."""

from __future__ import annotations

import getpass
import time
from typing import TYPE_CHECKING, Annotated

import typer

from sentinel.cli.options import Json, settings_of
from sentinel.cli.output import EXIT_FAILED, EXIT_USAGE, at, exit_codes, fail, print_json, print_table, say
from sentinel.notifications import DeliveryState

if TYPE_CHECKING:
    from sentinel.notifications import Notification
    from sentinel.stores.sql.stores import SqlStores

app = typer.Typer(help="Pages and webhooks: their queues, dead letters, and sending again.", no_args_is_help=True)

Destination = Annotated[str, typer.Option(help="Only this destination, such as `pagerduty` or `webhook-ops`.")]
Incident = Annotated[str, typer.Option(help="Only what is about this incident.")]
Limit = Annotated[int, typer.Option(help="At most this many, newest first.", min=1, max=1000)]


@app.command("list")
@exit_codes
def list_notifications(
    context: typer.Context,
    state: Annotated[DeliveryState | None, typer.Option(help="Only those that stand so.")] = None,
    destination: Destination = "",
    incident: Incident = "",
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List notifications, newest first."""
    from sentinel.cli.bootstrap import sql_of

    with sql_of(settings_of(context)) as stores:
        page = stores.notifications.find(state=state, destination=destination, incident_id=incident, limit=limit)
    _print(page.items, as_json)


@app.command("dead")
@exit_codes
def dead(
    context: typer.Context, destination: Destination = "", incident: Incident = "", limit: Limit = 50,
    as_json: Json = False,
) -> None:  # fmt: skip
    """List dead letters with the reason; exits with 1 when there are any."""
    from sentinel.cli.bootstrap import sql_of

    with sql_of(settings_of(context)) as stores:
        page = stores.notifications.find(
            state=DeliveryState.DEAD, destination=destination, incident_id=incident, limit=limit
        )
    _print(page.items, as_json)
    if page.items:
        raise typer.Exit(EXIT_FAILED)


@app.command("replay")
@exit_codes
def replay(
    context: typer.Context,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; it goes into the audit record.")],
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of dead notifications.")] = None,
    destination: Annotated[str, typer.Option(help="Every dead one of this destination, instead of ids.")] = "",
    as_json: Json = False,
) -> None:
    """Send dead notifications again, under the same ids; the worker does it. Written to the database, and audited."""
    from sentinel.cli.bootstrap import sql_of

    if bool(ids) == bool(destination):
        fail("say which: ids of dead notifications, or --destination", EXIT_USAGE)
    with sql_of(settings_of(context)) as stores:
        chosen = ids or _dead_ids(stores, destination)
        actor = f"cli:{getpass.getuser()}"
        replayed = stores.notifications.replay(chosen, actor=actor, reason=reason, now=time.time())
    if as_json:
        print_json(replayed)
    else:
        say(f"{len(replayed)} of {len(chosen)} are sent again")
    if left := sorted(set(chosen).difference(replayed)):
        fail(f"not dead, or not there: {', '.join(left)}", EXIT_FAILED)


@app.command("try")
@exit_codes
def try_one(
    context: typer.Context,
    destination: Annotated[str, typer.Argument(help="Name of the destination, such as `pagerduty` or `webhook-ops`.")],
) -> None:
    """Send a trial to one destination, straight and now: a page is opened and resolved. Needs its secrets in the environment."""
    import os

    from remediation.notifiers.delivery_trial import try_destination
    from remediation.notifiers.queue import open_destinations

    known = {one.name: one for one in open_destinations(settings_of(context).notifications, os.environ)}
    if destination not in known:
        fail(f"there is no destination {destination!r}; there are: {', '.join(known) or 'none'}", EXIT_USAGE)
    sent = try_destination(known[destination], now=time.time())
    say(f"{destination} took: {', '.join(sent)}")


def _dead_ids(stores: SqlStores, destination: str) -> list[str]:
    found, cursor = list[str](), ""
    while True:
        page = stores.notifications.find(state=DeliveryState.DEAD, destination=destination, cursor=cursor, limit=500)
        found += [one.id for one in page.items]
        if not (cursor := page.next_cursor):
            return found


def _print(found: tuple[Notification, ...], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    columns = ("id", "created (UTC)", "destination", "incident", "kind", "state", "tries", "reason")
    rows = [
        (
            one.id, at(one.created_at), one.destination, one.event.incident.id, one.event.kind.value, one.state.value,
            one.attempts, one.last_error,
        )
        for one in found
    ]  # fmt: skip
    print_table("Notifications", columns, rows)
