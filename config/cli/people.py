"""`drumbeat user` and `drumbeat token`: who signs in, and which programs act for them."""

import secrets
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Final

import typer

from api.access import check_bindings, hash_token, issue_token
from api.passwords import hash_password
from api.sign_in_guard import SignInGuard
from config.cli.common import JsonFlag, notes, print_json, print_table, session_of
from config.clock import SystemClock
from config.wiring.core import Core, open_core
from config.wiring.serving import guard_settings
from crm_core.domain.errors import Conflict, InvalidValue, NotFound
from crm_core.domain.identity import CustomerId, TechnicianId, UserId
from crm_core.domain.service import Role, User
from crm_core.domain.wire import instant_to_json
from crm_core.ports import UnitOfWork

users = typer.Typer(add_completion=False, no_args_is_help=True, help="Manage the people who sign in.")
tokens = typer.Typer(add_completion=False, no_args_is_help=True, help="Manage access tokens for programs.")
Name = Annotated[str, typer.Argument(help="Name under which the person signs in.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")
]


@users.command()
def add(
    context: typer.Context,
    name: Name,
    role: Annotated[Role, typer.Option(help="What the person may do.")],
    technician: Annotated[str | None, typer.Option(help="Technician record; needed for technicians.")] = None,
    customer: Annotated[
        str | None,
        typer.Option(help="Customer of the account; needed for customers, possible for integrators."),
    ] = None,
    region: Annotated[
        list[str] | None, typer.Option(help="Region that the person sees; repeat for more.")
    ] = None,
    language: Annotated[str, typer.Option(help="zh-CN or en.")] = "zh-CN",
    password_stdin: FromStdin = False,
) -> None:
    """Add a person. Without --password-stdin the password is asked for twice."""
    if language not in {"zh-CN", "en"}:
        raise InvalidValue("--language must be zh-CN or en")
    core = _core(context)
    hashed = hash_password(_password(password_stdin))
    with core.uow_factory() as uow:
        if uow.users.find_by_name(core.tenant, name) is not None:
            raise Conflict(f"the name {name} is taken; `drumbeat user password {name}` changes its password")
        check_bindings(uow, core.tenant, role, technician, customer)
        user = User(
            tenant=core.tenant,
            user_id=UserId(f"u-{secrets.token_hex(8)}"),
            name=name,
            role=role,
            password_hash=hashed,
            technician_id=TechnicianId(technician) if technician else None,
            customer_id=CustomerId(customer) if customer else None,
            regions=tuple(region or ()),
            language=language,
        )
        uow.users.save(user)
        uow.commit()
    typer.echo(f"{name} may sign in as {role.value}")


@users.command("list")
def list_users(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List everybody who can or could sign in."""
    core = _core(context)
    with core.uow_factory() as uow:
        people = sorted(uow.users.all(core.tenant), key=lambda user: user.name)
    rows = [
        {
            "name": user.name,
            "role": user.role.value,
            "technician": user.technician_id,
            "customer": user.customer_id,
            "regions": list(user.regions),
            "language": user.language,
            "active": user.active,
        }
        for user in people
    ]
    if as_json:
        print_json(rows)
    else:
        cells = (
            (r["name"], r["role"], r["technician"], ", ".join(u.regions), r["active"])
            for r, u in zip(rows, people, strict=True)
        )
        print_table(("name", "role", "technician", "regions", "active"), cells)


@users.command()
def password(context: typer.Context, name: Name, password_stdin: FromStdin = False) -> None:
    """Change a password; all sessions and tokens of the person end."""
    _change(context, name, password_hash=hash_password(_password(password_stdin)))
    typer.echo(f"{name} has a new password")


@users.command()
def disable(context: typer.Context, name: Name) -> None:
    """Forbid a person to sign in; all sessions and tokens end at once."""
    _change(context, name, active=False)
    typer.echo(f"{name} may not sign in any more")


@users.command()
def enable(context: typer.Context, name: Name) -> None:
    """Allow a disabled person to sign in again."""
    _change(context, name, active=True)
    typer.echo(f"{name} may sign in")


@users.command()
def unlock(context: typer.Context, name: Name) -> None:
    """Let a person sign in at once whose account was locked after repeated failures."""
    core = _core(context)
    with core.uow_factory() as uow:
        person = _find(uow, core, name)
    SignInGuard(core.uow_factory, core.clock, guard_settings(core.settings)).unlock(core.tenant, person.name)
    typer.echo(f"{name} may try to sign in again")


@tokens.command()
def create(
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="Person with whose rights the program acts.")],
    name: Annotated[str, typer.Option(help="What the token is for.")],
    days: Annotated[int, typer.Option(min=1, max=366, help="Days until it expires.")] = 90,
    write: Annotated[
        bool, typer.Option("--write", help="Allow changes; without it the token only reads.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make a token and show it once; only its hash is stored."""
    core = _core(context)
    now = core.clock.now()
    expires = now + timedelta(days=days)
    with core.uow_factory() as uow:
        person = _find(uow, core, user)
        scopes = ("read", "write") if write else ("read",)
        token = issue_token(uow, person, purpose="api", now=now, expires_at=expires, name=name, scopes=scopes)
        uow.commit()
    if as_json:
        print_json({"token": token, "user": user, "name": name, "expires_at": instant_to_json(expires)})
    else:
        typer.echo(token)
        notes.print("keep it: it is not shown again", markup=False)


@tokens.command()
def revoke(context: typer.Context, token: Annotated[str, typer.Argument(help="The token itself.")]) -> None:
    """Make a token useless from its next request on."""
    core = _core(context)
    with core.uow_factory() as uow:
        if uow.users.find_token(hash_token(token)) is None:
            raise NotFound("no such token, or it expired or was revoked before")
        uow.users.revoke_token(hash_token(token))
        uow.commit()


def _core(context: typer.Context) -> Core:
    return open_core(session_of(context).settings, SystemClock())


def _find(uow: UnitOfWork, core: Core, name: str) -> User:
    user = uow.users.find_by_name(core.tenant, name)
    if user is None:
        raise NotFound(f"nobody signs in as {name}; `drumbeat user list` shows all")
    return user


def _change(
    context: typer.Context, name: str, *, password_hash: str | None = None, active: bool | None = None
) -> None:
    core = _core(context)
    with core.uow_factory() as uow:
        user = _find(uow, core, name)
        changed = replace(
            user,
            password_hash=user.password_hash if password_hash is None else password_hash,
            active=user.active if active is None else active,
        )
        uow.users.save(changed)
        uow.users.revoke_tokens_of(core.tenant, user.user_id)
        uow.commit()


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise InvalidValue("no terminal to ask for the password: use --password-stdin")
    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return answer


APPS: Final = {"user": users, "token": tokens}
