"""Who answers the demo's approvals: the demo, by a click on a card or with an API key, or the user (`--manual`)."""

from __future__ import annotations

from collections.abc import Callable

from sentinel.approvals import ApprovalRequest, ApprovalStatus
from sentinel.cli.demo.cards import card_with_question, keep_picture
from sentinel.cli.demo.slack_stand_in import PRESSER
from sentinel.cli.demo.world import APPROVER, World
from sentinel.slack_blocks import APPROVE

_USERS_PATIENCE = 900.0
_CLICKS = 2
"""How many questions the demo answers in Slack: the bad deploy, and the same one again."""

Answering = Callable[[ApprovalRequest], str]
"""Answers a question, and returns the actor of the decision."""


def answer_by_demo(world: World, say: Callable[[str], None]) -> Answering:
    """Approve what is asked, for exactly the digest that was shown: two by a click on the card, the others by key."""
    answered: list[str] = []

    def answer(request: ApprovalRequest) -> str:
        answered.append(request.id)
        if len(answered) > _CLICKS:
            decision = world.api.approve(request.id, digest=request.digest, reason="the demo approves")
            say(f"  {decision.choice}d by {decision.actor} for digest {decision.digest[:12]}")
            return decision.actor
        card = card_with_question(world, request)
        asked = card.blocks
        world.slack.press(world.api.url, card, APPROVE)
        world.until("the click to decide", lambda: _decided(world.api.approval(request.id).request))
        say(f"  approved by a click on the card, as slack:{PRESSER}")
        keep_picture(world, asked, "asked", say)
        return f"slack:{PRESSER}"

    return answer


def answer_by_user(world: World, say: Callable[[str], None]) -> Answering:
    """Print how to answer and wait. The fleet's clock stands meanwhile: a person needs longer than simulated minutes."""

    def answer(request: ApprovalRequest) -> str:
        world.fleet.set_clock(paused=True)
        body = f'{{"choice": "approve", "digest": "{request.digest}", "reason": "looks right"}}'
        say(
            f"  your turn ({request.expires_at - request.requested_at:.0f} s), one of:\n\n"
            f"  SENTINEL_API_KEY={world.key} sentinel approvals approve {request.id} --reason 'looks right'\n\n"
            f"  curl -X POST {world.api.url}/api/v1/approvals/{request.id}/decision \\\n"
            f"    -H 'Authorization: Bearer {world.key}' -H 'Content-Type: application/json' \\\n"
            f"    -d '{body}'\n"
        )
        decided = world.until(
            f"your answer to {request.id}", lambda: _decided(world.api.approval(request.id).request), _USERS_PATIENCE
        )
        world.fleet.set_clock(paused=False)
        say(f"  {decided.status}")
        return APPROVER

    return answer


def _decided(request: ApprovalRequest) -> ApprovalRequest | None:
    return None if request.status is ApprovalStatus.PENDING else request
