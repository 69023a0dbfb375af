"""Sessions of people: opened with a password, carried by a cookie, ended on the server."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from api.access import SESSION_COOKIE, Principal, issue_token, principal_of_token, services_of
from api.passwords import verify_password
from api.problem import Problem
from api.sign_in_guard import SignInGuard
from crm_core.domain.service import Role, User


@dataclass(frozen=True, slots=True)
class Session:
    """A new session: the token for the cookie, and whose it is."""

    token: str
    principal: Principal


def open_session(request: Request, name: str, password: str) -> Session:
    """Check name and password and return a new session; the throttle refuses before anything is hashed."""
    services, guard, address = services_of(request), guard_of(request), address_of(request)
    tenant = services.settings.tenant
    wait = guard.admit(tenant, name, address)
    if wait > 0:
        raise Problem("too_many_attempts", headers={"Retry-After": str(int(wait) + 1)})
    with services.read_uow_factory() as uow:
        user = uow.users.find_by_name(tenant, name)
    may_sign_in = user is not None and user.active and user.role is not Role.INTEGRATOR
    if not verify_password(password, user.password_hash if user is not None and may_sign_in else None):
        guard.failed(tenant, name, address, known=user is not None)
        raise Problem("wrong_credentials")
    guard.succeeded(tenant, name, address)
    assert user is not None
    return new_session(request, user)


def new_session(request: Request, user: User) -> Session:
    """Store a session token for the user."""
    services = services_of(request)
    now = services.clock.now()
    with services.uow_factory() as uow:
        token = issue_token(
            uow, user, purpose="session", now=now, expires_at=now + services.settings.session_lifetime
        )
        uow.accounts.note_sign_in(user.tenant, user.user_id, now)
        uow.commit()
    principal = principal_of_token(services, token, by_cookie=True)
    if principal is None:  # deactivated between the two transactions
        raise Problem("wrong_credentials")
    return Session(token, principal)


def set_session(request: Request, response: Response, token: str) -> None:
    """Put the session into a cookie that scripts cannot read and other sites cannot send."""
    settings = services_of(request).settings
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=int(settings.session_lifetime.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=settings.secure_cookies,
        path="/",
    )


def clear_session(request: Request, response: Response, principal: Principal) -> None:
    """Revoke the token that made this request, and drop the cookie."""
    with services_of(request).uow_factory() as uow:
        uow.users.revoke_token(principal.token_hash)
        uow.commit()
    response.delete_cookie(SESSION_COOKIE, path="/")


def guard_of(request: Request) -> SignInGuard:
    """Return the application's guard."""
    guard: SignInGuard = request.app.state.sign_in_guard
    return guard


def address_of(request: Request) -> str:
    """Return the peer's address; behind a proxy uvicorn sets it from trusted headers."""
    return request.client.host if request.client else "unknown"
