"""The card of an incident in Slack: from what is known to Block Kit blocks. Pure.

What a person approves must be on the card: when the exact diff does not fit, the card has no Approve button and says how
to approve instead. The sum of all texts stays below what Slack takes (about 13,000 characters).
"""

from __future__ import annotations

from dataclasses import dataclass

from sentinel.approvals import ApprovalDecision, ApprovalRequest, ApprovalStatus
from sentinel.incidents import Incident, IncidentAlert, IncidentStatus
from sentinel.outcomes import Outcome
from sentinel.plans import Action, Preview
from sentinel.slack_blocks import (
    APPROVE,
    DETAILS,
    REJECT,
    SNOOZE,
    Block,
    button,
    button_value,
    code_blocks,
    context,
    diff_lines,
    header,
    image,
    line,
    plain_line,
    section,
    slack_time,
)
from sentinel.snoozes import Snooze
from sentinel.step_facts import StepFacts

MAX_DIFF = 6000
"""Characters of all diffs on a card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPlot:
    """The telling series. `file` is Slack's id of its picture, empty while there is none: then `bars` stands in for it."""

    name: str
    now: float | None
    expected: float | None
    last_week: float | None
    bars: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What a card shows. `request` is the newest question, `votes` the answers to it, `outcomes` oldest first.

    `status`: how the question stands now; None while nothing was asked. `snooze` is there while the card is quiet.
    """

    incident: Incident
    request: ApprovalRequest | None = None
    status: ApprovalStatus | None = None
    votes: tuple[ApprovalDecision, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    snooze: Snooze | None = None
    plot: CardPlot | None = None

    @property
    def waiting(self) -> bool:
        """Whether a person's answer is wanted."""
        return self.status is ApprovalStatus.PENDING

    @property
    def decision(self) -> ApprovalDecision | None:
        """The answer that decided."""
        return next((vote for vote in self.votes if vote.closes), None)


@dataclass(frozen=True, slots=True)
class Message:
    """A message for Slack: `text` is what notifications show, where there are no blocks."""

    text: str
    blocks: list[Block]


def render_card(facts: CardFacts) -> Message:
    """The card as the facts are now."""
    incident = facts.incident
    blocks = [header(f"{_state(facts)}: {incident.title}"), section(_what_happened(incident))]
    if facts.outcomes:
        blocks.append(section(_outcomes(facts.outcomes)))
    if facts.plot is not None:
        blocks += _plot(facts.plot)
    if incident.suspects:
        blocks.append(section(_suspects(incident)))
    if fixed := _fixed_last_time(incident):
        blocks.append(section(fixed))
    if facts.request is not None:
        blocks += _question(facts, facts.request)
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
    blamed = incident.suspects[0].service if incident.suspects else ""
    alerts = sorted(incident.alerts, key=lambda alert: alert.series.service != blamed)
    lines += [_alert(alert) for alert in alerts[:5]]
    if len(alerts) > 5:
        lines.append(f"• and {len(alerts) - 5} more")
    if incident.context.missing:
        lines.append(f"Not known, because these were away: {line(', '.join(incident.context.missing))}")
    return lines


def _alert(alert: IncidentAlert) -> str:
    ended = alert.resolution.value if alert.resolution else "resolved"
    what = f"*{line(alert.series.service, 80)}* {line(alert.series.name, 80)}"
    return f"• {what} {'is firing' if alert.firing else ended}: {line(alert.text, 250)}"


def _plot(plot: CardPlot) -> list[Block]:
    """The picture with its numbers in words: also for who cannot see it."""
    numbers = (("now", plot.now), ("expected", plot.expected), ("same hour last week", plot.last_week))
    words = ", ".join(f"{what} {value:.4g}" for what, value in numbers if value is not None)
    said = f"{line(plot.name, 160)}: {words or 'no value'}"
    if not plot.file:
        return [section([f"{said}{f'  `{plot.bars}`' if plot.bars else ''}"])]
    told = plain_line(f"{plot.name}: {words}. Shown: value, normal band, same hour last week, alert, actions. UTC.")
    return [image(plot.file, told), context([said])]


def _suspects(incident: Incident) -> list[str]:
    lines = ["*Suspects*"]
    for suspect in incident.suspects[:3]:
        reasons = line("; ".join(reason.rstrip(". ") for reason in suspect.reasons), 400) or "no reason given"
        lines.append(f"• *{line(suspect.service, 80)}* ({suspect.score:.2f}): {reasons}")
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
    blocks = [
        section(["*Plan*", line(request.plan.summary, 600), *(_action(request, one) for one in request.plan.actions)])
    ]
    if request.difference:
        blocks.append(section(["*New since the last question*", *(f"• {line(one)}" for one in request.difference)]))
    diff = code_blocks(one for preview in request.previews for one in diff_lines(preview))
    whole = sum(len(block["text"]["text"]) for block in diff) <= MAX_DIFF and _complete(request, previews)
    blocks += diff if whole else [section(["*The diff is too long for a card.* See Details for its start."])]
    blocks.append(section(["*Policy*", *(f"• {line(reason)}" for reason in request.verdict.reasons)]))
    blocks.append(section(_answered(facts, request)))
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


def _action(request: ApprovalRequest, action: Action) -> str:
    """One step, with what the server knows of it."""
    known = next((one for one in request.steps if one.action_id == action.id), None)
    params = ", ".join(f"{key}={value}" for key, value in sorted(action.params.items()))
    what = line(f"{action.type} {action.target.key} {params}".strip(), 300).replace("`", "'")
    way_back = line(known.undo, 200) if known else "can be undone"
    undo = way_back if action.reversible else "*cannot be undone*"
    lines = [
        f"• `{what}`",
        f"    risk *{action.risk.value}* · expected downtime *{action.expected_downtime:g} s* · {undo}",
        f"    {_reach(known)}",
    ]
    if known and known.proof:
        lines.append(f"    proven when {line('; '.join(_short(known.proof)), 400)}")
    return "\n".join(lines)


def _short(proof: tuple[str, ...]) -> tuple[str, ...]:
    """The first and the last things that prove it, which differ in kind; Details has all of them."""
    return proof if len(proof) <= 3 else (*proof[:2], f"{len(proof) - 3} more like it", proof[-1])


def _reach(known: StepFacts | None) -> str:
    """The blast radius: how many services, and what they may notice."""
    if known is None or not known.affected:
        return "blast radius *unknown*: the target is not in the service catalogue"
    count = len(known.affected)
    return f"blast radius *{count} service{'' if count == 1 else 's'}*: {line(known.reach, 300)}"


def _answered(facts: CardFacts, request: ApprovalRequest) -> list[str]:
    """Who answered, how many must, and until when."""
    lines = [_vote(vote) for vote in facts.votes]
    if facts.decision is not None:
        return lines
    needed, given = request.quorum.approvers, len(request.quorum.approved_by(facts.votes))
    match facts.status:
        case ApprovalStatus.PENDING:
            until = f"until {slack_time(request.expires_at)}; without one it is asked again"
            count = f"*{given} of {needed} approvals*, waits for another" if needed > 1 else "*Waits for an answer*"
            lines += [f"{count} {until}", *_barred(request)]
            if facts.snooze is not None:
                snooze = facts.snooze
                quiet = f"until {slack_time(snooze.until)}; the expiry stays"
                lines.append(f"*Snoozed* by {who(snooze.actor)} {quiet}")
        case ApprovalStatus.SUPERSEDED:
            lines.append("*Superseded*: what it asked about has changed; nothing was done")
        case _:
            lines.append(f"*Expired* at {slack_time(request.expires_at)} without an answer; nothing was done")
    return lines


def _vote(vote: ApprovalDecision) -> str:
    why = f": {line(vote.reason, 600)}" if vote.reason else ""
    final = ", no other plan" if vote.final else ""
    return f"*{vote.choice.value.capitalize()}* by {who(vote.actor)} at {slack_time(vote.decided_at)}{final}{why}"


def _barred(request: ApprovalRequest) -> list[str]:
    asked = request.quorum.requesters if request.quorum.separate else ()
    return [f"Asked for by {', '.join(map(who, asked))}, who may not approve it"] if asked else []


def _buttons(request: ApprovalRequest, *, whole: bool) -> Block:
    value = button_value(request.id, request.digest)
    approve = [button("Approve", APPROVE, value, "primary")] if whole else []
    return {
        "type": "actions",
        "elements": [
            *approve,
            button("Reject…", REJECT, value, "danger"),
            button("Details", DETAILS, value),
            button("Snooze…", SNOOZE, value),
        ],
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
