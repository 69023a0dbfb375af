"""A work order on paper: where, why, what to bring, the steps, room to write, and a QR code that opens the job.

Drawn with reportlab. A Chinese TrueType font that the machine has is embedded, so that phones show it (Debian:
fonts-wqy-microhei); without one the built-in CID font is used, which viewers must know themselves.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import segno
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

_FONT_FILES: Final = (
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/arphic/uming.ttc",
)
_WIDTH, _HEIGHT = A4
_LEFT: Final = 20 * mm
_RIGHT: Final = _WIDTH - 20 * mm
_BOTTOM: Final = 22 * mm
_INK: Final = HexColor("#16201c")
_QUIET: Final = HexColor("#55605b")
_LINE: Final = HexColor("#c9cec9")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading with lines; `numbered` for steps, `blank_lines` for room to write.

    `amounts` stand at the right, `totals` larger below a line.
    """

    heading: str
    lines: Sequence[str] = ()
    numbered: bool = False
    blank_lines: int = 0
    amounts: Sequence[tuple[str, str]] = ()
    totals: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What stands on the paper, in the reader's language; `link` goes into the QR code."""

    number: str
    title: str
    subtitle: str
    link: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    foot: str


@lru_cache(maxsize=1)
def font_name() -> str:
    """Register the font once and return its name."""
    for file in _FONT_FILES:
        if Path(file).is_file():
            pdfmetrics.registerFont(TTFont("DrumbeatHan", file, subfontIndex=0))
            return "DrumbeatHan"
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    return "STSong-Light"


def render(paper: Paper) -> bytes:
    """Return the PDF."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, pageCompression=1)
    canvas.setTitle(f"{paper.number} {paper.title}")
    canvas.setAuthor("Drumbeat")
    sheet = _Sheet(canvas, paper)
    sheet.head()
    sheet.facts()
    for section in paper.sections:
        sheet.section(section)
    sheet.finish()
    canvas.save()
    return out.getvalue()


class _Sheet:
    """A pen that knows where it is on the page and when a new page is due."""

    def __init__(self, canvas: Any, paper: Paper) -> None:
        self._canvas = canvas
        self._paper = paper
        self._font = font_name()
        self._y = _HEIGHT - 20 * mm

    def head(self) -> None:
        """Draw number, title and the QR code."""
        matrix = segno.make(self._paper.link, error="m", micro=False)
        self._code(matrix, _RIGHT - 26 * mm, self._y - 22 * mm, 26 * mm)
        self._text(self._paper.number, 11, colour=_QUIET)
        self._y -= 3 * mm
        for line in self._wrapped(self._paper.title, 18, _RIGHT - _LEFT - 34 * mm):
            self._text(line, 18)
        self._text(self._paper.subtitle, 10.5, colour=_QUIET)
        self._y = min(self._y, _HEIGHT - 46 * mm)

    def facts(self) -> None:
        """Draw labels and values in two columns."""
        self._rule()
        widths = (pdfmetrics.stringWidth(label, self._font, 10.5) for label, _ in self._paper.facts)
        column = min(max(34 * mm, max(widths, default=0.0) + 5 * mm), 80 * mm)
        for label, value in self._paper.facts:
            lines = self._wrapped(value, 10.5, _RIGHT - _LEFT - column)
            self._room(len(lines) * 5.4 * mm)
            self._canvas.setFont(self._font, 10.5)
            self._canvas.setFillColor(_QUIET)
            self._canvas.drawString(_LEFT, self._y, label)
            for line in lines:
                self._canvas.setFillColor(_INK)
                self._canvas.drawString(_LEFT + column, self._y, line)
                self._y -= 5.4 * mm

    def section(self, section: Section) -> None:
        """Draw a heading and its lines; the heading never stands alone at the foot of a page."""
        self._room(20 * mm)
        self._rule()
        self._text(section.heading, 12)
        self._y -= 1 * mm
        for place, line in enumerate(section.lines, 1):
            mark = f"{place}." if section.numbered else "–"
            wrapped = self._wrapped(line, 10.5, _RIGHT - _LEFT - 8 * mm)
            self._room(len(wrapped) * 5.4 * mm)
            self._canvas.setFont(self._font, 10.5)
            self._canvas.setFillColor(_INK)
            self._canvas.drawString(_LEFT, self._y, mark)
            for part in wrapped:
                self._canvas.drawString(_LEFT + 8 * mm, self._y, part)
                self._y -= 5.4 * mm
        for text, amount in section.amounts:
            self._amount(text, amount)
        self._totals(section.totals)
        for _ in range(section.blank_lines):
            self._room(9 * mm)
            self._y -= 6 * mm
            self._canvas.setStrokeColor(_LINE)
            self._canvas.line(_LEFT, self._y, _RIGHT, self._y)
            self._y -= 3 * mm

    def _totals(self, rows: Sequence[tuple[str, str]]) -> None:
        """Draw what the amounts come to: larger, below a line, together on one page."""
        if not rows:
            return
        self._room((len(rows) * 6.4 + 4) * mm)
        self._canvas.setStrokeColor(_INK)
        self._canvas.line(_LEFT, self._y + 2 * mm, _RIGHT, self._y + 2 * mm)
        self._y -= 3 * mm
        for text, amount in rows:
            self._amount(text, amount, size=12.5)
            self._y -= 1 * mm

    def _amount(self, text: str, amount: str, *, size: float = 10.5) -> None:
        """Draw a text with an amount at the right edge."""
        wrapped = self._wrapped(text, size, _RIGHT - _LEFT - 36 * mm)
        self._room(len(wrapped) * 5.4 * mm)
        self._canvas.setFont(self._font, size)
        self._canvas.setFillColor(_INK)
        self._canvas.drawRightString(_RIGHT, self._y, amount)
        for part in wrapped:
            self._canvas.drawString(_LEFT, self._y, part)
            self._y -= 5.4 * mm

    def finish(self) -> None:
        """Draw the foot of the last page."""
        self._foot()

    def _text(self, text: str, size: float, *, colour: Any = _INK) -> None:
        self._room(size * 1.5)
        self._canvas.setFont(self._font, size)
        self._canvas.setFillColor(colour)
        self._canvas.drawString(_LEFT, self._y, text)
        self._y -= size * 1.45

    def _rule(self) -> None:
        self._y -= 2 * mm
        self._canvas.setStrokeColor(_LINE)
        self._canvas.line(_LEFT, self._y, _RIGHT, self._y)
        self._y -= 7 * mm

    def _room(self, needed: float) -> None:
        """Begin a new page when `needed` points do not fit any more."""
        if self._y - needed >= _BOTTOM:
            return
        self._foot()
        self._canvas.showPage()
        self._canvas.setFont(self._font, 8.5)
        self._canvas.setFillColor(_QUIET)
        self._canvas.drawString(_LEFT, _HEIGHT - 14 * mm, f"{self._paper.number} · {self._paper.title}"[:110])
        self._y = _HEIGHT - 24 * mm

    def _foot(self) -> None:
        self._canvas.setFont(self._font, 8.5)
        self._canvas.setFillColor(_QUIET)
        self._canvas.drawString(_LEFT, 12 * mm, f"{self._paper.number} · {self._paper.foot}")
        self._canvas.drawRightString(_RIGHT, 12 * mm, str(self._canvas.getPageNumber()))

    def _wrapped(self, text: str, size: float, width: float) -> list[str]:
        """Return lines that fit `width` points; Chinese may break anywhere, other words at spaces."""
        lines, line = [], ""
        for word in _words(text):
            if line and pdfmetrics.stringWidth(line + word.rstrip(), self._font, size) > width:
                lines.append(line.rstrip())
                line = ""
            line += word
        return [*lines, line.rstrip()] if line.strip() or not lines else lines

    def _code(self, matrix: Any, x: float, y: float, side: float) -> None:
        """Draw the QR code as squares: sharp at any size, and no picture library is needed."""
        rows = list(matrix.matrix)
        step = side / len(rows)
        self._canvas.setFillColor(HexColor("#000000"))
        for row, modules in enumerate(rows):
            for column, dark in enumerate(modules):
                if dark:
                    self._canvas.rect(
                        x + column * step, y + side - (row + 1) * step, step, step, stroke=0, fill=1
                    )


def _words(text: str) -> list[str]:
    """Split a text where a line may break: after spaces, and around every Chinese character."""
    words, word = [], ""
    for character in text.replace("\n", " "):
        if ord(character) >= 0x2E80:
            if word:
                words.append(word)
            words.append(character)
            word = ""
        else:
            word += character
            if character == " " or len(word) >= 40:
                words.append(word)
                word = ""
    return [*words, word] if word else words
