"""Slack's text markup as pieces with a style, for the picture of a card: what our own cards use, and no more. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

_PIECES = re.compile(r"```(?P<pre>.*?)```|`(?P<code>[^`\n]+)`|\*(?P<bold>[^*\n]+)\*|<(?P<link>[^<>]+)>", re.DOTALL)


class Style(StrEnum):
    """How a piece is written."""

    PLAIN = "plain"
    BOLD = "bold"
    CODE = "code"
    BLOCK = "block"
    MENTION = "mention"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of one style."""

    text: str
    style: Style = Style.PLAIN


def pieces(markup: str) -> Iterator[Piece]:
    """The text in pieces, unescaped; times are said in UTC.

    >>> [(piece.text, piece.style.value) for piece in pieces("*Plan* by <@U1>: a &lt; b")]
    [('Plan', 'bold'), (' by ', 'plain'), ('@U1', 'mention'), (': a < b', 'plain')]
    """
    end = 0
    for found in _PIECES.finditer(markup):
        if found.start() > end:
            yield Piece(_plain(markup[end : found.start()]))
        end = found.end()
        kind = found.lastgroup
        text = found.group(kind) if kind else ""
        match kind:
            case "pre":
                yield Piece(_plain(text), Style.BLOCK)
            case "code":
                yield Piece(_plain(text), Style.CODE)
            case "bold":
                yield Piece(_plain(text), Style.BOLD)
            case _:
                yield _link(text)
    if end < len(markup):
        yield Piece(_plain(markup[end:]))


def _link(text: str) -> Piece:
    """What stands between angle brackets: a time, or a person."""
    if text.startswith("!date^"):
        at = datetime.fromtimestamp(int(text.split("^")[1]), UTC)
        return Piece(f"{at:%b %d, %Y %H:%M:%S} UTC")
    return Piece(text, Style.MENTION)


def _plain(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
