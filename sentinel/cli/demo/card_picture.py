"""A picture of a card from the blocks that were sent, in the manner of Slack. Drawn here: no picture of Slack itself."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentinel.cli.demo.card_text import Piece, Style, pieces
from sentinel.plots import font_file

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

WIDTH, SCALE = 760, 2
"""Width of the picture in points, and pixels of a point."""
NOTE = "Drawn by sentinel demo from the blocks that it sent over HTTP; not a picture of Slack."
"""The line at the bottom."""

_LEFT, _RIGHT, _TALL = 64, 24, 20_000
_INK, _FAINT, _RULE, _CODE, _MENTION, _SHADE = "#1d1c1d", "#616061", "#dddddd", "#c01343", "#1264a3", "#f6f6f6"
_BUTTONS = {"primary": ("#007a5a", "#007a5a", "#ffffff"), "danger": ("#e01e5a", "#ffffff", "#e01e5a")}
_FONTS = {Style.BOLD: "DejaVuSans-Bold.ttf", Style.CODE: "DejaVuSansMono.ttf", Style.BLOCK: "DejaVuSansMono.ttf"}


def draw_card(blocks: Sequence[dict[str, Any]], files: Mapping[str, bytes], to: Path) -> None:
    """Write the PNG of a card; `files` has its pictures by id. Needs the extra `plots` (`ModuleNotFoundError`)."""
    from PIL import Image

    image = Image.new("RGB", (WIDTH * SCALE, _TALL), "#ffffff")
    page = _Page(image)
    page.head()
    for block in blocks:
        page.block(block, files)
    page.foot()
    image.crop((0, 0, WIDTH * SCALE, page.y * SCALE)).save(to, optimize=True)


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    style: Style


class _Page:
    """Draws downwards; `y` is in points."""

    def __init__(self, image: Image) -> None:
        from PIL import ImageDraw

        self._image = image
        self._draw = ImageDraw.Draw(image)
        self._fonts: dict[tuple[Style, int], FreeTypeFont] = {}
        self.y = 16

    def head(self) -> None:
        """The line that says who wrote."""
        self._box(16, self.y, 36, 36, fill="#1f4e79", outline="#1f4e79", radius=6)
        self._text(26, self.y + 6, "S", Style.BOLD, 18, "#ffffff")
        self._text(_LEFT, self.y, "Sentinel", Style.BOLD, 13, _INK)
        self._box(_LEFT + 74, self.y + 2, 28, 13, fill="#e8e8e8", outline="#e8e8e8", radius=2)
        self._text(_LEFT + 79, self.y + 3, "APP", Style.PLAIN, 8, _FAINT)
        self.y += 24

    def foot(self) -> None:
        """Say what this is."""
        self.y += 6
        self._box(16, self.y, WIDTH - 32, 0, fill=None, outline=_RULE, radius=0)
        self._text(16, self.y + 8, NOTE, Style.PLAIN, 9, _FAINT)
        self.y += 30

    def block(self, block: dict[str, Any], files: Mapping[str, bytes]) -> None:
        """One block of the card."""
        match block["type"]:
            case "header":
                self._paragraph([Piece(block["text"]["text"], Style.BOLD)], 17, _INK)
            case "section":
                self._paragraph(pieces(block["text"]["text"]), 12, _INK)
            case "context":
                self._paragraph(pieces(" ".join(one["text"] for one in block["elements"])), 10, _FAINT)
            case "image":
                self._picture(files[block["slack_file"]["id"]])
            case "actions":
                self._buttons(block["elements"])
        self.y += 8

    def _paragraph(self, parts: Any, size: int, ink: str) -> None:
        line: list[_Word] = []
        for piece in parts:
            if piece.style is Style.BLOCK:
                self._flush(line, size, ink)
                self._preformatted(piece.text, size - 1)
                continue
            for number, row in enumerate(piece.text.split("\n")):
                if number:
                    self._flush(line, size, ink, force=True)
                self._wrap(line, row, piece.style, size, ink)
        self._flush(line, size, ink)

    def _wrap(self, line: list[_Word], row: str, style: Style, size: int, ink: str) -> None:
        """Add words; a word that does not fit begins the next line."""
        for number, text in enumerate(row.split(" ")):
            word = _Word(f" {text}" if number else text, style)
            room = WIDTH - _LEFT - _RIGHT
            if line and sum(self._width(one, size) for one in (*line, word)) > room:
                self._flush(line, size, ink)
                word = _Word(text, style)
            line.append(word)

    def _flush(self, line: list[_Word], size: int, ink: str, *, force: bool = False) -> None:
        if not line and not force:
            return
        x: float = _LEFT
        for word in line:
            colour = {Style.CODE: _CODE, Style.MENTION: _MENTION}.get(word.style, ink)
            self._text(x, self.y, word.text, word.style, size, colour)
            x += self._width(word, size)
        line.clear()
        self.y += round(size * 1.55)

    def _preformatted(self, text: str, size: int) -> None:
        room = int((WIDTH - _LEFT - _RIGHT - 20) / self._width(_Word("m", Style.BLOCK), size))
        rows = [row[i : i + room] for row in text.split("\n") for i in range(0, max(1, len(row)), room)]
        high = round(size * 1.5)
        tall = high * len(rows) + 14
        self._box(_LEFT, self.y, WIDTH - _LEFT - _RIGHT, tall, fill=_SHADE, outline=_RULE, radius=4)
        for number, row in enumerate(rows):
            self._text(_LEFT + 10, self.y + 7 + number * high, row, Style.BLOCK, size, _INK)
        self.y += tall + 2

    def _picture(self, content: bytes) -> None:
        from PIL import Image

        picture = Image.open(io.BytesIO(content)).convert("RGB")
        wide = (WIDTH - _LEFT - _RIGHT) * SCALE
        picture = picture.resize((wide, round(picture.height * wide / picture.width)), Image.Resampling.LANCZOS)
        self._image.paste(picture, (_LEFT * SCALE, self.y * SCALE))
        high = picture.height // SCALE
        self._box(_LEFT, self.y, wide // SCALE, high, fill=None, outline=_RULE, radius=4)
        self.y += high

    def _buttons(self, elements: Sequence[dict[str, Any]]) -> None:
        x: float = _LEFT
        for element in elements:
            edge, fill, ink = _BUTTONS.get(str(element.get("style", "")), ("#bbbbbb", "#ffffff", _INK))
            word = _Word(element["text"]["text"], Style.BOLD)
            wide = self._width(word, 11) + 24
            self._box(x, self.y, wide, 28, fill=fill, outline=edge, radius=5)
            self._text(x + 12, self.y + 7, word.text, word.style, 11, ink)
            x += wide + 8
        self.y += 30

    def _text(self, x: float, y: float, text: str, style: Style, size: int, ink: str) -> None:
        self._draw.text((x * SCALE, y * SCALE), text, font=self._font(style, size), fill=ink)

    def _box(
        self, x: float, y: float, wide: float, high: float, *, fill: str | None, outline: str, radius: int
    ) -> None:
        corners = (x * SCALE, y * SCALE, (x + wide) * SCALE, (y + high) * SCALE)
        self._draw.rounded_rectangle(corners, radius * SCALE, fill=fill, outline=outline, width=SCALE)

    def _width(self, word: _Word, size: int) -> float:
        return float(self._font(word.style, size).getlength(word.text)) / SCALE

    def _font(self, style: Style, size: int) -> FreeTypeFont:
        from PIL import ImageFont

        if (style, size) not in self._fonts:
            self._fonts[style, size] = ImageFont.truetype(font_file(_FONTS.get(style, "DejaVuSans.ttf")), size * SCALE)
        return self._fonts[style, size]
