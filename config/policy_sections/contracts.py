"""Reads the figures of contracts from `config/policy/agreements.yaml`, checked for type and range."""

from datetime import time
from typing import Final

from config.policy_taker import Taker
from crm_core.domain.contract_policy import ContractPolicy, ShortTermPolicy, TermDiscount
from crm_core.domain.errors import InvalidConfiguration

_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_GIFTS: Final = ("month_rent", "upgrade")


def contract_policy(take: Taker) -> ContractPolicy:
    """Return the section; raise `InvalidConfiguration` naming the key of a missing or impossible figure."""
    base = "agreements.contracts"
    days = tuple(
        take.whole(f"{base}.dunning.{name}", least=1) for name in take.names_under(f"{base}.dunning")
    )
    if list(days) != sorted(set(days)):
        raise InvalidConfiguration(f"{base}.dunning: the days must rise from level to level")
    gift = take.text(f"{base}.renewal_gift")
    if gift not in _GIFTS:
        raise InvalidConfiguration(f"{base}.renewal_gift: one of {', '.join(_GIFTS)}")
    return ContractPolicy(
        interest_per_day=take.decimal(f"{base}.interest_per_day", most=1),
        dunning_days=days,
        termination_share=take.decimal(f"{base}.termination_share", most=1),
        depreciation_months=take.whole(f"{base}.depreciation_months", least=1),
        renewal_gift=gift,
        term_discounts=tuple(
            TermDiscount(
                name=name,
                from_months=take.whole(f"{base}.term_discounts.{name}.from_months", least=1),
                share=take.decimal(f"{base}.term_discounts.{name}.share", most=1),
            )
            for name in take.names_under(f"{base}.term_discounts")
        ),
        short_term=ShortTermPolicy(
            day_price=take.decimal(f"{base}.short_term.day_price"),
            weekend_price=take.decimal(f"{base}.short_term.weekend_price"),
            weekend_starts=_week_time(take, f"{base}.short_term.weekend_starts"),
            weekend_ends=_week_time(take, f"{base}.short_term.weekend_ends"),
        ),
    )


def _week_time(take: Taker, key: str) -> tuple[int, time]:
    """Return weekday and time of a text such as `fri 18:00`."""
    day, _, clock = take.text(key).partition(" ")
    try:
        return _WEEKDAYS.index(day), time.fromisoformat(clock)
    except ValueError:
        raise InvalidConfiguration(f"{key}: a weekday and a time such as 'fri 18:00'") from None
