"""The port of stock: the double-entry ledger of stock, cartridges in devices, stand-by machines and their loans."""

from typing import Protocol


class StockRepository(Protocol):
    """The double-entry ledger of stock, cartridges in devices, stand-by machines and their loans, within one transaction."""
