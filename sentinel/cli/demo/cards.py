"""The cards that Sentinel sent in the demo: what is expected of them, and pictures of them for people."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sentinel.approvals import ApprovalRequest
from sentinel.cli.demo.expectations import Expectations
from sentinel.cli.demo.slack_stand_in import CardMessage
from sentinel.cli.demo.world import World
from sentinel.errors import PermanentError
from sentinel.slack_blocks import APPROVE, button_value

_PICTURE_PATIENCE = 1.5
"""Wall seconds after the question; it lives for eight, and the machine may be busy."""

_UPDATE_PATIENCE = 20.0
"""Wall seconds until what is recorded is on the card."""


def card_with_question(world: World, request: ApprovalRequest) -> CardMessage:
    """Wait for the card that asks this question, and a little longer for its picture, which comes after it."""
    wanted = button_value(request.id, request.digest)

    def look() -> CardMessage | None:
        card = world.slack.card_of(request.incident_id)
        return card if card and card.button(APPROVE) == wanted else None

    card = world.until(f"a card that asks {request.id}", look)
    while not card.picture and time.time() < request.requested_at + _PICTURE_PATIENCE:
        time.sleep(0.05)
    return card


def expect_card(
    world: World, expectations: Expectations, scene: str, incident_id: str, say: Callable[[str], None]
) -> None:
    """One card went from the question to the outcome, in place; a picture of it is kept."""

    def look() -> CardMessage | None:
        card = world.slack.card_of(incident_id)
        whole = card is not None and (bool(card.picture) or not drawn)
        return card if card and whole and card.headers[-1].startswith("Verified") else None

    drawn = find_spec("matplotlib") is not None
    name = "its card in Slack was posted and updated to verified"
    try:
        card = world.until(f"the card of {incident_id} to say verified", look, _UPDATE_PATIENCE)
    except PermanentError as error:
        expectations.expect(scene, name, held=False, seen=error)
        return
    told = [header.split(":")[0] for header in card.headers]
    expectations.expect(scene, name, (told[0], told[-1]) == ("Approval wanted", "Verified"), told)
    cards = sum(one.metadata == card.metadata for one in world.slack.cards.values())
    expectations.expect(scene, "one card for the incident", cards == 1, cards)
    if drawn:
        expectations.expect(scene, "with a picture of the series", card.picture in world.slack.files, card.picture)
    keep_picture(world, card.blocks, "verified", say)


def keep_picture(world: World, blocks: Sequence[dict[str, Any]], name: str, say: Callable[[str], None]) -> None:
    """Draw the card as it stands into the state folder, where the extra `plots` is installed."""
    from sentinel.cli.demo.card_picture import draw_card

    path = picture_path(world.config.parent, name)
    try:
        draw_card(blocks, world.slack.files, path)
    except ModuleNotFoundError as error:
        say(f"  no picture of the card: {error}; pip install 'aiops-sentinel[plots]'")
        return
    say(f"  the card as it was sent: {path}")


def picture_path(state: Path, name: str) -> Path:
    """Where the picture of a card lies."""
    return state / f"slack-card-{name}.png"
