"""What a long repair is worth to the customer (requirement 25, formula settled in 1.4). Pure."""

from datetime import timedelta
from decimal import Decimal

from crm_core.domain.money import to_cent
from crm_core.domain.stock_policy import RentCreditPolicy


def rent_credit(counted: timedelta, monthly_rent: Decimal, policy: RentCreditPolicy) -> Decimal:
    """Return the credit for `counted` time out of service: full hours beyond the free days at the rent of a day.

    600 a month: 5.0 days give 39.45, 3.0 days 0.00; a working stand-by machine is not in `counted`.
    """
    hours = counted // timedelta(hours=1) - int(policy.free_days * 24)
    if hours <= 0:
        return Decimal("0.00")
    return to_cent(monthly_rent * policy.months_a_year * hours / (24 * policy.days_a_year))
