"""Promises, scores, findings and outlooks keep the same promises in memory, SQLite and PostgreSQL."""

from dataclasses import replace
from datetime import date, timedelta

from crm_core.domain.forecast import Reason
from crm_core.domain.identity import DEFAULT_TENANT, DeviceId, TenantId
from crm_core.domain.quality import (
    Finding,
    FindingKind,
    FindingState,
    Outlook,
    OutlookKind,
    Promise,
    Score,
    Subject,
)
from crm_core.ports import UnitOfWorkFactory

_DAY = date(2026, 3, 1)


def _promise(made: int, device: str = "d1") -> Promise:
    return Promise(
        tenant=DEFAULT_TENANT, subject=Subject.SUPPLIES, device_id=DeviceId(device), item="1.1",
        made_on=_DAY + timedelta(days=made), model="supplies/1", group="steps", device_model="m1", p10=3.0, p50=5.0, p90=9.0,
    )  # fmt: skip


def test_a_promise_is_open_until_its_truth_is_known(uow_factory: UnitOfWorkFactory) -> None:
    with uow_factory() as uow:
        uow.quality.save_promises([_promise(7), _promise(0), _promise(0, "d0")])
        uow.quality.save_promises([])
        uow.commit()
    known = replace(_promise(0), resolved_on=_DAY + timedelta(days=6), outcome=5.5)
    with uow_factory() as uow:
        assert [(each.made_on.day, each.device_id) for each in uow.quality.open_promises(DEFAULT_TENANT)] == [
            (1, "d0"), (1, "d1"), (8, "d1"),
        ]  # fmt: skip
        uow.quality.save_promises([known])
        uow.commit()
    with uow_factory() as uow:
        assert len(uow.quality.open_promises(DEFAULT_TENANT)) == 2
        assert known in uow.quality.promises_since(DEFAULT_TENANT, _DAY)
        assert uow.quality.open_promises(TenantId("other")) == []
        assert uow.quality.forget_promises(DEFAULT_TENANT, _DAY + timedelta(days=1)) == 2
        assert uow.quality.promises_since(DEFAULT_TENANT, _DAY) == [_promise(7)]


def test_scores_and_outlooks_are_replaced_by_key(uow_factory: UnitOfWorkFactory) -> None:
    score = Score(
        tenant=DEFAULT_TENANT, as_of=_DAY, subject=Subject.SUPPLIES, grouping="all", name="", rows=300, error=2.5, bias=-0.1,
        coverage=0.81, width=11.0,
    )  # fmt: skip
    outlook = Outlook(tenant=DEFAULT_TENANT, kind=OutlookKind.IDLE, as_of=_DAY, rows=({"device_id": "d1"},))
    with uow_factory() as uow:
        uow.quality.save_scores([score, replace(score, subject=Subject.FAILURES, coverage=None)])
        uow.quality.save_scores([replace(score, rows=301)])
        uow.quality.save_outlook(outlook)
        uow.quality.save_outlook(replace(outlook, rows=()))
        uow.commit()
    with uow_factory() as uow:
        assert [each.rows for each in uow.quality.scores(DEFAULT_TENANT, _DAY, Subject.SUPPLIES)] == [301]
        assert len(uow.quality.scores(DEFAULT_TENANT, _DAY)) == 2
        assert uow.quality.scores(DEFAULT_TENANT, _DAY + timedelta(days=1)) == []
        assert uow.quality.outlook(DEFAULT_TENANT, OutlookKind.IDLE) == replace(outlook, rows=())
        assert uow.quality.outlook(DEFAULT_TENANT, OutlookKind.CHURN) is None


def test_a_finding_stands_once_for_kind_and_subject(uow_factory: UnitOfWorkFactory) -> None:
    finding = Finding(
        tenant=DEFAULT_TENANT, finding_id=0, kind=FindingKind.CLONE, subject="d1", device_id=DeviceId("d1"), customer_id=None,
        first_seen=_DAY, last_seen=_DAY, score=1.0, reasons=(Reason("reasons.found_clone", {"other": "d2"}),),
    )  # fmt: skip
    with uow_factory() as uow:
        made = uow.quality.findings.add(finding)
        assert uow.quality.findings.add_once(finding) is None
        seen = uow.quality.findings.save(replace(made, state=FindingState.SEEN, seen_by="mei"))
        uow.commit()
    with uow_factory() as uow:
        assert uow.quality.findings.where(DEFAULT_TENANT, state=FindingState.OPEN) == []
        assert uow.quality.findings.where(DEFAULT_TENANT, device_id="d1") == [seen]
