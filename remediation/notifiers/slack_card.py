"""The card of an incident in Slack: from what is known to Block Kit blocks. Pure.

What a person approves must be on the card: when the exact diff does not fit, the card has no Approve button and says how
to approve instead. The sum of all texts stays below what Slack takes (about 13,000 characters).
"""

from __future__ import annotations

from dataclasses import dataclass

from sentinel.approvals import ApprovalDecision, ApprovalRequest, ApprovalStatus
from sentinel.incidents import Incident, IncidentStatus
from sentinel.outcomes import Outcome
from sentinel.plans import Action, Preview
from sentinel.slack_blocks import (
    APPROVE,
    DETAILS,
    REJECT,
    Block,
    button,
    button_value,
    code_blocks,
    context,
    diff_lines,
    header,
    line,
    section,
)

MAX_DIFF = 6000
"""Characters of all diffs on a card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What a card shows. `request` is the newest question, `decision` its answer, `outcomes` oldest first.

    `status`: how the question stands now; None while nothing was asked.
    """

    incident: Incident
    request: ApprovalRequest | None = None
    status: ApprovalStatus | None = None
    decision: ApprovalDecision | None = None
    outcomes: tuple[Outcome, ...] = ()

    @property
    def waiting(self) -> bool:
        """Whether a person's answer is wanted."""
        return self.status is ApprovalStatus.PENDING


@dataclass(frozen=True, slots=True)
class Message:
    """A message for Slack: `text` is what notifications show, where there are no blocks."""

    text: str
    blocks: list[Block]


def render_card(facts: CardFacts) -> Message:
    """The card as the facts are now."""
    incident = facts.incident
    blocks = [header(f"{_state(facts)}: {incident.title}"), section(_what_happened(incident))]
    if incident.suspects:
        blocks.append(section(_suspects(incident)))
    if fixed := _fixed_last_time(incident):
        blocks.append(section(fixed))
    if facts.request is not None:
        blocks += _question(facts, facts.request)
    if facts.outcomes:
        blocks.append(section(_outcomes(facts.outcomes)))
    blocks.append(context([f"incident `{line(incident.id, 80)}` revision {incident.revision}"]))
    return Message(line(f"{_state(facts)}: {incident.title}", 500), blocks)


def _state(facts: CardFacts) -> str:
    if facts.waiting:
        return "Approval wanted"
    if facts.outcomes:
        return facts.outcomes[-1].result.value.replace("_", " ").capitalize()
    if facts.incident.status is IncidentStatus.RESOLVED:
        return "Resolved"
    return facts.status.value.capitalize() if facts.status else "Incident"


def _what_happened(incident: Incident) -> list[str]:
    services = ", ".join(incident.services)
    lines = [
        "*What happened*",
        f"{incident.severity.value} · {incident.kind.value} · {line(services)} · since {slack_time(incident.opened_at)}",
    ]
    for alert in incident.alerts[:5]:
        state = "firing" if alert.firing else f"resolved ({alert.resolution.value if alert.resolution else 'unknown'})"
        lines.append(f"• {line(alert.series.service, 80)}: {line(alert.text, 250)} ({state})")
    if len(incident.alerts) > 5:
        lines.append(f"• and {len(incident.alerts) - 5} more alerts")
    if incident.context.missing:
        lines.append(f"Not known, because these were away: {line(', '.join(incident.context.missing))}")
    return lines


def _suspects(incident: Incident) -> list[str]:
    lines = ["*Suspects*"]
    for suspect in incident.suspects[:3]:
        reasons = line("; ".join(suspect.reasons), 400) or "no reason given"
        lines.append(f"• {line(suspect.service, 80)} ({suspect.score:.2f}): {reasons}")
    return lines


def _fixed_last_time(incident: Incident) -> list[str]:
    past = [one for one in incident.context.similar if one.outcome][:2]
    if not past:
        return []
    lines = ["*Last time*"]
    for one in past:
        again = " — this is a recurrence of it" if one.incident_id == incident.recurrence_of else ""
        action = line(one.action, 200) or "nothing was done"
        lines.append(
            f"• {slack_time(one.opened_at)} {line(one.title, 150)}: {action} → {line(one.outcome, 80)}{again} "
            f"(`{line(one.incident_id, 80)}`)"
        )
    return lines


def _question(facts: CardFacts, request: ApprovalRequest) -> list[Block]:
    previews = {preview.action_id: preview for preview in request.previews}
    blocks = [section(["*Plan*", line(request.plan.summary, 600), *map(_action, request.plan.actions)])]
    diff = code_blocks(one for preview in request.previews for one in diff_lines(preview))
    whole = sum(len(block["text"]["text"]) for block in diff) <= MAX_DIFF and _complete(request, previews)
    blocks += diff if whole else [section(["*The diff is too long for a card.* See Details for its start."])]
    blocks.append(section(["*Policy*", *(f"• {line(reason)}" for reason in request.verdict.reasons)]))
    blocks.append(section([_answered(facts, request)]))
    if facts.waiting:
        blocks.append(_buttons(request, whole=whole))
        if not whole:
            said = f"sentinel approvals show {line(request.id, 80)}"
            blocks.append(section([f"To approve, read all of it first: `{said}`"]))
    blocks.append(
        context([f"request `{line(request.id, 80)}` · question {request.asked} · digest `{request.digest[:12]}`"])
    )
    return blocks


def _complete(request: ApprovalRequest, previews: dict[str, Preview]) -> bool:
    return all(action.id in previews for action in request.plan.actions)


def _action(action: Action) -> str:
    undo = "can be undone" if action.reversible else "*cannot be undone*"
    params = ", ".join(f"{key}={value}" for key, value in sorted(action.params.items()))
    what = line(f"{action.type} {action.target.key} {params}".strip(), 300)
    return (
        f"• `{what.replace('`', chr(39))}`: risk *{action.risk.value}*, down for {action.expected_downtime:g} s, {undo}"
    )


def _answered(facts: CardFacts, request: ApprovalRequest) -> str:
    decision = facts.decision
    if decision is not None:
        why = f": {line(decision.reason, 600)}" if decision.reason else ""
        return (
            f"*{decision.choice.value.capitalize()}* by {who(decision.actor)} at {slack_time(decision.decided_at)}{why}"
        )
    match facts.status:
        case ApprovalStatus.PENDING:
            return f"*Waits for an answer* until {slack_time(request.expires_at)}; without one it is asked again"
        case ApprovalStatus.SUPERSEDED:
            return "*Superseded*: what it asked about has changed; nothing was done"
        case _:
            return f"*Expired* at {slack_time(request.expires_at)} without an answer; nothing was done"


def _buttons(request: ApprovalRequest, *, whole: bool) -> Block:
    value = button_value(request.id, request.digest)
    approve = [button("Approve", APPROVE, value, "primary")] if whole else []
    return {
        "type": "actions",
        "elements": [*approve, button("Reject…", REJECT, value, "danger"), button("Details", DETAILS, value)],
    }


def _outcomes(outcomes: tuple[Outcome, ...]) -> list[str]:
    lines = ["*Outcome*"]
    for outcome in outcomes[-3:]:
        undone = " (undone)" if outcome.undone else ""
        done = line(", ".join(outcome.actions), 200) or "nothing"
        lines.append(
            f"• attempt {outcome.attempt}, {done}: *{outcome.result.value}*{undone}: {line(outcome.reason, 400)}"
        )
    return lines


def who(actor: str) -> str:
    """An actor as people read it: a user of Slack is mentioned, anyone else is plain text."""
    kind, _, user = actor.partition(":")
    return f"<@{user}>" if kind == "slack" and user.isalnum() else line(actor, 100)


def slack_time(at: float) -> str:
    """A time in the reader's own zone; the epoch where Slack cannot say it."""
    return f"<!date^{int(at)}^{{date_short_pretty}} {{time_secs}}|{int(at)}>"
