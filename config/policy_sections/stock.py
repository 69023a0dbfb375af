"""Reads the figures of stock from `config/policy/stock.yaml`, checked for type and range."""

from config.policy_taker import Taker
from crm_core.domain.stock_policy import StockPolicy


def stock_policy(take: Taker) -> StockPolicy:  # noqa: ARG001 - no figure yet
    """Return the section; raise `InvalidConfiguration` naming the key of a missing or impossible figure."""
    return StockPolicy()
