"""What the pages of money share: names of customers, and lines of contracts as forms say them."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Protocol

from api.access import Principal
from api.pages.forms import amount_of, count_of
from crm_core.domain.contracts import ContractLine
from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import CustomerId
from crm_core.ports import UnitOfWork


class OfCustomer(Protocol):
    """A record that has a customer."""

    @property
    def customer_id(self) -> str:
        """Whose it is."""
        ...


def customer_names(uow: UnitOfWork, principal: Principal, rows: Iterable[OfCustomer]) -> dict[str, str]:
    """Return the names of the customers of some records, by id."""
    found = {row.customer_id for row in rows}
    customers = ((key, uow.customers.find(principal.tenant, CustomerId(key))) for key in found)
    return {key: customer.name if customer else key for key, customer in customers}


def line_of(sent: Mapping[str, str], line_id: str) -> ContractLine:
    """Return the contract line of a form; raise `InvalidValue` for a plan or an amount that cannot be read."""
    plan_id, _, edition = sent.get("plan", "").rpartition(":")
    if not plan_id:
        raise InvalidValue("plan: choose one of the list")
    rent = sent.get("monthly_rent", "").strip()
    value = sent.get("device_value", "").strip()
    return ContractLine(
        line_id=line_id,
        plan_id=plan_id,
        plan_edition=count_of(edition, "plan"),
        monthly_rent=amount_of(rent, "monthly_rent") if rent else None,
        device_value=amount_of(value, "device_value") if value else Decimal(0),
    )
