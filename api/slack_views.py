"""The modals of a card: why a plan is rejected, and everything about a request. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sentinel.approvals import ApprovalRequest
from sentinel.runs import TimelineRow
from sentinel.slack_blocks import REJECT_VIEW, Block, code_blocks, context, diff_lines, line, section

MAX_REASON = 2000
"""Characters of a reason, as in the API."""
MAX_DIFF_BLOCKS = 80
"""Blocks of the diff in a modal, which Slack limits to 100 in all."""
REASON_BLOCK, REASON_INPUT = "reason", "text"
"""`block_id` and `action_id` of the reason's input."""


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
                "label": _plain("Why? It goes into the outcome and the audit."),
                "element": {
                    "type": "plain_text_input",
                    "action_id": REASON_INPUT,
                    "multiline": True,
                    "min_length": 1,
                    "max_length": MAX_REASON,
                },
            }
        ],
    }


def details_view(request: ApprovalRequest, timeline: Sequence[TimelineRow]) -> dict[str, Any]:
    """Everything about a request: steps, the diff, policy, evidence and what happened so far."""
    plan = request.plan
    steps = [f"• {line(f'{action.type} {action.target.key}: {action.reason}', 400)}" for action in plan.actions]
    diff = code_blocks(one for preview in request.previews for one in diff_lines(preview))
    more = len(diff) - MAX_DIFF_BLOCKS
    cut = [section([f"*The diff goes on*; `sentinel approvals show {line(request.id, 80)}` has all of it."])]
    blocks: list[Block] = [
        section(["*Plan*", line(plan.summary, 800), *steps]),
        *diff[:MAX_DIFF_BLOCKS],
        *(cut if more > 0 else []),
        section(["*Policy*", *(f"• {line(reason)}" for reason in request.verdict.reasons)]),
        section(["*So far*", *(f"• {line(row.kind, 40)}: {line(row.text, 200)}" for row in timeline[-12:])]),
        context([f"planner {line(plan.planner, 60)}, runbook {line(plan.runbook, 100) or 'none'}"]),
        context([f"evidence {line(', '.join(plan.evidence), 600) or 'none'}"]),
        context([f"request `{line(request.id, 80)}` digest `{request.digest}`"]),
    ]
    return {"type": "modal", "title": _plain("Details"), "close": _plain("Close"), "blocks": blocks}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}
