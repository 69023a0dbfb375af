"""What of stated meters is in sight, and in whose name somebody states one."""

from collections.abc import Sequence
from typing import Final

from api.access import MONEY, Principal, check_sees_customer
from api.money_sight import customers_in_sight
from crm_core.domain.meter_statements import MeterStatement, StatementSource, StatementState
from crm_core.domain.service import Role
from crm_core.ports import UnitOfWork

_MOST: Final = 10_000


def source_for(principal: Principal) -> StatementSource:
    """Return who reads the meter off when this person states it."""
    named = {Role.CUSTOMER: StatementSource.CUSTOMER, Role.TECHNICIAN: StatementSource.TECHNICIAN}
    return named.get(principal.role, StatementSource.STAFF)


def may_decide(principal: Principal) -> bool:
    """Return True if the person decides about doubtful statements."""
    return principal.role in MONEY.roles


def visible_statement(principal: Principal, uow: UnitOfWork, statement_id: int) -> MeterStatement:
    """Return a statement in sight, or raise the problem of an absent one."""
    found = uow.billing.statements.get(principal.tenant, statement_id)
    check_sees_customer(principal, uow, found.customer_id)
    return found


def statements_in_sight(
    principal: Principal,
    uow: UnitOfWork,
    *,
    state: StatementState | None = None,
    device_id: str | None = None,
    before: int | None = None,
) -> Sequence[MeterStatement]:
    """Return statements in sight, newest first."""
    seen = customers_in_sight(principal, uow)
    rows = uow.billing.statements.where(
        principal.tenant,
        before=before,
        limit=_MOST,
        state=state,
        device_id=device_id,
        customer_id=principal.bound_to,
    )
    return [row for row in rows if seen is None or row.customer_id in seen]
