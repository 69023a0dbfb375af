"""People and their tokens, for administrators."""

import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.access import ADMINS, Principal, check_bindings, hash_token, issue_token, services_of
from api.direct_route import DirectRoute
from api.passwords import MAX_LENGTH, MIN_LENGTH, hash_password
from api.problem import Problem
from api.schemas.base import Input, Instant, Name, Output, Page, ShortText
from crm_core.domain.identity import CustomerId, TechnicianId, UserId
from crm_core.domain.service import Role, User

router = APIRouter(tags=["accounts"], route_class=DirectRoute)

UserKey = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
RoleName = Annotated[str, Field(pattern="^(" + "|".join(role.value for role in Role) + ")$")]
Password = Annotated[str, Field(min_length=MIN_LENGTH, max_length=MAX_LENGTH)]
Regions = Annotated[list[ShortText], Field(max_length=50)]
Language = Annotated[str, Field(pattern=r"^(zh-CN|en)$")]


class UserBody(Output):
    """A person who signs in; the password hash never leaves the house."""

    user_id: str
    name: str
    role: str
    technician_id: str | None
    customer_id: str | None
    regions: list[str]
    language: str
    active: bool

    @classmethod
    def of(cls, user: User) -> "UserBody":
        return cls(
            user_id=user.user_id,
            name=user.name,
            role=user.role.value,
            technician_id=user.technician_id,
            customer_id=user.customer_id,
            regions=list(user.regions),
            language=user.language,
            active=user.active,
        )


class NewUser(Input):
    """A new person. Technicians name their technician record, customers theirs; empty regions mean all."""

    name: Name
    password: Password
    role: RoleName
    technician_id: Name | None = None
    customer_id: Name | None = None
    regions: Regions = Field(default_factory=list)
    language: Language = "zh-CN"


class UserChange(Input):
    """What changes; fields that are left out stay. Role, password or deactivation ends all sessions and tokens."""

    password: Password | None = None
    role: RoleName | None = None
    regions: Regions | None = None
    language: Language | None = None
    active: bool | None = None


class NewToken(Input):
    """A token for a machine that acts with the rights of a person."""

    user_id: Name
    name: ShortText
    scopes: Annotated[
        list[Annotated[str, Field(pattern=r"^(read|write)$")]], Field(min_length=1, max_length=2)
    ]
    days: Annotated[int, Field(ge=1, le=366)] = 90


class TokenBody(Output):
    """The new token; `token` is shown this once and is stored only as its SHA-256, which is `token_id`."""

    token: str
    token_id: str
    name: str
    scopes: list[str]
    expires_at: Instant


@router.get("/users", summary="People who sign in")
def users(request: Request, principal: Annotated[Principal, Depends(ADMINS)]) -> Page[UserBody]:
    """Return everybody who can or could sign in, by name."""
    with services_of(request).read_uow_factory() as uow:
        rows = uow.users.all(principal.tenant)
    return Page(items=[UserBody.of(user) for user in sorted(rows, key=lambda user: user.name)])


@router.post("/users", summary="Add a person", status_code=201)
def add_user(request: Request, principal: Annotated[Principal, Depends(ADMINS)], body: NewUser) -> UserBody:
    """Add a person; 409 when the name is taken."""
    password_hash = hash_password(body.password)
    with services_of(request).uow_factory() as uow:
        if uow.users.find_by_name(principal.tenant, body.name) is not None:
            raise Problem("conflict", f"the name {body.name} is taken")
        role = Role(body.role)
        check_bindings(uow, principal.tenant, role, body.technician_id, body.customer_id)
        user = User(
            tenant=principal.tenant,
            user_id=UserId(f"u-{secrets.token_hex(8)}"),
            name=body.name,
            role=role,
            password_hash=password_hash,
            technician_id=TechnicianId(body.technician_id) if body.technician_id else None,
            customer_id=CustomerId(body.customer_id) if body.customer_id else None,
            regions=tuple(body.regions),
            language=body.language,
        )
        uow.users.save(user)
        uow.commit()
    return UserBody.of(user)


@router.patch("/users/{user_id}", summary="Change a person")
def change_user(
    request: Request, principal: Annotated[Principal, Depends(ADMINS)], user_id: UserKey, body: UserChange
) -> UserBody:
    """Change a person. Rights that shrink are gone on the next request: their sessions and tokens end."""
    password_hash = hash_password(body.password) if body.password is not None else None
    with services_of(request).uow_factory() as uow:
        user = uow.users.get(principal.tenant, user_id)
        changed = replace(
            user,
            password_hash=password_hash or user.password_hash,
            role=Role(body.role) if body.role else user.role,
            regions=tuple(body.regions) if body.regions is not None else user.regions,
            language=body.language or user.language,
            active=user.active if body.active is None else body.active,
        )
        check_bindings(uow, changed.tenant, changed.role, changed.technician_id, changed.customer_id)
        uow.users.save(changed)
        if password_hash or body.role or body.regions is not None or body.active is False:
            uow.users.revoke_tokens_of(principal.tenant, user.user_id)
        uow.commit()
    return UserBody.of(changed)


@router.post("/tokens", summary="Issue a token for a machine", status_code=201)
def add_token(
    request: Request, principal: Annotated[Principal, Depends(ADMINS)], body: NewToken
) -> TokenBody:
    """Issue an opaque token that acts for a person within scopes and until it expires."""
    services = services_of(request)
    now = services.clock.now()
    expires_at = now + timedelta(days=body.days)
    scopes = tuple(sorted(set(body.scopes)))
    with services.uow_factory() as uow:
        user = uow.users.get(principal.tenant, body.user_id)
        token = issue_token(
            uow, user, purpose="api", now=now, expires_at=expires_at, name=body.name, scopes=scopes
        )
        uow.commit()
    return TokenBody(
        token=token, token_id=hash_token(token), name=body.name, scopes=list(scopes), expires_at=expires_at
    )


@router.delete("/tokens/{token_id}", summary="Revoke a token", status_code=204)
def revoke_token(
    request: Request,
    principal: Annotated[Principal, Depends(ADMINS)],
    token_id: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")],
) -> Response:
    """Revoke a token; it is refused from the next request on."""
    with services_of(request).uow_factory() as uow:
        token = uow.users.find_token(token_id)
        if token is None or token.tenant != principal.tenant:
            raise Problem("not_found")
        uow.users.revoke_token(token_id)
        uow.commit()
    return Response(status_code=204)
