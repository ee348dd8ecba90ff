"""What a click or a modal of a card means, read from Slack's payload. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from api.slack_views import REASON_BLOCK, REASON_INPUT
from sentinel.slack_blocks import read_button_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """Who did something to which request, and where. Fields that the payload lacks are empty, and no rule passes them."""

    user: str
    channel: str
    request_id: str
    digest: str
    trigger_id: str = ""
    reason: str = ""


def read_click(body: dict[str, Any]) -> Click:
    """A button of a card (`block_actions`)."""
    actions = body.get("actions") or [{}]
    request_id, digest = read_button_value(str(actions[0].get("value", "")))
    return Click(
        user=_id(body, "user"),
        channel=_id(body, "channel"),
        request_id=request_id,
        digest=digest,
        trigger_id=str(body.get("trigger_id", "")),
    )


def read_submission(body: dict[str, Any]) -> Click:
    """The modal with the reason of a rejection (`view_submission`)."""
    view = body.get("view") or {}
    metadata = json.loads(view.get("private_metadata") or "{}")
    values = (view.get("state") or {}).get("values") or {}
    reason = values.get(REASON_BLOCK, {}).get(REASON_INPUT, {}).get("value") or ""
    return Click(
        user=_id(body, "user"),
        channel=str(metadata.get("channel", "")),
        request_id=str(metadata.get("request_id", "")),
        digest=str(metadata.get("digest", "")),
        reason=str(reason).replace("\x00", "").strip(),
    )


def _id(body: dict[str, Any], key: str) -> str:
    return str((body.get(key) or {}).get("id", ""))
