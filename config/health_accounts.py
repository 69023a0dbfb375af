"""What `drumbeat doctor` says about accounts: is there an administrator, and who has a key that nobody uses any more."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from config.health_findings import Finding, Verdict
from config.wiring.core import Core
from crm_core.domain.service import Role, User
from crm_core.ports import UnitOfWork

_DISABLE: Final = "drumbeat user disable NAME, or let them sign in"
_NAMED: Final = 5


def examine_accounts(core: Core, now: datetime) -> Iterator[Finding]:
    """Yield findings about accounts and tokens; stale ones are doors that nobody watches (requirement 111)."""
    since = now - timedelta(days=core.settings.api.stale_account_days)
    with core.uow_factory() as uow:
        people = uow.users.all(core.tenant)
        technicians = {each.technician_id for each in uow.technicians.all(core.tenant) if each.active}
        stale = _stale(core, uow, [user for user in people if user.active], since)
        owners = {user.user_id: user for user in people}
        tokens = [
            owners[token.user_id].name
            for token in uow.users.tokens(core.tenant, "api")
            if token.expires_at > now and not owners[token.user_id].active
        ]
    active = [user for user in people if user.active]
    if not any(user.role is Role.ADMIN for user in active):
        yield Finding(
            "accounts", Verdict.WARNING, "nobody signs in as administrator", "drumbeat user add NAME --role admin"
        )  # fmt: skip
    else:
        yield Finding("accounts", Verdict.OK, f"{len(active)} people may sign in")
    orphans = [user.name for user in active if user.technician_id and user.technician_id not in technicians]
    yield from _named("accounts of technicians who are not active", orphans, "drumbeat user disable NAME")
    days = core.settings.api.stale_account_days
    yield from _named(f"no sign-in for {days} days", stale, _DISABLE)
    yield from _named(
        "tokens of accounts that are switched off", tokens, "DELETE /api/v1/tokens/ID, or drumbeat token revoke TOKEN"
    )  # fmt: skip
    if not orphans and not stale and not tokens:
        yield Finding("stale accounts", Verdict.OK, f"everybody signed in or was changed within {days} days")


def _named(what: str, names: list[str], advice: str) -> Iterator[Finding]:
    if names:
        some = ", ".join(sorted(set(names))[:_NAMED]) + (" ..." if len(set(names)) > _NAMED else "")
        yield Finding("stale accounts", Verdict.WARNING, f"{what}: {some}", advice)


def _stale(core: Core, uow: UnitOfWork, active: list[User], since: datetime) -> list[str]:
    """Return who neither signed in nor was made or changed since then; programs come with tokens, not by signing in."""
    seen = uow.accounts.last_sign_ins(core.tenant)
    quiet = [
        user for user in active if user.role is not Role.INTEGRATOR and seen.get(user.user_id, since) <= since
    ]
    return [
        user.name
        for user in quiet
        if not uow.trust.newest_events(
            core.tenant, kind="users", object_id=user.user_id, since=since, limit=1
        )
    ]
