"""Pictures of how good forecasts were: coverage over time against its band, and forecasts against what came true.

Drawn on the server like the others (`charts`): no script, coloured by the style sheet, titled for screen readers.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

from markupsafe import Markup, escape

from api.pages.charts import picture

_WIDTH: Final = 560.0
_HEIGHT: Final = 190.0
_LEFT: Final = 44.0
_BOTTOM: Final = 24.0
_TOP: Final = 10.0


def _y(share: float, low: float, high: float) -> float:
    room = _HEIGHT - _BOTTOM - _TOP
    return _TOP + room * (1.0 - (min(max(share, low), high) - low) / (high - low))


def _frame(marks: Sequence[tuple[float, str]], low: float, high: float) -> str:
    """Return horizontal lines with their words at the left."""
    return "".join(
        f'<path class="grid" d="M{_LEFT:g} {_y(value, low, high):.1f}H{_WIDTH:g}"/>'
        f'<text x="{_LEFT - 6:g}" y="{_y(value, low, high) + 4:.1f}" text-anchor="end">{escape(word)}</text>'
        for value, word in marks
    )


def coverage_over_time(points: Sequence[tuple[date, float]], least: float, most: float, title: str) -> Markup:
    """Return the share of truths within P10 and P90 by day, over the band in which it should lie."""
    if len(points) < 2:
        return Markup("")
    low, high = 0.4, 1.0
    first, last = points[0][0].toordinal(), points[-1][0].toordinal()
    step = (_WIDTH - _LEFT - 8) / max(last - first, 1)
    places = [(_LEFT + (day.toordinal() - first) * step, _y(share, low, high)) for day, share in points]
    top, bottom = _y(most, low, high), _y(least, low, high)
    x, y = places[-1]
    body = (
        _frame([(mark, f"{100 * mark:.0f} %") for mark in (0.4, 0.6, 0.8, 1.0)], low, high)
        + f'<rect class="band" x="{_LEFT:g}" y="{top:.1f}" width="{_WIDTH - _LEFT:.1f}" height="{bottom - top:.1f}"/>'
        + f'<path class="line" d="M{"L".join(f"{px:.1f} {py:.1f}" for px, py in places)}"/>'
        + f'<circle class="mid" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
        + f'<text x="{_LEFT:g}" y="{_HEIGHT - 6:g}">{points[0][0].isoformat()}</text>'
        + f'<text x="{_WIDTH - 2:g}" y="{_HEIGHT - 6:g}" text-anchor="end">{points[-1][0].isoformat()}</text>'
    )
    return picture("quality", _WIDTH, _HEIGHT, title, body)


def calibration(points: Sequence[tuple[float, float]], title: str, across: str, up: str) -> Markup:
    """Return forecast against truth, both in days: dots on the diagonal are right on average."""
    if not points:
        return Markup("")
    most = max(10.0, *(max(pair) for pair in points)) * 1.05
    width = 300.0

    def place(forecast: float, truth: float) -> tuple[float, float]:
        return _LEFT + (width - _LEFT - 8) * forecast / most, _y(truth / most, 0.0, 1.0)

    marks = [(value / most, f"{value:g}") for value in _round_marks(most)]
    x1, y1 = place(most, most)
    x0, y0 = place(0.0, 0.0)
    dots = "".join(
        f'<circle class="mid" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
        for x, y in (place(*pair) for pair in points)
    )
    body = (
        "".join(
            f'<path class="grid" d="M{_LEFT:g} {_y(value, 0.0, 1.0):.1f}H{width:g}"/>'
            f'<text x="{_LEFT - 6:g}" y="{_y(value, 0.0, 1.0) + 4:.1f}" text-anchor="end">{word}</text>'
            for value, word in marks
        )
        + f'<path class="today" d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"/>'
        + dots
        + f'<text x="{width - 2:g}" y="{_HEIGHT - 6:g}" text-anchor="end">{escape(across)}</text>'
        + f'<text x="{_LEFT + 6:g}" y="{_TOP + 6:g}">{escape(up)}</text>'
    )
    return picture("quality", width, _HEIGHT, title, body)


def _round_marks(most: float) -> list[float]:
    step = next((each for each in (2.0, 5.0, 10.0, 20.0, 50.0) if most / each <= 5), 100.0)
    return [step * at for at in range(int(most / step) + 1)]
