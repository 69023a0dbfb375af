"""Feeds for calendars: own visits only, stable names, cancelled visits kept, nothing else opened by the address."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from icalendar import Calendar

from crm_core.domain.identity import UserId
from crm_core.domain.service import WorkOrderState
from crm_core.ports import WorkOrderFilter


def plan_all(world):
    """Give every order a start from now on; return the orders."""
    now = world.services.clock.now()
    with world.services.uow_factory() as uow:
        orders = uow.work_orders.list("default", WorkOrderFilter(limit=100))
        planned = [
            uow.work_orders.save(replace(each, planned_start=now + timedelta(hours=number)))
            for number, each in enumerate(orders, start=1)
        ]
        uow.commit()
    return planned


def address_of(client, user):
    answer = client(user, "read", "write").post("/api/v1/me/calendar")
    assert answer.status_code == 201
    return urlsplit(answer.json()["url"]).path


def events(client, path):
    answer = client().get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    return Calendar.from_ical(answer.content).walk("VEVENT")


def test_a_technician_finds_own_visits_and_no_others(world, client):
    planned = plan_all(world)
    own = {
        f"default-work-order-{each.work_order_id}@drumbeat" for each in planned if each.technician_id == "li"
    }
    found = events(client, address_of(client, "tech-li"))
    assert own
    assert {str(event["UID"]) for event in found} == own
    assert all(event["DTEND"].dt > event["DTSTART"].dt for event in found)


def test_a_changed_visit_keeps_its_name_and_a_cancelled_one_stays_cancelled(world, client):
    plan_all(world)
    path = address_of(client, "tech-li")
    (before, *_) = events(client, path)
    number = int(str(before["UID"]).split("-")[3].split("@")[0])
    with world.services.uow_factory() as uow:
        order = uow.work_orders.get("default", number)
        uow.work_orders.save(replace(order, state=WorkOrderState.CANCELLED))
        uow.commit()
    after = next(event for event in events(client, path) if event["UID"] == before["UID"])
    assert after["SEQUENCE"] > before["SEQUENCE"]
    assert str(after["STATUS"]) == "CANCELLED"


def test_the_address_opens_nothing_else_and_ends_with_the_account(world, client):
    path = address_of(client, "tech-li")
    token = path.removeprefix("/calendar/").removesuffix(".ics")
    assert client().get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    with world.services.uow_factory() as uow:
        user = uow.users.get("default", UserId("tech-li"))
        uow.users.save(replace(user, active=False))
        uow.commit()
    assert client().get(path).status_code == 404


@pytest.mark.parametrize("token", ["x" * 20, "x" * 101, "..%2f..%2fetc%2fpasswd", "%00" * 20])
def test_strange_addresses_are_absent(client, token):
    assert client().get(f"/calendar/{token}.ics").status_code in (404, 422)


def test_the_page_gives_an_address_once(browser):
    li = browser("tech-li")
    page = li.get("/calendar").text
    csrf = page.split('name="csrf" value="')[-1].split('"')[0]
    shown = li.post("/calendar", data={"csrf": csrf}, headers={"Accept": "text/html"}).text
    assert "/calendar/" in shown
    assert ".ics" in shown
    assert ".ics" not in li.get("/calendar").text
