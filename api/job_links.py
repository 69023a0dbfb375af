"""The link in a work order's QR code: it opens that one job for its technician, once, for a short time, without sign-in.

The paper is what one has in hand when the phone is new or the password forgotten. The link is a token of its own
purpose; opening it swaps it for a session that may see and move this work order and nothing else. A look at the
address alone changes nothing (phones fetch previews): the swap is a button.
"""

from datetime import timedelta
from typing import Final

from starlette.requests import Request

from api.access import JOB_PURPOSE, hash_token, issue_token, services_of
from api.problem import Problem
from api.services import ApiServices
from crm_core.domain.identity import WorkOrderId
from crm_core.domain.service import AccessToken, User, WorkOrder
from crm_core.ports import UnitOfWork

LINK_PURPOSE: Final = "job_link"
SESSION: Final = timedelta(hours=12)


def link_to_job(services: ApiServices, order: WorkOrder) -> str:
    """Return a one-time link for the order's technician; the plain address where there is none or links are off."""
    base = services.settings.public_url.rstrip("/")
    plain = f"{base}/work-orders/{order.work_order_id}"
    if not services.settings.job_link_lifetime or order.technician_id is None:
        return plain
    now = services.clock.now()
    with services.uow_factory() as uow:
        user = _user_of(uow, order)
        if user is None:
            return plain
        token = issue_token(
            uow,
            user,
            purpose=LINK_PURPOSE,
            now=now,
            expires_at=now + services.settings.job_link_lifetime,
            name=str(order.work_order_id),
        )
        uow.commit()
    return f"{base}/go/{token}"


def check_link(request: Request, token: str) -> int:
    """Return the work order that a link opens, without using it up; `not_found` for used, old and made-up ones."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        return int(_valid(services, uow, token)[0].name)


def open_job(request: Request, token: str) -> tuple[str, int]:
    """Use the link up and return the token of a session for its work order, with the order's number."""
    services = services_of(request)
    now = services.clock.now()
    with services.uow_factory() as uow:
        stored, user = _valid(services, uow, token)
        uow.users.revoke_token(stored.token_hash)
        session = issue_token(
            uow, user, purpose=JOB_PURPOSE, now=now, expires_at=now + SESSION, name=stored.name
        )
        uow.commit()
    return session, int(stored.name)


def _valid(services: ApiServices, uow: UnitOfWork, token: str) -> tuple[AccessToken, User]:
    """Return a link that still opens its job: unused, not expired, and the order is still that technician's."""
    found = uow.users.bearer(hash_token(token[:200]))
    if found is None or found[0].purpose != LINK_PURPOSE or found[0].expires_at <= services.clock.now():
        raise Problem("not_found")
    stored, user = found
    order = uow.work_orders.get(stored.tenant, WorkOrderId(int(stored.name)))
    if not user.active or user.technician_id is None or order.technician_id != user.technician_id:
        raise Problem("not_found")
    return stored, user


def _user_of(uow: UnitOfWork, order: WorkOrder) -> User | None:
    """Return the active account of the order's technician."""
    people = (user for user in uow.users.all(order.tenant) if user.active)
    return next((user for user in people if user.technician_id == order.technician_id), None)
