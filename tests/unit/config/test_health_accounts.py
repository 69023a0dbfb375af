"""Stale accounts: nobody signed in for long, technicians who left, tokens of accounts that are switched off."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from config.clock import VirtualClock
from config.health_accounts import examine_accounts
from config.health_findings import Verdict
from config.settings import load_settings
from config.wiring.core import open_core
from crm_core.domain.identity import TechnicianId, UserId
from crm_core.domain.service import AccessToken, Role, User
from tests.builders import a_technician

MADE = datetime(2026, 1, 5, 8, tzinfo=UTC)


@pytest.fixture
def core(tmp_path):
    settings = load_settings(environment={"DRUMBEAT_GENERAL_DATA_DIR": str(tmp_path)})
    return open_core(settings, VirtualClock(MADE))


def add(core, name, role=Role.MANAGER, **more):
    user = User(
        tenant=core.tenant, user_id=UserId(f"u-{name}"), name=name, role=role, password_hash="x", language="en", **more
    )  # fmt: skip
    with core.uow_factory() as uow:
        uow.users.save(user)
        uow.commit()
    return user


def found(core, later):
    return [
        (row.verdict, row.what)
        for row in examine_accounts(core, MADE + later)
        if row.check == "stale accounts"
    ]


def test_who_did_not_sign_in_for_long_is_named(core):
    for name in ("anna", "bo"):
        add(core, name)
    add(core, "robot", Role.INTEGRATOR)
    assert found(core, timedelta(days=89)) == [
        (Verdict.OK, "everybody signed in or was changed within 90 days")
    ]
    with core.uow_factory() as uow:
        uow.accounts.note_sign_in(core.tenant, "u-bo", MADE + timedelta(days=40))
        uow.commit()
    assert found(core, timedelta(days=91)) == [(Verdict.WARNING, "no sign-in for 90 days: anna")]
    assert found(core, timedelta(days=131)) == [(Verdict.WARNING, "no sign-in for 90 days: anna, bo")]


def test_technicians_who_left_and_tokens_of_the_switched_off_are_named(core):
    with core.uow_factory() as uow:
        uow.technicians.save(replace(a_technician("li"), active=False))
        uow.commit()
    add(core, "li", Role.TECHNICIAN, technician_id=TechnicianId("li"))
    gone = add(core, "gone", active=False)
    token = AccessToken(
        tenant=core.tenant, token_hash="a" * 64, user_id=gone.user_id, purpose="api", created_at=MADE,
        expires_at=MADE + timedelta(days=30),
    )  # fmt: skip
    with core.uow_factory() as uow:
        uow.users.save_token(token)
        uow.commit()
    assert found(core, timedelta(days=1)) == [
        (Verdict.WARNING, "accounts of technicians who are not active: li"),
        (Verdict.WARNING, "tokens of accounts that are switched off: gone"),
    ]
    assert len(found(core, timedelta(days=31))) == 1
