"""`drumbeat invoice` as people and scripts use it: preview, run, run again, list, and its refusals."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from config.clock import SystemClock
from crm_core.agreements.contract_desk import ContractDesk
from crm_core.agreements.drafts import Draft
from crm_core.billing.plans import PlanDesk
from crm_core.domain.identity import ContractId, CustomerId
from crm_core.storage.sqlalchemy_uow import make_uow_factory, migrate
from tests.builders import TENANT, a_customer
from tests.command_line import Shell
from tests.money_world import a_consent, a_line, a_plan
from tests.policies import a_policy


def month_before() -> date:
    """Return the first day of the month that ended last in Shanghai."""
    today = (datetime.now(UTC) + timedelta(hours=8)).date()
    return (today.replace(day=1) - timedelta(days=1)).replace(day=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a data folder with one signed contract of 600 a month that began two years ago."""
    url = f"sqlite:///{tmp_path / 'crm.sqlite'}"
    migrate(url)
    factory = make_uow_factory(url)
    with factory() as uow:
        uow.customers.save(a_customer())
        uow.commit()
    PlanDesk(factory).publish(a_plan())
    desk = ContractDesk(factory, SystemClock(), a_policy())
    month = month_before()
    draft = Draft(
        contract_id=ContractId("k1"),
        customer_id=CustomerId("c1"),
        starts_on=month.replace(year=month.year - 1),
        ends_on=month.replace(year=month.year + 1) - timedelta(days=1),
        lines=(a_line(),),
        deposit_share=Decimal(0),
    )
    desk.draft(TENANT, draft, actor="li")
    desk.offer(TENANT, "k1", actor="li")
    desk.sign(TENANT, "k1", a_consent(), actor="li")
    factory.close()
    return tmp_path


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs `drumbeat invoice` over the folder."""
    return partial(Shell(capsys, monkeypatch), "--log-level", "error", "invoice", data=folder)


def test_preview_run_and_list(run):
    code, out, _ = run("preview", "--json")
    preview = json.loads(out)
    assert (code, preview["written"], preview["dry_run"]) == (0, 0, True)
    (row,) = preview["invoices"]
    assert row["number"] == ""
    assert json.loads(run("list", "--json")[1]) == []
    written = json.loads(run("run", "--json")[1])
    assert (written["written"], written["total"]) == (1, preview["total"])
    again = json.loads(run("run", "--json")[1])
    assert (again["written"], again["existing"], again["invoices"]) == (0, 1, written["invoices"])
    (listed,) = json.loads(run("list", "--json")[1])
    assert listed == written["invoices"][0]
    assert listed["number"].startswith("INV-")
    assert listed["number"] in run("list")[1]


def test_refusals_say_what_to_do(run):
    code, out, error = run("run", "--month", "2026-13")
    assert (code, out, "2026-05" in error) == (2, "", True)
    code, out, error = run("run", "--month", "2098-01")
    assert (code, out, "not over" in error) == (1, "", True)
    code, _, error = run("preview", "--contract", "no-such")
    assert (code, "no agreement" in error) == (1, True)
