"""What the installation itself lacks now: asked by `/readyz` for machines, and shown to those who lead."""

from typing import Final

from api.access import Principal
from api.services import ApiServices
from crm_core.domain.errors import DrumbeatError
from crm_core.domain.service import Role

#: Who is told on the first page that a part of the installation does not serve.
TOLD: Final = frozenset({Role.ADMIN, Role.MANAGER, Role.SUPERVISOR})


def broken_parts(services: ApiServices) -> dict[str, str]:
    """Return why each part that cannot serve now does not, by its name; empty when all is well."""
    broken = {}
    for name, check in services.readiness.items():
        try:
            check()
        except DrumbeatError as error:
            broken[name] = str(error)[:200] or type(error).__name__
    return broken


def troubles_for(principal: Principal, services: ApiServices) -> dict[str, str]:
    """Return the broken parts to those who can do something about them, nothing to others."""
    return broken_parts(services) if principal.role in TOLD else {}
