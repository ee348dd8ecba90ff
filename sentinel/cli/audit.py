"""`sentinel audit`: who did what and why, and the offline proof that nobody changed the record."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentinel.cli import audit_keeping
from sentinel.cli.options import Json, settings_of
from sentinel.cli.output import EXIT_FAILED, EXIT_USAGE, at, exit_codes, fail, print_json, print_table, say

if TYPE_CHECKING:
    from sentinel.audit_proof import Proof
    from sentinel.audit_verdict import AuditVerdict
    from sentinel.cli.settings import Settings
    from sentinel.stores.sql.audit import AuditFilter

app = typer.Typer(help="The audit chain: list it, export it, sign it, verify it.", no_args_is_help=True)
audit_keeping.register(app)

Actor = Annotated[str, typer.Option(help="Only what this actor did.")]
Action = Annotated[str, typer.Option(help="Only this action, such as `executed`.")]
Target = Annotated[str, typer.Option(help="Only what was done to this target.")]
Since = Annotated[str, typer.Option(help="Only from this time on: RFC 3339, UTC without a zone.")]
Until = Annotated[str, typer.Option(help="Only before this time: RFC 3339, UTC without a zone.")]


class Form(StrEnum):
    """What an export looks like."""

    JSONL = "jsonl"
    CSV = "csv"


@app.command("list")
@exit_codes
def list_records(
    context: typer.Context,
    actor: Actor = "",
    action: Action = "",
    target: Target = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(help="At most this many, newest first.", min=1, max=1000)] = 100,
    as_json: Json = False,
) -> None:
    """List audit records, newest first."""
    from sentinel.cli.bootstrap import sql_of

    only = _filter(actor, action, target, since, until)
    with sql_of(settings_of(context)) as stores:
        page = stores.audit.find(only, limit=limit)
    if as_json:
        print_json(page.items)
        return
    columns = ("seq", "at (UTC)", "actor", "action", "target", "reason", "digest")
    rows = [(r.seq, at(r.at), r.actor, r.action, r.target, r.reason, r.digest[:12]) for r in page.items]
    print_table("Audit", columns, rows)


@app.command("export")
@exit_codes
def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="File to write; `-` is standard output.")],
    form: Annotated[Form, typer.Option("--format", help="`jsonl` can be verified offline; `csv` is for reading.")] = (
        Form.JSONL
    ),
    actor: Actor = "",
    action: Action = "",
    target: Target = "",
    since: Since = "",
    until: Until = "",
) -> None:
    """Export audit records, oldest first. Without filters, JSON Lines is the whole chain: `audit verify --file` takes it."""
    from sentinel.audit_export import csv_lines, json_lines
    from sentinel.cli.bootstrap import sql_of

    only = _filter(actor, action, target, since, until)
    lines_of = csv_lines if form is Form.CSV else json_lines
    with ExitStack() as stack:
        stores = stack.enter_context(sql_of(settings_of(context)))
        out = sys.stdout.buffer if str(file) == "-" else stack.enter_context(file.open("wb"))
        for line in lines_of(stores.audit.records(only)):
            out.write(line)
        out.flush()


@app.command("verify")
@exit_codes
def verify_chain(
    context: typer.Context,
    anchor: Annotated[
        Path | None, typer.Option(help="File of unsigned heads to hold the chain against. Default: the configured one.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Verify this export (JSON Lines) instead of the database.", dir_okay=False)
    ] = None,
    heads: Annotated[
        list[Path] | None, typer.Option(help="File of signed heads, from outside; may be given several times.")
    ] = None,
    public_key: Annotated[
        list[Path] | None, typer.Option(help="Public key (PEM) that is trusted; may be given several times.")
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="The export is an excerpt: it begins after a signed head.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Verify the chain against what was kept outside; exit 0 when it holds, 1 with the first bad record when not.

    With --file, --heads and --public-key it needs no database and no configuration.
    """
    from sentinel.audit_anchor import AnchorFile
    from sentinel.audit_chain import verify
    from sentinel.audit_export import read_json_lines
    from sentinel.cli.bootstrap import anchor_of, sql_of

    proof = _given_proof(heads or [], public_key or [])
    with ExitStack() as stack:
        if file is not None:
            lines = stack.enter_context(_readable(file).open("rb"))
            records, anchors = read_json_lines(lines, str(file)), AnchorFile(anchor).read() if anchor else []
        else:
            settings = settings_of(context)
            anchors = AnchorFile(anchor or anchor_of(settings)).read()
            stores = stack.enter_context(sql_of(settings))
            proof = proof or _configured_proof(settings)
            if proof and not heads:
                proof = proof.with_heads(stores.audit.heads.all())
            records = stores.audit.records()
        verdict = verify(
            records, anchors, proof.heads if proof else (), proof.trust if proof else None, partial=partial
        )
    _print_verdict(verdict, len(anchors), as_json)


def _print_verdict(verdict: AuditVerdict, anchors: int, as_json: bool) -> None:
    if as_json:
        print_json(verdict)
    elif verdict.ok:
        after = f" after record {verdict.starts_after}" if verdict.starts_after else ""
        say(
            f"The audit chain holds: {verdict.records} records{after}, head {verdict.head_hash[:16]}, "
            f"{anchors} anchored heads, {verdict.unanchored} records after the last of them."
        )
        if verdict.unsigned is None:
            say("No signed heads were checked: a chain that was computed anew with its anchors would look like this.")
        else:
            say(f"{verdict.heads} signed heads are good; {verdict.unsigned} records come after the last of them.")
    else:
        day = f" ({verdict.day})" if verdict.day else ""
        say(f"The audit chain does NOT hold: {verdict.fault} at record {verdict.first_bad}: {verdict.reason}{day}.")
    if not verdict.ok:
        raise typer.Exit(EXIT_FAILED)


def _given_proof(heads: list[Path], keys: list[Path]) -> Proof | None:
    from sentinel.audit_heads import read_heads
    from sentinel.audit_keys import load_trusted_keys
    from sentinel.audit_proof import Proof

    if not keys:
        if heads:
            fail(
                "--heads needs --public-key: whoever could change the chain could sign heads with a key of their own",
                EXIT_USAGE,
            )
        return None
    found = [head for path in heads for head in read_heads(_readable(path).read_bytes(), str(path))]
    return Proof(load_trusted_keys(keys), tuple(found))


def _configured_proof(settings: Settings) -> Proof | None:
    from sentinel.audit_proof import load_proof

    return load_proof(settings.audit, settings.state)


def _readable(path: Path) -> Path:
    if not path.is_file():
        fail(f"there is no file {path}", EXIT_USAGE)
    return path


def _filter(actor: str, action: str, target: str, since: str, until: str) -> AuditFilter:
    from sentinel.stores.sql.audit import AuditFilter

    return AuditFilter(
        actor=actor, action=action, target=target, since=_instant("--since", since), until=_instant("--until", until)
    )


def _instant(option: str, text: str) -> float | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option}: {text!r} is not a time such as 2026-11-23T09:10:00Z", EXIT_USAGE)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
