"""The modals of a card: why a plan is rejected, for how long it is quiet, and everything about a request. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sentinel.approvals import ApprovalRequest
from sentinel.incidents import Change, Incident
from sentinel.runs import TimelineRow
from sentinel.slack_blocks import (
    REJECT_VIEW,
    SNOOZE_VIEW,
    Block,
    code_blocks,
    context,
    diff_lines,
    line,
    section,
    slack_time,
)
from sentinel.step_facts import StepFacts

MAX_REASON = 2000
"""Characters of a reason, as in the API."""
MAX_DIFF_BLOCKS = 70
"""Blocks of the diff in a modal, which Slack limits to 100 in all."""
REASON_BLOCK, REASON_INPUT = "reason", "text"
"""`block_id` and `action_id` of the reason's input."""

FINAL_BLOCK, FINAL_INPUT = "final", "choice"
"""`block_id` and `action_id` of the rejection that wants no other plan."""
TIME_BLOCK, TIME_INPUT = "time", "choice"
"""`block_id` and `action_id` of the snooze's time."""
SNOOZES = {300: "5 minutes", 900: "15 minutes", 1800: "30 minutes", 3600: "1 hour", 14400: "4 hours"}
"""For how many seconds a card can be quiet."""


def reject_view(request_id: str, digest: str, channel: str) -> dict[str, Any]:
    """The modal that asks for the reason of a rejection; it carries ids and comes back signed by Slack."""
    return {
        "type": "modal",
        "callback_id": REJECT_VIEW,
        "private_metadata": json.dumps({"request_id": request_id, "digest": digest, "channel": channel}),
        "title": _plain("Reject the plan"),
        "submit": _plain("Reject"),
        "close": _plain("Cancel"),
        "blocks": [
            {
                "type": "input",
                "block_id": REASON_BLOCK,
                "label": _plain("Why? The next plan avoids it; it goes into the outcome and the audit."),
                "element": {
                    "type": "plain_text_input",
                    "action_id": REASON_INPUT,
                    "multiline": True,
                    "min_length": 1,
                    "max_length": MAX_REASON,
                },
            },
            {
                "type": "input",
                "block_id": FINAL_BLOCK,
                "optional": True,
                "label": _plain("And then"),
                "element": {
                    "type": "checkboxes",
                    "action_id": FINAL_INPUT,
                    "options": [{"text": _plain("Plan nothing else: people take over"), "value": "final"}],
                },
            },
        ],
    }


def snooze_view(request_id: str, digest: str, channel: str) -> dict[str, Any]:
    """The modal that asks for how long the card shall be quiet."""
    options = [{"text": _plain(text), "value": str(seconds)} for seconds, text in SNOOZES.items()]
    return {
        "type": "modal",
        "callback_id": SNOOZE_VIEW,
        "private_metadata": json.dumps({"request_id": request_id, "digest": digest, "channel": channel}),
        "title": _plain("Snooze the card"),
        "submit": _plain("Snooze"),
        "close": _plain("Cancel"),
        "blocks": [
            {
                "type": "input",
                "block_id": TIME_BLOCK,
                "label": _plain("No news in its thread for"),
                "element": {
                    "type": "static_select",
                    "action_id": TIME_INPUT,
                    "options": options,
                    "initial_option": options[1],
                },
            },
            context(
                ["The question still expires when it would; then it is asked again, and heard. It is in the audit."]
            ),
        ],
    }


def details_view(request: ApprovalRequest, incident: Incident, timeline: Sequence[TimelineRow]) -> dict[str, Any]:
    """Everything about a request: steps, the diff, policy, evidence and what happened so far."""
    plan = request.plan
    steps = [f"• {line(f'{action.type} {action.target.key}: {action.reason}', 400)}" for action in plan.actions]
    diff = code_blocks(one for preview in request.previews for one in diff_lines(preview))
    more = len(diff) - MAX_DIFF_BLOCKS
    cut = [section([f"*The diff goes on*; `sentinel approvals show {line(request.id, 80)}` has all of it."])]
    blocks: list[Block] = [
        section(["*Plan*", line(plan.summary, 800), *steps]),
        *(section([f"*Step {number}*", *_facts(one)]) for number, one in enumerate(request.steps[:10], start=1)),
        *diff[:MAX_DIFF_BLOCKS],
        *(cut if more > 0 else []),
        section(["*Policy*", *(f"• {line(reason)}" for reason in request.verdict.reasons)]),
        section(["*Evidence*", *_evidence(incident)]),
        section(["*So far*", *(f"• {line(row.kind, 40)}: {line(row.text, 200)}" for row in timeline[-12:])]),
        context([f"planner {line(plan.planner, 60)}, runbook {line(plan.runbook, 100) or 'none'}"]),
        context([f"cites {line(', '.join(plan.evidence), 600) or 'none'}"]),
        context([f"request `{line(request.id, 80)}` digest `{request.digest}`"]),
    ]
    return {"type": "modal", "title": _plain("Details"), "close": _plain("Close"), "blocks": blocks}


def _facts(step: StepFacts) -> list[str]:
    """What the server computed of one step."""
    tier = "unknown" if step.tier is None else step.tier
    head = f"risk {step.risk.value} · tier {tier} · {line(step.reach, 400)} · {line(step.undo, 300)}"
    return [head, *(f"• proven when {line(one, 250)}" for one in step.proof)]


def _evidence(incident: Incident) -> list[str]:
    """The facts that analysis had, each with its place; most telling first."""
    facts = incident.context
    lines = [f"• alert, {line(one.series.key, 160)}: {line(one.text, 200)}" for one in incident.alerts[:6]]
    lines += [
        f"• suspect, {line(one.service, 80)}: {line('; '.join(one.reasons), 300)}" for one in incident.suspects[:3]
    ]
    lines += [_change(change) for change in facts.changes[-5:]]
    lines += [f"• history: {line(one.text, 250)}" for one in facts.history[:5]]
    for past in facts.similar[:3]:
        ended = line(f"{past.action or 'nothing was done'} → {past.outcome or 'outcome unknown'}", 200)
        lines.append(f"• similar ({past.similarity:.2f}), {line(past.title, 150)}: {ended}")
    return [*lines, *(f"• missing: {line(store, 40)} did not answer" for store in facts.missing)]


def _change(change: Change) -> str:
    labels = line(" ".join(f"{key}={value}" for key, value in sorted(change.labels.items())), 200)
    return f"• change, {line(change.service, 80)}: {line(change.kind, 40)} {slack_time(change.at)} {labels}"


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}
