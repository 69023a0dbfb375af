"""Money: exact decimals with a currency, rounded half up to the cent only at the end of a calculation."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from crm_core.domain.errors import InvalidValue

CENT: Final = Decimal("0.01")


def to_cent(amount: Decimal) -> Decimal:
    """Return a plain amount rounded half up to the cent; only at the end of a calculation."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in one currency; binary floats are refused because they cannot hold cents."""

    amount: Decimal
    currency: str = "CNY"

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal) or not self.amount.is_finite():
            raise InvalidValue(f"an amount of money must be a finite Decimal, not {self.amount!r}")

    def __add__(self, other: "Money") -> "Money":
        self._same_currency(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same_currency(other)
        return Money(self.amount - other.amount, self.currency)

    def times(self, factor: Decimal | int) -> "Money":
        """Return the exact product; round with `rounded` at the end."""
        return Money(self.amount * factor, self.currency)

    def rounded(self) -> "Money":
        """Return the amount rounded half up to the cent."""
        return Money(to_cent(self.amount), self.currency)

    def _same_currency(self, other: "Money") -> None:
        if other.currency != self.currency:
            raise InvalidValue(f"cannot combine {self.currency} with {other.currency}")
