"""Who answers the demo's approvals: the demo over HTTP with an API key, or the user (`--manual`)."""

from __future__ import annotations

from collections.abc import Callable

from sentinel.approvals import ApprovalRequest, ApprovalStatus
from sentinel.cli.demo.world import World

_USERS_PATIENCE = 900.0


def answer_by_demo(world: World, say: Callable[[str], None]) -> Callable[[ApprovalRequest], None]:
    """Approve what is asked, for exactly the digest that was shown."""

    def answer(request: ApprovalRequest) -> None:
        decision = world.api.approve(request.id, digest=request.digest, reason="the demo approves")
        say(f"  {decision.choice}d by {decision.actor} for digest {decision.digest[:12]}")

    return answer


def answer_by_user(world: World, say: Callable[[str], None]) -> Callable[[ApprovalRequest], None]:
    """Print how to answer and wait. The fleet's clock stands meanwhile: a person needs longer than simulated minutes."""

    def answer(request: ApprovalRequest) -> None:
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

    return answer


def _decided(request: ApprovalRequest) -> ApprovalRequest | None:
    return None if request.status is ApprovalStatus.PENDING else request
