"""`sentinel approvals`: what waits for a person. Lists from SQL; answers go through the API, as every other answer does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from sentinel.approvals import ApprovalRequest, ApprovalStatus, Choice
from sentinel.cli.options import Json, settings_of
from sentinel.cli.output import (
    EXIT_FAILED,
    EXIT_REFUSED,
    EXIT_USAGE,
    at,
    exit_codes,
    fail,
    print_json,
    print_table,
    say,
)
from sentinel.plans import Scalar

if TYPE_CHECKING:
    from sentinel.api_client import ApiClient

_NOT_FOUND = 404

app = typer.Typer(help="Approvals: what is asked, and the answers.", no_args_is_help=True)

RequestId = Annotated[str, typer.Argument(help="Id of the request, from `sentinel approvals list`.")]
Url = Annotated[str, typer.Option(help="Base URL of the API. Default: host and port of the configuration.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; it goes into the audit record.")]
DigestOption = Annotated[str, typer.Option(help="The digest you saw. Default: that of the request as it is now.")]


@app.command("list")
@exit_codes
def list_requests(
    context: typer.Context,
    status: Annotated[ApprovalStatus | None, typer.Option(help="Only requests in this state.")] = None,
    limit: Annotated[int, typer.Option(help="At most this many, newest first.", min=1, max=1000)] = 50,
    as_json: Json = False,
) -> None:
    """List approval requests, newest first."""
    from sentinel.cli.bootstrap import sql_of

    with sql_of(settings_of(context)) as stores:
        found = stores.approvals.find(status=status, limit=limit).items
    if as_json:
        print_json(found)
        return
    columns = ("id", "incident", "asked (UTC)", "expires (UTC)", "status", "plan")
    rows = [(r.id, r.incident_id, at(r.requested_at), at(r.expires_at), r.status, r.plan.summary) for r in found]
    print_table("Approval requests", columns, rows)


@app.command("show")
@exit_codes
def show_request(context: typer.Context, request_id: RequestId, as_json: Json = False) -> None:
    """Show exactly what would be done: plan, live diff, policy's reasons, digest, expiry."""
    request = _read(context, request_id)
    if as_json:
        print_json(request)
    else:
        _print(request)


@app.command("approve")
@exit_codes
def approve(
    context: typer.Context, request_id: RequestId, digest: DigestOption = "", reason: Reason = "", url: Url = ""
) -> None:
    """Approve a request. Needs an API key with the role approver in $SENTINEL_API_KEY."""
    _answer(context, request_id, Choice.APPROVE, digest, reason, url)


@app.command("reject")
@exit_codes
def reject(
    context: typer.Context,
    request_id: RequestId,
    digest: DigestOption = "",
    reason: Reason = "",
    url: Url = "",
    final: Annotated[bool, typer.Option("--final", help="End the run; else a reason asks for another plan.")] = False,
) -> None:
    """Reject a request. Needs an API key with the role approver in $SENTINEL_API_KEY."""
    _answer(context, request_id, Choice.REJECT, digest, reason, url, final=final)


@app.command("edit")
@exit_codes
def edit(
    context: typer.Context,
    request_id: RequestId,
    step: Annotated[int, typer.Argument(help="Number of the plan's step, from 1.", min=1)],
    change: Annotated[str, typer.Argument(help="PARAMETER=VALUE, such as replicas=6.")],
    digest: DigestOption = "",
    reason: Reason = "",
    url: Url = "",
) -> None:
    """Ask for another value of one parameter. The worker checks it and asks anew; you cannot approve your own edit."""
    parameter, equals, text = change.partition("=")
    if not (parameter and equals):
        fail(f"say PARAMETER=VALUE, not {change!r}", EXIT_USAGE)
    with _calling(context, url) as client:
        seen = digest or client.approval(request_id).request.digest
        asked = client.edit(request_id, digest=seen, step=step, parameter=parameter, value=_scalar(text), reason=reason)
    say(f"{asked.request_id}: {asked.actor} wants {parameter}={asked.value} in step {step}; the worker sees to it")


def _scalar(text: str) -> Scalar:
    """A number or a truth value where the text is one, else the text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


def _read(context: typer.Context, request_id: str) -> ApprovalRequest:
    from sentinel.cli.bootstrap import sql_of

    with sql_of(settings_of(context)) as stores:
        request = stores.approvals.get(request_id)
    if request is None:
        fail(f"there is no approval request {request_id!r}; see `sentinel approvals list`", EXIT_FAILED)
    return request


def _answer(
    context: typer.Context, request_id: str, choice: Choice, digest: str, reason: str, url: str, *, final: bool = False
) -> None:
    with _calling(context, url) as client:
        seen = digest or client.approval(request_id).request.digest
        if choice is Choice.APPROVE:
            decision = client.approve(request_id, digest=seen, reason=reason)
        else:
            decision = client.reject(request_id, digest=seen, reason=reason, final=final)
    more = "" if decision.closes else "; more people must approve"
    say(f"{decision.request_id}: {decision.choice} by {decision.actor} for digest {decision.digest[:12]}{more}")


@contextmanager
def _calling(context: typer.Context, url: str) -> Iterator[ApiClient]:
    """The API with the caller's key; what it refuses ends the command."""
    from sentinel.api_client import ApiClient, ApiError

    key = os.environ.get("SENTINEL_API_KEY", "")
    if not key:
        fail("set SENTINEL_API_KEY to an API key with the role approver (`sentinel keys new` makes one)", EXIT_USAGE)
    settings = settings_of(context)
    with ApiClient(url or f"http://{settings.api.host}:{settings.api.port}", key) as client:
        try:
            yield client
        except ApiError as error:
            fail(str(error), EXIT_FAILED if error.status == _NOT_FOUND else EXIT_REFUSED)


def _print(request: ApprovalRequest) -> None:
    plan = request.plan
    say(f"  ({request.id}, {request.status}, asked {request.asked} times)", strong=plan.summary)
    say(f"incident {request.incident_id}, attempt {plan.attempt}, {plan.planner} {plan.runbook}")
    say(f"asked {at(request.requested_at)} UTC, expires {at(request.expires_at)} UTC")
    say(f"digest {request.digest}")
    previews = {preview.action_id: preview for preview in request.previews}
    rows = []
    for action in plan.actions:
        preview = previews.get(action.id)
        undo = "can be undone" if action.reversible else "cannot be undone"
        rows.append(
            (action.type, action.target.name, preview.text if preview else "", action.risk, undo, action.reason)
        )
    if request.quorum.approvers > 1:
        say(f"{request.quorum.approvers} different people must approve")
    if request.difference:
        print_table(f"Since {request.replaces}", ("what is new",), [(line,) for line in request.difference])
    print_table("Would do", ("action", "target", "change", "risk", "undo", "because"), rows)
    for number, facts in enumerate(request.steps, start=1):
        say(f"step {number}: {facts.risk} risk, tier {'unknown' if facts.tier is None else facts.tier}; {facts.reach}")
        say(f"  {facts.undo}; proven when {'; '.join(facts.proof)}")
    print_table("Policy", ("says",), [(line,) for line in (request.verdict.answer, *request.verdict.reasons)])
