"""Takes figures of the policy by key, checks type and range, and knows which were never taken."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from crm_core.domain.errors import InvalidConfiguration


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the business with what it means and where it comes from."""

    key: str
    value: bool | int | float | str
    unit: str
    requirement: int
    note: str
    file: Path


class Taker:
    """Takes figures by key with a check of type and range, and knows which were never taken."""

    def __init__(self, folder: Path, figures: Mapping[str, Figure]) -> None:
        self._folder = folder
        self._figures = figures
        self._taken: set[str] = set()

    def number(self, key: str, *, least: float = 0.0, most: float = 1e9) -> float:
        figure = self._take(key)
        if isinstance(figure.value, (bool, str)) or not least <= figure.value <= most:
            raise InvalidConfiguration(f"{figure.file}: {key} must be a number from {least:g} to {most:g}")
        return float(figure.value)

    def whole(self, key: str, *, least: int = 0, most: int = 1_000_000) -> int:
        value = self.number(key, least=least, most=most)
        if value != int(value):
            raise InvalidConfiguration(f"{self._figures[key].file}: {key} must be a whole number")
        return int(value)

    def decimal(self, key: str, *, least: float = 0.0, most: float = 1e9) -> Decimal:
        """Return the figure as an exact decimal: money and shares of it are never binary floats."""
        self.number(key, least=least, most=most)
        return Decimal(str(self._figures[key].value))

    def flag(self, key: str) -> bool:
        figure = self._take(key)
        if not isinstance(figure.value, bool):
            raise InvalidConfiguration(f"{figure.file}: {key} must be true or false")
        return figure.value

    def text(self, key: str) -> str:
        figure = self._take(key)
        if not isinstance(figure.value, str):
            raise InvalidConfiguration(f"{figure.file}: {key} must be a text")
        return figure.value

    def duration(self, key: str) -> timedelta:
        units = {"minutes": timedelta(minutes=1), "hours": timedelta(hours=1), "days": timedelta(days=1)}
        figure = self._take(key)
        if figure.unit not in units:
            raise InvalidConfiguration(f"{figure.file}: {key} needs a unit of {', '.join(units)}")
        return self.number(key, most=100_000) * units[figure.unit]

    def names_under(self, table: str) -> list[str]:
        depth = table.count(".") + 1
        return list(
            dict.fromkeys(key.split(".")[depth] for key in self._figures if key.startswith(f"{table}."))
        )

    def nothing_left(self) -> None:
        left = sorted(self._figures.keys() - self._taken)
        if left:
            raise InvalidConfiguration(f"{self._folder}: no rule uses these figures: {', '.join(left)}")

    def _take(self, key: str) -> Figure:
        self._taken.add(key)
        if key not in self._figures:
            raise InvalidConfiguration(f"{self._folder}: figure {key} is missing")
        return self._figures[key]
