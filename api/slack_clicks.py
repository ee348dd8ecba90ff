"""What a click or a modal of a card means, read from Slack's payload. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from api.slack_views import FINAL_BLOCK, FINAL_INPUT, REASON_BLOCK, REASON_INPUT, TIME_BLOCK, TIME_INPUT
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
    final: bool = False


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
    reason = _input(body, REASON_BLOCK, REASON_INPUT).get("value") or ""
    final = bool(_input(body, FINAL_BLOCK, FINAL_INPUT).get("selected_options"))
    return replace(_from_view(body), reason=str(reason).replace("\x00", "").strip(), final=final)


def read_snooze(body: dict[str, Any]) -> tuple[Click, float]:
    """The modal that makes a card quiet (`view_submission`), and for how many seconds; 0 when that cannot be read."""
    chosen = (_input(body, TIME_BLOCK, TIME_INPUT).get("selected_option") or {}).get("value") or ""
    return _from_view(body), float(chosen) if re.fullmatch(r"[0-9]{1,6}", str(chosen)) else 0.0


def _from_view(body: dict[str, Any]) -> Click:
    metadata = json.loads((body.get("view") or {}).get("private_metadata") or "{}")
    return Click(
        user=_id(body, "user"),
        channel=str(metadata.get("channel", "")),
        request_id=str(metadata.get("request_id", "")),
        digest=str(metadata.get("digest", "")),
    )


def _input(body: dict[str, Any], block: str, action: str) -> dict[str, Any]:
    values = ((body.get("view") or {}).get("state") or {}).get("values") or {}
    found: dict[str, Any] = (values.get(block) or {}).get(action) or {}
    return found


def _id(body: dict[str, Any], key: str) -> str:
    return str((body.get(key) or {}).get("id", ""))
