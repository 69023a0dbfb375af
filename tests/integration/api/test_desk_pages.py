"""The desk's pages: the plan of a day with each visit once, incidents with their devices, both only for what is in sight."""

import re
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from api.manager_figures import manager_figures
from api.pages.formats import Formats
from crm_core.domain.identity import DeviceId
from crm_core.domain.service import Incident, IncidentKind
from crm_core.ports import WorkOrderFilter
from tests.builders import TENANT


def planned(world, hours):
    """Give the first assigned order a start so many hours after the world's day begins; return the order."""
    with world.services.uow_factory() as uow:
        order = next(
            each for each in uow.work_orders.list("default", WorkOrderFilter(limit=50)) if each.technician_id
        )
        start = world.services.clock.now().replace(hour=1, minute=0) + timedelta(hours=hours)
        uow.work_orders.save(replace(order, planned_start=start))
        uow.commit()
    return replace(order, planned_start=start)


def test_a_planned_visit_stands_on_its_day_and_on_no_other(world, browser):
    order = planned(world, hours=24)  # 09:00 in Shanghai of tomorrow
    day = order.planned_start.date()
    boss = browser("dispatcher")
    shown = boss.get("/plan", params={"day": day.isoformat()}).text
    assert f'href="/work-orders/{order.work_order_id}"' in shown
    assert "09:00–" in shown
    assert shown.count('<rect class="visit') == 1
    other = boss.get("/plan", params={"day": (day + timedelta(days=3)).isoformat()}).text
    assert '<rect class="visit' not in other


def test_what_has_no_time_is_listed_below(world, browser):
    text = browser("manager").get("/plan").text
    with world.services.uow_factory() as uow:
        open_ones = [
            each
            for each in uow.work_orders.list("default", WorkOrderFilter(limit=500))
            if each.planned_start is None and each.done_at is None
        ]
    assert open_ones
    assert f"{len(open_ones)} without a time" in text


def test_an_incident_is_listed_with_its_devices_and_closed_ones_come_last(world, browser):
    now = world.services.clock.now()
    made = []
    with world.services.uow_factory() as uow:
        for number, closed in enumerate((None, now)):
            opened = uow.incidents.open_unless_covered(
                Incident(
                    tenant="default",
                    incident_id=0,
                    kind=IncidentKind.SITE,
                    subject=f"s{number}",
                    opened_at=now - timedelta(hours=2 - number),
                    device_ids=(DeviceId("c3525-01"),),
                    closed_at=closed,
                    suppressed=7,
                )
            )
            assert opened is not None
            made.append(opened.incident_id)
        uow.commit()
    boss = browser("manager")
    listed = boss.get("/incidents").text
    assert listed.index(f"/incidents/{made[0]}") < listed.index(f"/incidents/{made[1]}")
    shown = boss.get(f"/incidents/{made[0]}").text
    assert 'href="/devices/c3525-01"' in shown
    assert ">7<" in shown
    assert boss.get("/incidents/999").status_code == 404


def test_other_regions_and_technicians_see_nothing_of_it(world, browser):
    li = browser("tech-li")
    assert li.get("/plan").status_code == 403
    assert li.get("/incidents").status_code == 403


def test_service_quality_shows_shares_with_their_counts_to_those_who_lead(browser):
    text = browser("manager").get("/service-quality").text
    assert "Fixed first time" in text
    assert "Median hours" in text
    assert text.count("<svg") >= 2
    assert browser("tech-li").get("/service-quality").status_code == 403


def test_each_figure_of_service_and_money_has_its_definition(browser):
    text = browser("manager").get("/service-quality").text
    labels = re.findall(r'<div class="label">([^<]+)</div>', text)
    defined = re.findall(r"<dt>([^<]+)</dt><dd>[^<]{20,}</dd>", text)
    assert {
        "Cost of a page",
        "Toner thrown away",
        "Overdue",
        "Promises at risk",
        "Run out in 14 days",
    } <= set(labels)
    assert set(labels) <= set(defined)


def test_supervisors_lead_service_and_see_no_money(browser):
    text = browser("supervisor").get("/service-quality").text
    assert "Fixed first time" in text
    assert "Cost of a page" not in text
    assert "Overdue" not in text


def test_the_plan_has_a_map_with_a_link_to_each_visit(world, browser):
    order = planned(world, 2)
    with world.services.uow_factory() as uow:
        site = uow.devices.bundle("default", order.device_id).site
        uow.sites.save(replace(site, latitude=31.2, longitude=121.5))
        uow.commit()
    text = browser("dispatcher").get("/plan").text
    drawing = re.search(r'<svg class="daymap".*?</svg>', text, re.DOTALL)[0]
    assert f'href="/work-orders/{order.work_order_id}"' in drawing
    assert 'role="group"' in drawing
    assert "as the crow flies" in text


def test_the_page_of_a_device_shows_contract_history_and_what_comes(world, browser, client):
    """Requirement 36: device, contract, service history and the next reminders together."""
    page = browser("dispatcher").get("/devices/c3525-01").text
    coming = client("dispatcher").get("/api/v1/devices/c3525-01/reminders").json()
    assert [row["on"] for row in coming] == sorted(row["on"] for row in coming)
    assert {"supply", "contract_end"} <= {row["kind"] for row in coming}
    shown = page.partition('id="coming"')[2].partition("</section>")[0]
    formats = Formats("en", ZoneInfo("UTC"), world.services.clock.now())
    assert all(formats.day(date.fromisoformat(row["on"])) in shown for row in coming[:3])
    assert "Contract until" in page or "contract" in page.lower()
    assert client("customer").get("/api/v1/devices/c3525-01/reminders").status_code == 403


def test_the_first_page_steers_by_service_and_money_as_far_as_each_may_see(browser):
    def labels(name):
        section = re.search(
            r'<section class="card steering">.*?</section>', browser(name).get("/").text, re.DOTALL
        )
        return re.findall(r'<div class="label">([^<]+)</div>', section[0]) if section else []

    service = ["Fixed first time", "Repeats", "Median time to restore", "Pages between visits"]
    assert labels("manager") == [*service, "Toner thrown away", "Cost / price of a page"]
    assert labels("supervisor") == service
    assert labels("dispatcher") == []


def test_figures_of_one_region_leave_out_the_others(world):
    lost = {
        regions: [row.loss.amount for row in manager_figures(world.services, TENANT, regions).money.waste]
        for regions in ((), ("east",), ("west",))
    }
    assert lost == {(): [Decimal("93.00")], ("east",): [Decimal("93.00")], ("west",): []}
