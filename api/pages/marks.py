"""The badge of a customer (good, ordinary, potential, risk) for every list that names one (requirement 79)."""

from api.access import Principal
from crm_core.domain.identity import CustomerId
from crm_core.domain.service import Role
from crm_core.ports import UnitOfWork
from crm_core.relations.segments import classes_at

_NOT_SHOWN = frozenset({Role.TECHNICIAN, Role.CUSTOMER})


def marks_of(uow: UnitOfWork, principal: Principal) -> dict[CustomerId, str]:
    """Return the mark of every customer; nothing for people who do not decide by it."""
    if principal.role in _NOT_SHOWN:
        return {}
    held = classes_at(uow.relations.present_classes(principal.tenant))
    return {customer: classes["mark"] for customer, classes in held.items() if "mark" in classes}
