"""Pictures of long spans: how long parts of a kind live, and how supplies and pages went over a season."""

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup, escape

from api.pages.charts import picture
from crm_core.domain.part_lives import PartLife

_STEPS: Final = 48
_BEYOND: Final = 1.6  # of the design life: how far the axis of a survival curve goes
_LABEL_ROOM: Final = 14.0


def survival(life: PartLife, age_pages: float | None, limit_share: float, title: str) -> Markup:
    """Return the share of parts still alive over pages, the company's own steps with their interval, and this part's age.

    `limit_share` of the design life is where policy replaces the part: a dashed line.
    """
    width, height = 320.0, 96.0
    span = axis_pages(life, age_pages)

    def x(pages: float) -> float:
        return width * min(pages / span, 1.0)

    def y(share: float) -> float:
        return height - 4 - (height - 8) * share

    body = "".join(f'<path class="grid" d="M0 {y(mark):.1f}H{width:g}"/>' for mark in (0.0, 0.5, 1.0))
    body += _seen_band(life, [(x(point.pages), y(point.low), y(point.high)) for point in life.curve])
    points = [span * step / _STEPS for step in range(_STEPS + 1)]
    line = "L".join(f"{x(pages):.1f} {y(life.alive(pages)):.1f}" for pages in points)
    limit = x(limit_share * life.design_life_pages)
    body += f'<path class="line" d="M{line}"/><path class="limit" d="M{limit:.1f} 0V{height:g}"/>'
    if age_pages is not None:
        here = min(max(x(age_pages), 5), width - 5)
        body += (
            f'<path class="today" d="M{here:.1f} 0V{height:g}"/>'
            f'<circle class="dot-now" cx="{here:.1f}" cy="{y(life.alive(age_pages)):.1f}" r="5"/>'
        )
    return picture("survival", width, height, title, body)


def axis_pages(life: PartLife, age_pages: float | None) -> float:
    """Return where the axis of a survival curve ends, in pages."""
    return max(_BEYOND * life.design_life_pages, 1.1 * (age_pages or 0.0))


def _seen_band(life: PartLife, points: Sequence[tuple[float, float, float]]) -> str:
    """Return the interval of the company's own survival curve as steps; nothing where too few parts failed."""
    if not life.own or not points:
        return ""
    upper = lower = f"{points[0][0]:.1f}"
    edge = "".join(f"H{x:.1f}V{high:.1f}" for x, _, high in points)
    back = "".join(f"V{low:.1f}H{points[at][0]:.1f}" for at, (_, low, _) in reversed(list(enumerate(points))))
    return f'<path class="band" d="M{upper} {points[0][2]:.1f}{edge}{back}H{lower}Z"/>'


def level_lines(lines: Sequence[tuple[str, Sequence[float | None]]], title: str) -> Markup:
    """Return the levels in percent of several supplies, one a day; a style class and values for each. Gaps stay gaps."""
    width, height = 640.0, 140.0
    body = "".join(
        f'<path class="grid" d="M0 {_level_y(mark, height):.1f}H{width:g}"/>'
        f'<text x="2" y="{_level_y(mark, height) - 3:.1f}">{mark} %</text>'
        for mark in (0, 50, 100)
    )
    for tone, values in lines:
        data, drawn = "", False
        for position, value in enumerate(values):
            if value is not None:
                at = f"{width * position / max(len(values) - 1, 1):.1f} {_level_y(value, height):.1f}"
                data += f"L{at}" if drawn else f"M{at}"
            drawn = value is not None
        if data:
            body += f'<path class="level {escape(tone)}" d="{data}"/>'
    return picture("levels-chart", width, height, title, body, stretch=False)


def _level_y(percent: float, height: float) -> float:
    """Return the y of a level in percent, with room for the label above 100."""
    return height - 4 - (height - 4 - _LABEL_ROOM) * min(max(percent, 0.0), 100.0) / 100.0
