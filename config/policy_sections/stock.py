"""Reads the figures of stock from `config/policy/stock.yaml`, checked for type and range."""

from config.policy_taker import Taker
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.stock_policy import RentCreditPolicy, ShelfHint, StockPolicy, SwapPolicy


def stock_policy(take: Taker) -> StockPolicy:
    """Return the section; raise `InvalidConfiguration` naming the key of a missing or impossible figure."""
    return StockPolicy(
        swaps=_swaps(take),
        consolidate_at_days_left=take.number("stock.toner.consolidate_at_days_left"),
        tickets_per_visit=take.whole("stock.toner.tickets_per_visit", least=1, most=1000),
        shelf_hint=_hint(take),
        loan_distance_km=take.number("stock.loans.distance", most=20_000),
        loan_decide_after=take.duration("stock.loans.decide_after"),
        rent_credit=RentCreditPolicy(
            free_days=take.decimal("stock.rent_credit.free_days"),
            months_a_year=take.decimal("stock.rent_credit.months_a_year", least=1),
            days_a_year=take.decimal("stock.rent_credit.days_a_year", least=1),
        ),
    )


def _swaps(take: Taker) -> SwapPolicy:
    return SwapPolicy(
        sure_rise=take.number("stock.swaps.sure_rise", least=1, most=100),
        small_jump=take.number("stock.swaps.small_jump", least=1, most=100),
        match_within=take.number("stock.swaps.match_within", most=100),
        new_from=take.number("stock.swaps.new_from", most=100),
        early_above=take.number("stock.swaps.early_above", most=100),
        quiet_looks=take.whole("stock.swaps.quiet_looks", least=1),
        quiet_pages=take.whole("stock.swaps.quiet_pages"),
        around_visit=take.duration("stock.swaps.around_visit"),
        remembered=take.duration("stock.swaps.remembered"),
    )


def _hint(take: Taker) -> ShelfHint:
    text = take.text("stock.toner.shelf_hint")
    if text not in ShelfHint.__members__.values():
        known = ", ".join(each.value for each in ShelfHint)
        raise InvalidConfiguration(f"stock.toner.shelf_hint must be one of {known}")
    return ShelfHint(text)
