"""`sentinel audit`: who did what and why, and the offline proof that nobody changed the record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sentinel.cli.options import Json, settings_of
from sentinel.cli.output import EXIT_FAILED, at, exit_codes, print_json, print_table, say

app = typer.Typer(help="The audit chain: list it, verify it.", no_args_is_help=True)


@app.command("list")
@exit_codes
def list_records(
    context: typer.Context,
    actor: Annotated[str, typer.Option(help="Only what this actor did.")] = "",
    action: Annotated[str, typer.Option(help="Only this action, such as `executed`.")] = "",
    target: Annotated[str, typer.Option(help="Only what was done to this target.")] = "",
    limit: Annotated[int, typer.Option(help="At most this many, newest first.", min=1, max=1000)] = 100,
    as_json: Json = False,
) -> None:
    """List audit records, newest first."""
    from sentinel.cli.bootstrap import sql_of
    from sentinel.stores.sql.audit import AuditFilter

    with sql_of(settings_of(context)) as stores:
        page = stores.audit.find(AuditFilter(actor=actor, action=action, target=target), limit=limit)
    if as_json:
        print_json(page.items)
        return
    columns = ("seq", "at (UTC)", "actor", "action", "target", "reason", "digest")
    rows = [(r.seq, at(r.at), r.actor, r.action, r.target, r.reason, r.digest[:12]) for r in page.items]
    print_table("Audit", columns, rows)


@app.command("verify")
@exit_codes
def verify_chain(
    context: typer.Context,
    anchor: Annotated[
        Path | None, typer.Option(help="Anchor file to hold the chain against. Default: the configured one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify the chain against the anchored head; exit 0 when it holds, 1 with the first bad record when not."""
    from sentinel.audit_anchor import AnchorFile
    from sentinel.audit_chain import verify
    from sentinel.cli.bootstrap import anchor_of, sql_of

    settings = settings_of(context)
    heads = AnchorFile(anchor or anchor_of(settings)).read()
    with sql_of(settings) as stores:
        verdict = verify(stores.audit.records(), heads)
    if as_json:
        print_json(verdict)
    elif verdict.ok:
        say(
            f"The audit chain holds: {verdict.records} records, head {verdict.head_hash[:16]}, "
            f"{len(heads)} anchored heads, {verdict.unanchored} records after the last of them."
        )
    else:
        say(f"The audit chain does NOT hold: {verdict.fault} at record {verdict.first_bad}: {verdict.reason}.")
    if not verdict.ok:
        raise typer.Exit(EXIT_FAILED)
