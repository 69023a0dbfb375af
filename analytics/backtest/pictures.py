"""Pictures of a back-test as SVG text: drawn here, so that a report is one file that opens anywhere."""

from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.backtest.report_words import both

Floats = npt.NDArray[np.float64]

_WIDTH: Final = 460
_HEIGHT: Final = 300
_LEFT: Final = 64
_RIGHT: Final = 14
_TOP: Final = 14
_BOTTOM: Final = 44


class Plot:
    """One chart with linear axes, from zero unless told; marks are added in data units."""

    def __init__(
        self,
        x_label: str,
        y_label: str,
        x_most: float,
        y_most: float,
        *,
        percent: bool = False,
        percent_y: bool = False,
        x_least: float = 0.0,
    ) -> None:
        self._x_label, self._y_label = x_label, y_label
        self._x_least = x_least
        self._x_most, self._y_most = max(x_most, x_least + 1e-9), max(y_most, 1e-9)
        self._percent, self._percent_y = percent, percent or percent_y
        self._marks: list[str] = []

    def x(self, value: float) -> float:
        """Return the horizontal position of a value in pixels."""
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * float(
            np.clip((value - self._x_least) / (self._x_most - self._x_least), 0.0, 1.0)
        )

    def y(self, value: float) -> float:
        """Return the vertical position of a value in pixels."""
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * float(np.clip(value / self._y_most, 0.0, 1.0))

    def line(self, xs: Sequence[float] | Floats, ys: Sequence[float] | Floats, style: str) -> None:
        """Add a line; NaN breaks it."""
        piece: list[str] = []
        for x, y in [*zip(xs, ys, strict=True), (np.nan, np.nan)]:
            if np.isnan(x) or np.isnan(y):
                if len(piece) > 1:
                    self._marks.append(f'<polyline class="{style}" points="{" ".join(piece)}"/>')
                piece = []
            else:
                piece.append(f"{self.x(x):.1f},{self.y(y):.1f}")

    def steps(self, xs: Sequence[float] | Floats, ys: Sequence[float] | Floats, style: str) -> None:
        """Add a step line that starts at (0, 1), as survival curves do."""
        px, py = [0.0], [1.0]
        for x, y in zip(xs, ys, strict=True):
            px += [float(x), float(x)]
            py += [py[-1], float(y)]
        self.line(px, py, style)

    def band(self, xs: Floats, low: Floats, high: Floats) -> None:
        """Add a shaded band."""
        keep = ~(np.isnan(low) | np.isnan(high))
        forth = [f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in zip(xs[keep], high[keep], strict=True)]
        back = [
            f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in zip(xs[keep][::-1], low[keep][::-1], strict=True)
        ]
        self._marks.append(f'<polygon class="band" points="{" ".join(forth + back)}"/>')

    def bar(self, left: float, right: float, height: float, style: str) -> None:
        """Add a bar."""
        x, y = self.x(left), self.y(height)
        base = _HEIGHT - _BOTTOM
        self._marks.append(
            f'<rect class="{style}" x="{x + 0.5:.1f}" y="{y:.1f}" width="{max(self.x(right) - x - 1, 0.5):.1f}" height="{base - y:.1f}"/>'
        )

    def dot(self, x: float, y: float, size: float = 3.5) -> None:
        """Add a dot."""
        self._marks.append(f'<circle class="dot" cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="{size:.1f}"/>')

    def legend(self, names: Sequence[tuple[str, str]]) -> None:
        """Add a legend at the top right: (text, style of its line)."""
        for row, (text, style) in enumerate(names):
            y = _TOP + 8 + 16 * row
            self._marks.append(
                f'<circle class="mark-{style}" cx="{_WIDTH - _RIGHT - 8}" cy="{y - 4}" r="4"/>'
                f'<text x="{_WIDTH - _RIGHT - 18}" y="{y}" text-anchor="end">{escape(both(text))}</text>'
            )

    def svg(self, title: str) -> str:
        """Return the chart as an SVG element with a title for screen readers."""
        axes = [f'<path class="axis" d="M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}"/>']
        for value in _ticks(self._x_most, self._x_least):
            text = self._text(value, percent=self._percent)
            axes.append(
                f'<text x="{self.x(value):.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{text}</text>'
            )
        for value in _ticks(self._y_most):
            y = self.y(value)
            axes.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
            axes.append(
                f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{self._text(value, percent=self._percent_y)}</text>'
            )
        middle = (_HEIGHT - _BOTTOM + _TOP) / 2
        axes.append(
            f'<text x="{(_WIDTH + _LEFT) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(both(self._x_label))}</text>'
        )
        axes.append(
            f'<text transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">{escape(both(self._y_label))}</text>'
        )
        body = "".join([*axes, *self._marks])
        return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">{body}</svg>'

    @staticmethod
    def _text(value: float, *, percent: bool) -> str:
        return f"{100 * value:.3g} %" if percent else f"{value:.4g}"


def _ticks(most: float, least: float = 0.0) -> list[float]:
    """Return about five round values from `least` (which is round) to `most`."""
    raw = (most - least) / 5
    size = 10 ** np.floor(np.log10(raw))
    step = float(size * min((factor for factor in (1, 2, 5, 10) if factor * size >= raw), default=10))
    return [least + step * number for number in range(int((most - least) / step + 1e-9) + 1)]


def histogram(
    values: Floats, edges: Floats, x_label: str, good: tuple[float, float], y_label: str = "cartridges"
) -> str:
    """Return a histogram whose bars inside `good` stand out."""
    counts, _ = np.histogram(values, edges)
    plot = Plot(
        x_label, y_label, float(edges[-1]), float(counts.max(initial=1)) * 1.05, x_least=float(edges[0])
    )
    for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        plot.bar(left, right, float(count), "good" if good[0] <= left < good[1] else "other")
    return plot.svg(x_label)


def reliability(forecast: Floats, happened: Floats, bins: int = 12) -> str:
    """Return forecast chance against observed share, in bins of equal size; the diagonal is perfect."""
    order = np.argsort(forecast, kind="stable")
    parts = [part for part in np.array_split(order, bins * 2) if len(part)]
    points = [(float(forecast[part].mean()), float(happened[part].mean())) for part in parts]
    most = 1.1 * max([1e-3, *(value for point in points for value in point)]) if points else 1.0
    plot = Plot("forecast chance", "happened", most, most, percent=True)
    plot.line([0, most], [0, most], "ideal")
    for x, y in points:
        plot.dot(x, y)
    return plot.svg("calibration")
