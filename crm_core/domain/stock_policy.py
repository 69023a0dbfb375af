"""The business figures of stock (`config/policy/stock.yaml`) as a frozen type."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StockPolicy:
    """Stock: where cartridges, parts and stand-by machines are, and how they got there."""
