"""Pictures drawn on the server as SVG: small, without script, coloured by the style sheet, titled for screen readers.

Presentation attributes and classes only: the content security policy allows no inline style. Coordinates are
pixels of the view box; y grows downwards.
"""

import itertools
from collections.abc import Sequence
from typing import Final

from markupsafe import Markup, escape

from crm_core.domain.forecast import Interval

_SVG: Final = '<svg class="{cls}" viewBox="0 0 {w} {h}" role="{role}" aria-label="{title}" preserveAspectRatio="{ratio}"><title>{title}</title>{body}</svg>'


def picture(
    cls: str,
    width: float,
    height: float,
    title: str,
    body: str,
    *,
    stretch: bool = False,
    linked: bool = False,
) -> Markup:
    """Return the SVG element; `stretch` lets it fill its box in both directions, `linked` holds links for keyboards."""
    ratio = "none" if stretch else "xMidYMid meet"
    shapes = Markup(body)  # noqa: S704 - our own elements with numbers; names of classes are escaped
    frame = Markup(_SVG)  # noqa: S704 - a constant; `format` escapes the title
    role = "group" if linked else "img"
    return frame.format(
        role=role, cls=cls, w=f"{width:g}", h=f"{height:g}", title=title, ratio=ratio, body=shapes
    )


def sparkline(values: Sequence[float | None], title: str, *, width: int = 240, height: int = 44) -> Markup:
    """Return a line over equally spaced values with a soft area below; None leaves a gap."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return Markup("")
    top = max(*known, 1e-09)
    step = width / max(len(values) - 1, 1)
    runs: list[list[tuple[float, float]]] = [[]]
    for position, value in enumerate(values):
        if value is None:
            if runs[-1]:
                runs.append([])
            continue
        runs[-1].append((position * step, height - 3 - (height - 6) * max(value, 0) / top))
    body = "".join(_run(run, height) for run in runs if run)
    return picture("spark", width, height, title, body, stretch=True)


def _run(points: Sequence[tuple[float, float]], height: float) -> str:
    """Return the area and the line of one unbroken run of points."""
    line = _path(points)
    first, last = points[0][0], points[-1][0]
    return (
        f'<path class="area" d="{line}L{last:.1f} {height}L{first:.1f} {height}Z"/>'
        f'<path class="line" d="{line}"/>'
    )


def _path(points: Sequence[tuple[float, float]]) -> str:
    """Return the path data of a polyline."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def interval_strip(interval: Interval, title: str, *, horizon: float = 28.0) -> Markup:
    """Return P10 to P90 as a band with a tick at P50 on an axis from today to `horizon` days; weeks are marked."""
    width, height = 140.0, 18.0
    scale = width / horizon
    low, mid, high = (
        min(max(value, 0.0), horizon) * scale for value in (interval.p10, interval.p50, interval.p90)
    )
    weeks = "".join(
        f'<path class="grid" d="M{day * scale:.1f} 0V{height}"/>' for day in range(0, int(horizon) + 1, 7)
    )
    soon = " soon" if interval.p50 <= 3 else ""
    body = (
        f'{weeks}<rect class="band{soon}" x="{low:.1f}" y="5" width="{max(high - low, 3):.1f}" height="8" rx="4"/>'
        f'<circle class="mid{soon}" cx="{min(max(mid, 4), width - 4):.1f}" cy="9" r="4"/>'
    )
    return picture("strip", width, height, title, body)


def level_fan(
    history: Sequence[float | None], level: float | None, interval: Interval | None, title: str
) -> Markup:
    """Return the level of the last days (percent, one a day) and how it may go on until empty.

    The fan opens from today's level to zero at P10, P50 and P90; the axis holds as many days to come as past ones.
    """
    width, height, past = 320.0, 96.0, 180.0
    ahead = width - past
    body = "".join(
        f'<path class="grid" d="M0 {_level_y(mark, height):.1f}H{width:g}"/>' for mark in (0, 50, 100)
    )
    step = past / max(len(history) - 1, 1)
    points = [
        (position * step, _level_y(value, height))
        for position, value in enumerate(history)
        if value is not None
    ]
    if len(points) > 1:
        body += f'<path class="line" d="{_steps(points)}"/>'
    if level is not None and interval is not None:
        body += _fan(level, interval, past, ahead, height, horizon=max(len(history) - 1, 14))
    body += f'<path class="today" d="M{past:g} 0V{height:g}"/>'
    return picture("fan", width, height, title, body)


def _fan(level: float, interval: Interval, past: float, ahead: float, height: float, *, horizon: int) -> str:
    """Return the wedge between P10 and P90 and the line to P50; what lies beyond the horizon is cut off there."""
    start = _level_y(level, height)

    def end(days: float) -> tuple[float, float]:
        if days <= horizon:
            return past + ahead * days / horizon, _level_y(0, height)
        return past + ahead, _level_y(level * (1 - horizon / days), height)

    (x1, y1), (x2, y2), (x3, y3) = end(interval.p10), end(interval.p50), end(interval.p90)
    corner = (
        f"L{past + ahead:.1f} {_level_y(0, height):.1f}" if interval.p90 > horizon >= interval.p10 else ""
    )
    return (
        f'<path class="band" d="M{past:.1f} {start:.1f}L{x1:.1f} {y1:.1f}{corner}L{x3:.1f} {y3:.1f}Z"/>'
        f'<path class="mid" d="M{past:.1f} {start:.1f}L{x2:.1f} {y2:.1f}"/>'
    )


def _steps(points: Sequence[tuple[float, float]]) -> str:
    """Return path data; a refill (a jump upwards) is drawn as a vertical step."""
    data = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (_, before), (x, y) in itertools.pairwise(points):
        data += f"H{x:.1f}V{y:.1f}" if before - y > 10 else f"L{x:.1f} {y:.1f}"
    return data


def _level_y(percent: float, height: float) -> float:
    """Return the y of a level in percent."""
    return height - 4 - (height - 8) * min(max(percent, 0.0), 100.0) / 100.0


def difference_bars(rows: Sequence[tuple[str, float, float, float]], title: str) -> Markup:
    """Return one line a row of (name, low, middle, high), shares of a present figure around a middle line at 0."""
    if not rows:
        return Markup("")
    width, height, label = 640.0, 22.0, 150.0
    most = max(0.02, *(abs(value) for _, *values in rows for value in values))
    zero, half = label + (width - label) / 2, (width - label) / 2 - 48
    body = f'<path class="today" d="M{zero:.1f} 0V{height * len(rows):.1f}"/>'
    for at, (name, low, middle, high) in enumerate(rows):
        y = height * at + height / 2
        left, right = zero + half * low / most, zero + half * high / most
        body += (
            f'<text x="0" y="{y + 4:.1f}">{escape(name)}</text>'
            f'<rect class="band" x="{left:.1f}" y="{y - 5:.1f}" width="{max(right - left, 2):.1f}" height="10" rx="4"/>'
            f'<circle class="mid" cx="{zero + half * middle / most:.1f}" cy="{y:.1f}" r="4"/>'
            f'<text x="{width - 44:.1f}" y="{y + 4:.1f}">{100 * middle:+.1f} %</text>'
        )
    return picture("differences", width, height * len(rows), title, body)


def shares(parts: Sequence[tuple[str, int]], title: str) -> Markup:
    """Return a stacked bar of (class, count) with small gaps; parts without a count are left out."""
    total = sum(count for _, count in parts)
    if total == 0:
        return Markup("")
    width, height, gap = 600.0, 14.0, 3.0
    shown = [(name, count) for name, count in parts if count]
    room = width - gap * (len(shown) - 1) - 6.0 * len(shown)
    x, body = 0.0, ""
    for name, count in shown:
        part = 6.0 + room * count / total
        body += (
            f'<rect class="{escape(name)}" x="{x:.1f}" y="0" width="{part:.1f}" height="{height:g}" rx="3"/>'
        )
        x += part + gap
    return picture("shares", width, height, title, body, stretch=True)


def bars(values: Sequence[float], title: str, *, width: int = 360, height: int = 72) -> Markup:
    """Return one bar a value, the newest at the right and marked."""
    if not values:
        return Markup("")
    top = max(*values, 1e-09)
    slot = width / len(values)
    body = f'<path class="grid" d="M0 {height - 0.5}H{width}"/>'
    for position, value in enumerate(values):
        tall = max((height - 6) * max(value, 0.0) / top, 1.0)
        last = " now" if position == len(values) - 1 else ""
        body += (
            f'<rect class="bar{last}" x="{position * slot + slot * 0.14:.1f}" y="{height - tall:.1f}" '
            f'width="{slot * 0.72:.1f}" height="{tall:.1f}" rx="1.5"/>'
        )
    return picture("bars", width, height, title, body, stretch=True)


def risk_bar(probability: float, title: str) -> Markup:
    """Return a chance (0..1) as a short bar on a scale that ends at one half."""
    width = 64.0
    filled = min(max(probability, 0.0) / 0.5, 1.0) * width
    body = (
        f'<rect class="track" x="0" y="3" width="{width:g}" height="6" rx="3"/>'
        f'<rect class="fill" x="0" y="3" width="{max(filled, 3):.1f}" height="6" rx="3"/>'
    )
    return picture("risk", width, 12, title, body)


def meter(percent: float | None, cls: str, title: str) -> Markup:
    """Return a level bar; an unknown level is hatched by the style sheet (class `unknown`), never drawn as a number."""
    width, height = 160.0, 10.0
    if percent is None:
        body = f'<rect class="track unknown" width="{width:g}" height="{height:g}" rx="5"/>'
    else:
        filled = max(min(percent, 100.0) / 100.0 * width, 2.0)
        body = (
            f'<rect class="track" width="{width:g}" height="{height:g}" rx="5"/>'
            f'<rect class="fill {escape(cls)}" width="{filled:.1f}" height="{height:g}" rx="5"/>'
        )
    return picture("meter", width, height, title, body, stretch=True)
