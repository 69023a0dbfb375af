"""Who is asking, and what they may see and do: role x region x ownership, decided here and nowhere else.

Every route declares one `Rule` as a dependency; a test fails when a route has none. A record outside somebody's
sight is answered exactly like one that does not exist. How to write a route:

1. Take the narrowest rule below that has all who need the route. Rules without `owned=True` refuse everybody who is
   bound to one customer (every CUSTOMER, and an INTEGRATOR whose account names a customer) with 403.
2. A route whose rule has `owned=True` answers for those accounts too. It must bind what it finds: lists pass
   `principal.bound_to` as the filter's `customer_id` (None = no limit), single objects call
   `check_owns_customer(principal, thing.customer_id)` (staff passes) or `check_sees_customer(principal, uow, id)`
   (staff with regions passes only for customers with a site there). Both raise the 404 of an absent object.
3. Leave out of the body what customers shall not read (remarks among staff): ask `principal.bound_to is not None`.
4. Give the path parameters an own, a foreign and an absent object in `tests/integration/api/test_rights.py`.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from starlette.requests import Request

from api.overview_cache import OverviewCache
from api.problem import Problem
from api.services import ApiServices
from crm_core.domain.actors import name_actor
from crm_core.domain.errors import InvalidValue
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.identity import CustomerId, DeviceId, TechnicianId, TenantId, UserId
from crm_core.domain.opaque import new_secret
from crm_core.domain.service import AccessToken, Role, Ticket, User, WorkOrder
from crm_core.ports import UnitOfWork, WorkOrderFilter

SESSION_COOKIE: Final = "drumbeat_session"
LANGUAGE_COOKIE: Final = "drumbeat_lang"
THEME_COOKIE: Final = "drumbeat_theme"
CSRF_HEADER: Final = "X-CSRF-Token"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
JOB_PURPOSE: Final = "job"  # of a session for one work order; its name is the order's number


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A signed-in person or a machine with a person's token. Empty `regions` = every region (not for technicians)."""

    tenant: TenantId
    user_id: UserId
    name: str
    role: Role
    regions: tuple[str, ...]
    technician_id: TechnicianId | None
    language: str
    token_hash: str
    by_cookie: bool
    csrf: str
    scopes: tuple[str, ...]
    customer_id: CustomerId | None = None
    only_order: int | None = None  # of a session that a work order's QR code opened

    @property
    def bound_to(self) -> str | None:
        """The one customer whose records are in sight, None without that limit; "" (no customer) sees nothing."""
        if self.role is Role.CUSTOMER:
            return self.customer_id or ""
        return self.customer_id

    def sees_region(self, region: str | None) -> bool:
        """Return True if records of that region are in sight of staff; None (no site) only without a limit."""
        if self.bound_to is not None:
            return False
        if not self.regions:
            return self.role is not Role.TECHNICIAN
        return region in self.regions


@dataclass(frozen=True, slots=True)
class Rule:
    """What a route demands: one of `roles`. As a dependency it answers the principal or raises the problem.

    `owned`: the route limits its answer to the customer of the account (see the top of this module).
    `job`: the route is about one work order, so that a session from its QR code may use it.
    `whole`: the route is about the whole firm, so that accounts which see only some regions are refused.
    """

    roles: frozenset[Role]
    owned: bool = False
    job: bool = False
    whole: bool = False

    def admits(self, principal: Principal) -> bool:
        """Return True if the account's role and regions let it in; what it may see there is another matter."""
        return principal.role in self.roles and not (self.whole and principal.regions)

    def __call__(self, request: Request) -> Principal:
        principal = authenticate(request)
        if not self.admits(principal) or (principal.bound_to is not None and not self.owned):
            raise Problem("forbidden")
        if principal.only_order is not None and not self.job:
            raise Problem("forbidden")
        _check_scope(principal, request.method)
        if principal.by_cookie and request.method not in SAFE_METHODS and not is_page_form(request):
            check_csrf(principal, request.headers.get(CSRF_HEADER, ""))
        request.state.principal = principal
        name_actor(f"user:{principal.user_id}")
        return principal


@dataclass(frozen=True, slots=True)
class Public:
    """What a route that needs no sign-in declares; `reason` is for the reader of the rule list."""

    reason: str

    def __call__(self) -> None:
        return None


class AtOnce:
    """A rule as a coroutine that waits for nothing: for routes that are answered in one thread (`direct_route`)."""

    def __init__(self, rule: Rule | Public) -> None:
        self.rule = rule

    async def __call__(self, request: Request) -> Principal | None:
        return self.rule(request) if isinstance(self.rule, Rule) else None


_STAFF: Final = frozenset(Role) - {Role.CUSTOMER, Role.INTEGRATOR}
_OFFICE: Final = _STAFF - {Role.TECHNICIAN}
_MONEY: Final = frozenset({Role.ADMIN, Role.MANAGER, Role.SPECIALIST})

# --- about oneself
SIGNED_IN: Final = Rule(frozenset(Role), owned=True)  # answers nothing but the principal
PEOPLE: Final = Rule(frozenset(Role) - {Role.INTEGRATOR}, owned=True)
# --- service: fleet, tickets, visits
OWNED: Final = Rule(frozenset(Role), owned=True)  # to read what has a customer
REPORTERS: Final = Rule(_STAFF | {Role.CUSTOMER}, owned=True)  # to report or ask for something
STAFF: Final = Rule(_STAFF)
STAFF_READ: Final = Rule(_STAFF | {Role.INTEGRATOR})
JOB: Final = Rule(_STAFF, job=True)
OFFICE: Final = Rule(_OFFICE)
OFFICE_READ: Final = Rule(_OFFICE | {Role.INTEGRATOR})
DISPATCHERS: Final = Rule(frozenset({Role.ADMIN, Role.SUPERVISOR, Role.DISPATCHER}))
TECHNICIANS: Final = Rule(frozenset({Role.TECHNICIAN}))  # for pages about oneself
FIELD: Final = Rule(frozenset({Role.ADMIN, Role.SUPERVISOR, Role.DISPATCHER, Role.TECHNICIAN}))
FIELD_JOB: Final = Rule(FIELD.roles, job=True)
# --- customers and money
CARE: Final = Rule(frozenset({Role.ADMIN, Role.MANAGER, Role.SUPERVISOR, Role.SPECIALIST}))
MONEY: Final = Rule(_MONEY)
WHOLE_MONEY: Final = Rule(_MONEY, whole=True)  # the month end
MONEY_OWNED: Final = Rule(
    _MONEY | {Role.CUSTOMER, Role.INTEGRATOR}, owned=True
)  # to read invoices, contracts
CUSTOMERS: Final = Rule(frozenset({Role.CUSTOMER}), owned=True)  # the customers' own pages
# --- the firm
SUPERVISORS: Final = Rule(frozenset({Role.ADMIN, Role.MANAGER, Role.SUPERVISOR}))
MANAGERS: Final = Rule(frozenset({Role.ADMIN, Role.MANAGER}))
WHOLE_FIRM: Final = Rule(MANAGERS.roles, whole=True)
ADMINS: Final = Rule(frozenset({Role.ADMIN}))


def services_of(request: Request) -> ApiServices:
    """Return the services of the application that serves this request."""
    services: ApiServices = request.app.state.services
    return services


def overviews_of(request: Request) -> OverviewCache:
    """Return the fleet health of the application that serves this request."""
    overviews: OverviewCache = request.app.state.overviews
    return overviews


def hash_token(token: str) -> str:
    """Return the form in which a token is stored."""
    return hashlib.sha256(token.encode()).hexdigest()


def issue_token(
    uow: UnitOfWork,
    user: User,
    *,
    purpose: str,
    now: datetime,
    expires_at: datetime,
    name: str = "",
    scopes: tuple[str, ...] = (),
) -> str:
    """Store a new opaque 256-bit token of the user and return it; it can never be read again."""
    token = new_secret()
    uow.users.save_token(
        AccessToken(
            tenant=user.tenant,
            token_hash=hash_token(token),
            user_id=user.user_id,
            purpose=purpose,
            created_at=now,
            expires_at=expires_at,
            name=name,
            scopes=scopes,
        )
    )
    return token


def authenticate(request: Request) -> Principal:
    """Return who asks, from the bearer token or the session cookie; looked up anew for every request."""
    header = request.headers.get("Authorization", "")
    scheme, _, credentials = header.partition(" ")
    by_cookie = not header
    token = request.cookies.get(SESSION_COOKIE, "") if by_cookie else credentials.strip()
    if not token or len(token) > 200 or (not by_cookie and scheme.lower() != "bearer"):
        raise Problem("unauthenticated")
    principal = principal_of_token(services_of(request), token, by_cookie=by_cookie)
    if principal is None:
        raise Problem("unauthenticated")
    return principal


def principal_of_token(services: ApiServices, token: str, *, by_cookie: bool) -> Principal | None:
    """Return the principal of a token that exists, has not expired, and belongs to an active user."""
    hashed = hash_token(token)
    with services.read_uow_factory() as uow:
        bearer = uow.users.bearer(hashed)
        if bearer is None:
            return None
        stored, user = bearer
        if stored.expires_at <= services.clock.now():
            return None
        if stored.purpose not in (("session", JOB_PURPOSE) if by_cookie else ("api",)):
            return None
        if not user.active or (by_cookie and user.role is Role.INTEGRATOR):
            return None
        regions = user.regions or _regions_of_technician(uow, user)
    return Principal(
        tenant=user.tenant,
        user_id=user.user_id,
        name=user.name,
        role=user.role,
        regions=regions,
        technician_id=user.technician_id,
        language=user.language,
        token_hash=hashed,
        by_cookie=by_cookie,
        csrf=csrf_of(token),
        scopes=stored.scopes,
        customer_id=user.customer_id,
        only_order=int(stored.name) if stored.purpose == JOB_PURPOSE else None,
    )


def _regions_of_technician(uow: UnitOfWork, user: User) -> tuple[str, ...]:
    """Return the regions of the technician behind a user, empty for everybody else."""
    if user.role is not Role.TECHNICIAN or user.technician_id is None:
        return ()
    technician = uow.technicians.find(user.tenant, user.technician_id)
    return technician.regions if technician else ()


def _check_scope(principal: Principal, method: str) -> None:
    """Refuse what the token's scopes do not cover; sessions have all scopes."""
    if principal.by_cookie:
        return
    if ("read" if method in SAFE_METHODS else "write") not in principal.scopes:
        raise Problem("forbidden")
    if principal.role is Role.INTEGRATOR and method not in SAFE_METHODS:
        raise Problem("forbidden")


def csrf_of(token: str) -> str:
    """Return the token that forms of this session must send back; derived, so that nothing is kept on the server."""
    return hmac.new(token.encode(), b"drumbeat csrf", hashlib.sha256).hexdigest()[:32]


def check_csrf(principal: Principal, sent: str) -> None:
    """Raise a problem unless `sent` is the CSRF token of the principal's session."""
    if not hmac.compare_digest(principal.csrf.encode(), sent.encode()):
        raise Problem("csrf")


def is_page_form(request: Request) -> bool:
    """Return True for forms of the pages: these carry the CSRF token in the body, and `pages.forms` checks it."""
    return not request.url.path.startswith("/api/")


def check_same_origin(request: Request) -> None:
    """Refuse a form that another site sent: used where there is no session yet (sign-in)."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        raise Problem("csrf")
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("Host", ""):
        raise Problem("csrf")


def check_bindings(
    uow: UnitOfWork, tenant: TenantId, role: Role, technician_id: str | None, customer_id: str | None
) -> None:
    """Raise `InvalidValue` unless the account names the records that its role needs, and these exist."""
    if role is Role.TECHNICIAN and technician_id is None:
        raise InvalidValue("a technician's account needs the id of the technician record")
    if technician_id is not None and uow.technicians.find(tenant, technician_id) is None:
        raise InvalidValue(f"there is no technician {technician_id}")
    if role is Role.CUSTOMER and customer_id is None:
        raise InvalidValue("a customer's account needs the id of the customer")
    if customer_id is not None:
        if role not in (Role.CUSTOMER, Role.INTEGRATOR):
            raise InvalidValue("only accounts of customers and integrators are bound to a customer")
        if uow.customers.find(tenant, customer_id) is None:
            raise InvalidValue(f"there is no customer {customer_id}")


# --- what is in sight --------------------------------------------------------------------------------------------


def owns_customer(principal: Principal, customer_id: str | None) -> bool:
    """Return True unless the account is bound to another customer; staff owns all as far as this goes."""
    return principal.bound_to is None or (bool(customer_id) and customer_id == principal.bound_to)


def check_owns_customer(principal: Principal, customer_id: str | None) -> None:
    """Raise `not_found` when the account is bound to another customer than that of the object."""
    if not owns_customer(principal, customer_id):
        raise Problem("not_found")


def check_sees_customer(principal: Principal, uow: UnitOfWork, customer_id: str) -> None:
    """Raise `not_found` unless the customer exists, is the account's own, or has a site in the regions of staff."""
    check_owns_customer(principal, customer_id)
    if uow.customers.find(principal.tenant, customer_id) is None:
        raise Problem("not_found")
    if principal.bound_to is not None or principal.sees_region(None):
        return
    sites = (site for site in uow.sites.all(principal.tenant) if site.customer_id == customer_id)
    if not any(principal.sees_region(site.region) for site in sites):
        raise Problem("not_found")


def sees_bundle(principal: Principal, uow: UnitOfWork, bundle: DeviceBundle) -> bool:
    """Return True if the device is the account's own, in the regions of staff, or has a work order of the technician."""
    if principal.bound_to is not None:
        return owns_customer(principal, bundle.device.customer_id)
    if principal.sees_region(bundle.site.region if bundle.site else None):
        return True
    return _has_order_at(principal, uow, bundle.device.device_id)


def check_sees_device(principal: Principal, uow: UnitOfWork, device_id: str) -> None:
    """Raise the same problem for an absent and an invisible device, by the narrowest query."""
    place = uow.devices.place(principal.tenant, DeviceId(device_id))
    if principal.bound_to is not None:
        check_owns_customer(principal, place.customer_id)
    elif not (principal.sees_region(place.region) or _has_order_at(principal, uow, DeviceId(device_id))):
        raise Problem("not_found")


def visible_bundle(principal: Principal, uow: UnitOfWork, device_id: str) -> DeviceBundle:
    """Return the device with its place, or raise the same problem for an absent and an invisible one."""
    bundle = uow.devices.bundle(principal.tenant, DeviceId(device_id))
    if not sees_bundle(principal, uow, bundle):
        raise Problem("not_found")
    return bundle


def check_sees_ticket(principal: Principal, uow: UnitOfWork, ticket: Ticket) -> None:
    """Raise `not_found` unless the ticket is the account's own or in the sight of staff (region, work order)."""
    if principal.bound_to is not None:
        check_owns_customer(principal, ticket.customer_id)
        return
    if not (_sees_site(principal, uow, ticket.site_id) or _has_order_at(principal, uow, ticket.device_id)):
        raise Problem("not_found")


def check_sees_order(principal: Principal, uow: UnitOfWork, order: WorkOrder) -> None:
    """Raise `not_found` unless the order is the account's own, the technician's, or in the office's sight."""
    if principal.only_order not in (None, order.work_order_id):
        raise Problem("not_found")
    if principal.bound_to is not None:
        check_owns_customer(principal, order.customer_id)
    elif principal.role is Role.TECHNICIAN:
        if principal.technician_id is None or order.technician_id != principal.technician_id:
            raise Problem("not_found")
    elif not _sees_site(principal, uow, order.site_id):
        raise Problem("not_found")


def _sees_site(principal: Principal, uow: UnitOfWork, site_id: str | None) -> bool:
    """Return True if the site's region is in sight."""
    site = uow.sites.find(principal.tenant, site_id) if site_id else None
    return principal.sees_region(site.region if site else None)


def _has_order_at(principal: Principal, uow: UnitOfWork, device_id: DeviceId) -> bool:
    """Return True if the principal is a technician with any work order at the device."""
    if principal.role is not Role.TECHNICIAN or principal.technician_id is None:
        return False
    which = WorkOrderFilter(technician_id=principal.technician_id, device_id=device_id, limit=1)
    return bool(uow.work_orders.list(principal.tenant, which))
