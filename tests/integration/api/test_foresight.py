"""Foresight over the API and on its pages: scores, findings, demand, idle devices, churn and models, each within sight."""

from dataclasses import replace
from datetime import timedelta

import pytest

from crm_core.domain.forecast import Reason
from crm_core.domain.identity import DEFAULT_TENANT, DeviceId
from crm_core.domain.quality import Finding, FindingKind, Outlook, OutlookKind, Score, Subject
from crm_core.ports import WorkOrderFilter

API = "/api/v1/foresight"


@pytest.fixture
def told(world):
    """Write records as a nightly run does, and return the finding among them."""
    today = world.clock.now().date()
    score = Score(
        tenant=DEFAULT_TENANT, as_of=today, subject=Subject.SUPPLIES, grouping="all", name="", rows=300, error=2.5, bias=-0.1,
        coverage=0.81, width=11.0,
    )  # fmt: skip
    with world.services.uow_factory() as uow:
        device = uow.devices.all(DEFAULT_TENANT)[0]
        customer = uow.customers.all(DEFAULT_TENANT)[0]
        uow.quality.save_scores(
            [
                score,
                replace(score, as_of=today - timedelta(days=1), coverage=0.6),
                replace(score, grouping="gauge", name="sticking"),
            ]
        )
        finding = uow.quality.findings.add(
            Finding(
                tenant=DEFAULT_TENANT, finding_id=0, kind=FindingKind.COUNTER_ROLLBACK, subject=device.device_id,
                device_id=DeviceId(device.device_id), customer_id=device.customer_id, first_seen=today, last_seen=today,
                score=0.4, reasons=(Reason("reasons.found_counter_fell", {"before": 900, "after": 30, "on": "2026-01-02"}),),
            )
        )  # fmt: skip
        rows = {
            OutlookKind.DEMAND: {"month": "2026-01", "what": "supply", "item": "toner black", "model": "M", "p10": 1, "p50": 3, "p90": 5, "expected": 3.1},
            OutlookKind.IDLE: {"device_id": device.device_id, "customer_id": device.customer_id, "site_id": device.site_id, "model": "M", "idle_days": 20, "last_page_on": None},
            OutlookKind.CHURN: {"customer_id": customer.customer_id, "name": customer.name, "warnings": 1, "volume_fall": 0.0, "score": 1.0, "reasons": [{"key": "reasons.churn_complaints", "arguments": {"count": 2}}]},
            OutlookKind.MODELS: {"model_id": "supplies/1", "name": "supplies", "champion": True, "refused": None, "seed": 0, "note": "n", "sha256": "0" * 64, "versions": {"skops": "1"}, "data": {"from": "2025-01-01", "until": "2025-12-31"}, "score": {"metric": "m", "held_out": 2.0, "base_rate": 3.0}, "calibration": [{"forecast": 3.0, "truth": 3.2}, {"forecast": 9.0, "truth": 8.1}]},
        }  # fmt: skip
        for kind, row in rows.items():
            uow.quality.save_outlook(Outlook(tenant=DEFAULT_TENANT, kind=kind, as_of=today, rows=(row,)))
        uow.commit()
    return finding


def test_a_manager_reads_what_became_of_forecasts_and_what_comes(client, told):
    boss = client("manager")
    assert [
        row["coverage"] for row in boss.get(f"{API}/scores").json()["scores"] if row["grouping"] == "all"
    ] == [0.6, 0.81]
    assert boss.get(f"{API}/demand").json()["rows"][0]["p90"] == 5
    assert boss.get(f"{API}/idle-devices").json()["rows"][0]["idle_days"] == 20
    assert boss.get(f"{API}/churn").json()["rows"][0]["reasons"][0]["text"]
    assert boss.get(f"{API}/models").json()["rows"][0]["champion"] is True
    found = boss.get(f"{API}/findings").json()["items"][0]
    assert found["kind"] == "counter_rollback"
    assert "900" in found["reasons"][0]["text"]


def test_a_finding_is_answered_once_by_a_dispatcher(client, told):
    body = {"version": told.version, "note": "new board"}
    path = f"{API}/findings/{told.finding_id}/seen"
    assert client("manager").post(path, json=body).status_code == 403
    desk = client("dispatcher")
    assert desk.post(path, json=body).json()["state"] == "seen"
    assert desk.post(path, json=body).status_code in {409, 412}
    left = desk.get(f"{API}/findings").json()["items"]
    assert told.finding_id not in [row["finding_id"] for row in left]
    assert desk.post(f"{API}/findings/999999/seen", json=body).status_code == 404


@pytest.mark.parametrize("address", ["/forecast-quality", "/outlook", "/findings"])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_pages_show_it_in_both_languages(browser, told, address, language):
    boss = browser("manager")
    boss.cookies.set("drumbeat_lang", language)
    page = boss.get(address)
    assert page.status_code == 200
    assert f'lang="{language}"' in page.text
    assert "foresight." not in page.text
    assert "reasons." not in page.text


@pytest.mark.parametrize(("language", "word"), [("en", "cannot serve"), ("zh-CN", "无法使用")])
def test_a_model_that_cannot_serve_is_said_on_the_page_and_in_the_api(world, browser, told, language, word):
    why = "model supplies/1 was fitted by scikit-learn 0.1, here is 9.9"
    with world.services.uow_factory() as uow:
        shown = uow.quality.outlook(DEFAULT_TENANT, OutlookKind.MODELS)
        card = {**shown.rows[0], "champion": False, "refused": why}
        uow.quality.save_outlook(replace(shown, rows=(card,)))
        uow.commit()
    boss = browser("manager")
    assert boss.get(f"{API}/models").json()["rows"][0]["refused"] == why
    boss.cookies.set("drumbeat_lang", language)
    page = boss.get("/forecast-quality").text
    assert word in page
    assert why in page


def test_a_job_says_what_was_foreseen_when_and_by_which_model(world, browser):
    detail = {"forecast_model": "supplies/7", "basis": "measured", "data_age_days": 1}
    detail |= {"days_p10": 3.0, "days_p50": 5.0, "days_p90": 9.0}
    with world.services.uow_factory() as uow:
        order = next(
            each
            for each in uow.work_orders.list(DEFAULT_TENANT, WorkOrderFilter(limit=50))
            if each.ticket_ids
        )
        ticket = uow.tickets.get(DEFAULT_TENANT, order.ticket_ids[0])
        uow.tickets.save(replace(ticket, detail={**ticket.detail, **detail}))
        uow.commit()
    for path in (f"/work-orders/{order.work_order_id}", f"/tickets/{ticket.ticket_id}"):
        page = browser("dispatcher").get(path).text
        assert "most likely" in page
        assert "supplies/7" in page
