"""`sentinel audit keygen`, `heads`, `prune` and `grants`: how the audit's proof is set up and kept."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import Annotated

import typer

from sentinel.cli.options import Json, settings_of
from sentinel.cli.output import EXIT_USAGE, at, exit_codes, fail, print_json, print_table, say


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("keygen")(keygen)
    app.command("heads")(heads)
    app.command("prune")(prune)
    app.command("grants")(grants)


@exit_codes
def keygen(
    key: Annotated[Path, typer.Option(help="File for the private key; must not exist yet.")] = Path("audit.key"),
    public: Annotated[Path, typer.Option(help="File for the public key; a further one is added.")] = Path("audit.pub"),
) -> None:
    """Make the key that signs the heads of the audit: the private one into a file of mode 600, the public one beside it.

    To change the key, give a new --key and the same --public: heads of the old key stay provable.
    """
    from sentinel.audit_keys import SigningKey, add_public, write_private

    made = SigningKey.generate()
    try:
        write_private(key, made)
    except FileExistsError:
        fail(f"{key} exists already; a key is never replaced: name another file", EXIT_USAGE)
    add_public(public, made)
    say(f"key {made.id}: {key} (private, for the worker alone), {public} (public, for whoever verifies)\n")
    say(f"For the configuration:\n\naudit:\n  key: file:{key.absolute()}\n  public_keys: {public.absolute()}")


@exit_codes
def heads(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="File to write them to as JSON Lines, for `audit verify --heads`.")
    ] = None,
    place: Annotated[
        str, typer.Option("--from", help="Read them from this place outside (its name) instead of the database.")
    ] = "",
    as_json: Json = False,
) -> None:
    """List the signed heads, or write them to a file; --from reads back what a place outside has kept."""
    from sentinel.audit_anchor import HeadFile
    from sentinel.audit_anchor_s3 import S3Anchor
    from sentinel.audit_notary import open_anchor
    from sentinel.canonical import canonical_json
    from sentinel.cli.bootstrap import sql_of

    settings = settings_of(context)
    if place:
        found = next((one for one in settings.audit.anchors if one.name == place), None)
        anchor = open_anchor(found, settings.state, time.time) if found else None
        if not isinstance(anchor, HeadFile | S3Anchor):
            fail(f"audit.anchors has no place {place!r} that can be read back", EXIT_USAGE)
        signed = anchor.read()
    else:
        with sql_of(settings) as stores:
            signed = stores.audit.heads.all()
    if file is not None:
        file.write_bytes(b"".join(canonical_json(head) + b"\n" for head in signed))
    elif as_json:
        print_json(signed)
    else:
        columns = ("number", "day", "closed", "records", "hash", "signed (UTC)", "key")
        rows = [(h.number, h.day, h.closed, f"{h.first}-{h.seq}", h.hash[:16], at(h.at), h.key) for h in signed]
        print_table("Signed heads", columns, rows)


@exit_codes
def prune(
    context: typer.Context,
    before: Annotated[
        str, typer.Option(help="Drop the days before this one (2026-11-23). Default: as audit.keep_days says.")
    ] = "",
) -> None:
    """Drop old days of the audit whose signed head is kept outside; what is left stays provable.

    Verifies the chain first. On PostgreSQL, run it as the owner of the tables: the writing role may not delete.
    """
    from sentinel.audit_heads import day_end, day_of
    from sentinel.cli.bootstrap import sql_of
    from sentinel.stores.sql.audit_retention import AuditRetention

    settings, now = settings_of(context), time.time()
    if not before and not settings.audit.keep_days:
        fail("audit.keep_days is 0: everything is kept; say --before DAY to drop days", EXIT_USAGE)
    try:
        day_end(before or "2026-01-01")
    except ValueError:
        fail(f"--before: {before!r} is not a day such as 2026-11-23", EXIT_USAGE)
    places = [one.name for one in settings.audit.anchors]
    with sql_of(settings) as stores:
        dropped = AuditRetention(stores.database, stores.audit).prune(
            before or day_of(now - settings.audit.keep_days * 86_400),
            places=places,
            actor=f"cli:{getpass.getuser()}",
            now=now,
        )
    if dropped is None:
        say("There is no closed day to drop.")
        return
    say(f"Dropped {dropped.records} records up to {dropped.seq}, the end of {dropped.day}; head {dropped.head} stays.")


@exit_codes
def grants(
    role: Annotated[str, typer.Argument(help="The PostgreSQL role of the worker or of the API; must exist.")],
    worker: Annotated[
        bool, typer.Option("--worker", help="The role of the worker: LangGraph looks after tables of its own.")
    ] = False,
) -> None:
    """Print the SQL that gives a role its rights on PostgreSQL: it may add to the audit, and never change it."""
    from sentinel.stores.sql.audit_grants import writer_grants

    for statement in writer_grants(role, worker=worker):
        typer.echo(statement)
