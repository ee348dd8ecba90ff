"""Slack's Block Kit in small: text that cannot do anything, blocks within Slack's limits, and the value of a button. Pure.

Limits: https://docs.slack.dev/reference/block-kit/blocks (section text 3000, header 150, 50 blocks in a message, 100 in
a modal). Text from telemetry is tainted: it is escaped, put on one line and cut, and links or mentions in it stay text.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from typing import Any

from sentinel.plans import Preview

Block = dict[str, Any]
"""One Block Kit block, as JSON."""

MAX_TEXT = 3000
"""Characters of one text of a section, after escaping."""
MAX_HEADER = 150
"""Characters of a header."""
APPROVE, REJECT = "sentinel_approve", "sentinel_reject"
"""`action_id`s of the buttons that decide."""
DETAILS, SNOOZE = "sentinel_details", "sentinel_snooze"
"""`action_id`s of the buttons that decide nothing."""
REJECT_VIEW, SNOOZE_VIEW = "sentinel_reject_view", "sentinel_snooze_view"
"""`callback_id`s of the modals that ask why, and for how long."""

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_CUT = "…"


def escape(text: str, limit: int = MAX_TEXT) -> str:
    """The text with `& < >` escaped, at most `limit` characters; a cut is shown by `…` and never splits an escape.

    >>> escape("<!channel> & more", 20)
    '&lt;!channel&gt; …'
    """
    parts = [_ESCAPES.get(char, char) for char in text]
    if sum(map(len, parts)) <= limit:
        return "".join(parts)
    kept, length = [], len(_CUT)
    for part in parts:
        if length + len(part) > limit:
            break
        kept.append(part)
        length += len(part)
    return "".join(kept) + _CUT


def plain_line(text: str) -> str:
    r"""The text on one line without control and formatting characters (line breaks, bidirectional overrides).

    >>> plain_line("a\n*b*\u202e")
    'a *b*'
    """
    spaced = "".join(" " if char.isspace() else char for char in text)
    visible = "".join(char for char in spaced if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co"))
    return " ".join(visible.split())


def line(text: str, limit: int = 300) -> str:
    """Tainted text for use inside a section: one line, escaped, cut."""
    return escape(plain_line(text), limit)


def header(text: str) -> Block:
    """A header block; plain text, so nothing in it is escaped or interpreted."""
    flat = plain_line(text)
    shown = flat if len(flat) <= MAX_HEADER else flat[: MAX_HEADER - 1] + _CUT
    return {"type": "header", "text": {"type": "plain_text", "text": shown or "-", "emoji": False}}


def section(lines: Iterable[str]) -> Block:
    """A section of lines that are escaped already; lines that do not fit are left out, and their number is said."""
    return {"type": "section", "text": _mrkdwn(lines, MAX_TEXT)}


def context(lines: Iterable[str]) -> Block:
    """A context block (small print) of lines that are escaped already."""
    return {"type": "context", "elements": [_mrkdwn(lines, MAX_TEXT)]}


def _mrkdwn(lines: Iterable[str], limit: int) -> dict[str, Any]:
    kept: list[str] = []
    length = 0
    wanted = list(lines)
    for index, one in enumerate(wanted):
        length += len(one) + 1
        if length > limit - 40:
            kept.append(f"({len(wanted) - index} more)")
            break
        kept.append(one)
    return {"type": "mrkdwn", "text": "\n".join(kept) or "-", "verbatim": True}


def image(file: str, alt: str) -> Block:
    """A picture that was uploaded to Slack; `alt` says in words what it shows (plain text, at most 2000 characters)."""
    return {"type": "image", "slack_file": {"id": file}, "alt_text": alt[:2000]}


def button(text: str, action_id: str, value: str, style: str = "") -> Block:
    """A button; `value` is an opaque id."""
    made: Block = {
        "type": "button",
        "text": {"type": "plain_text", "text": text, "emoji": False},
        "action_id": action_id,
        "value": value,
    }
    return {**made, "style": style} if style else made


def button_value(request_id: str, digest: str) -> str:
    """What a button carries: which request, and the digest that the person sees."""
    return f"{request_id}:{digest}"


def read_button_value(value: str) -> tuple[str, str]:
    """Request id and digest from a button's value; two empty strings when it is not one of ours.

    >>> read_button_value("apr-1:ab")
    ('apr-1', 'ab')
    """
    request_id, _, digest = value.rpartition(":")
    return (request_id, digest) if request_id and digest else ("", "")


def slack_time(at: float) -> str:
    """A time in the reader's own zone; the epoch where Slack cannot say it."""
    return f"<!date^{int(at)}^{{date_short_pretty}} {{time_secs}}|{int(at)}>"


def diff_lines(preview: Preview) -> list[str]:
    """What an action changes, one line per old and new value, not escaped; `before` and `after` as JSON values."""
    missing = object()
    lines = [plain_line(preview.text), f"@ resource version {plain_line(preview.resource_version)}"]
    for key in sorted(preview.before.keys() | preview.after.keys()):
        old, new = preview.before.get(key, missing), preview.after.get(key, missing)
        if old == new and type(old) is type(new):
            continue
        if old is not missing:
            lines.append(f"- {plain_line(key)}: {json.dumps(old)}")
        if new is not missing:
            lines.append(f"+ {plain_line(key)}: {json.dumps(new)}")
    return lines


def code_blocks(lines: Iterable[str]) -> list[Block]:
    """Lines, not escaped, as sections of preformatted text that hold all of them: long lines are broken, none is cut."""
    whole = MAX_TEXT - 8
    pieces: list[str] = []
    for one in lines:
        pieces += _broken(one.replace("`", "'"), whole)
    blocks: list[Block] = []
    kept: list[str] = []
    for piece in pieces:
        if kept and sum(len(other) + 1 for other in kept) + len(piece) > whole:
            blocks.append(_code(kept))
            kept = []
        kept.append(piece)
    return [*blocks, _code(kept)] if kept else blocks


def _broken(text: str, size: int) -> list[str]:
    """Escaped pieces of at most `size` characters."""
    pieces, piece = [], ""
    for char in text:
        escaped = _ESCAPES.get(char, char)
        if len(piece) + len(escaped) > size:
            pieces.append(piece)
            piece = ""
        piece += escaped
    return [*pieces, piece]


def _code(lines: list[str]) -> Block:
    text = "\n".join(lines)
    return {"type": "section", "text": {"type": "mrkdwn", "text": f"```{text}```", "verbatim": True}}
