"""The QR code of a work order opens that job once, for its technician, and nothing else."""

import re
from datetime import timedelta

import pytest

from api.job_links import link_to_job
from crm_core.domain.identity import DEFAULT_TENANT, WorkOrderId

HTML = {"Accept": "text/html"}


@pytest.fixture
def order(world):
    with world.services.read_uow_factory() as uow:
        return uow.work_orders.get(DEFAULT_TENANT, WorkOrderId(1))


@pytest.fixture
def path(world, order):
    link = link_to_job(world.services, order)
    assert re.fullmatch(r"http://127\.0\.0\.1:8080/go/dbt_[A-Za-z0-9_-]{43}", link)
    return link.removeprefix("http://127.0.0.1:8080")


def test_the_link_opens_its_job_once_and_only_that(client, path, order):
    phone = client()
    for _ in range(3):  # previews and reloads use nothing up
        assert phone.get(path, headers=HTML).status_code == 200
    opened = phone.post(path)
    assert (opened.status_code, opened.headers["Location"]) == (303, f"/work-orders/{order.work_order_id}")
    page = phone.get(opened.headers["Location"], headers=HTML)
    assert page.status_code == 200
    other = client()
    assert other.post(path).status_code == 404
    assert other.get(path, headers=HTML).status_code == 404
    for elsewhere in (
        "/work",
        "/devices",
        "/tickets",
        "/",
        "/api/v1/me",
        "/api/v1/tickets",
        "/api/v1/devices",
    ):
        assert phone.get(elsewhere, headers=HTML).status_code in (403, 404), elsewhere
    assert phone.get("/work-orders/2", headers=HTML).status_code == 404
    csrf = re.search(r'name="csrf" value="(\w+)"', page.text)[1]
    version = re.search(r'name="version" value="(\d+)"', page.text)[1]
    step = phone.post(f"/work-orders/{order.work_order_id}/start", data={"csrf": csrf, "version": version})
    assert step.status_code == 303
    foreign = phone.post("/work-orders/2/start", data={"csrf": csrf, "version": "1"})
    assert foreign.status_code == 404


def test_links_end_with_time_and_with_the_assignment(client, world, order, path):
    boss = client("dispatcher")
    other = link_to_job(world.services, order).rpartition("8080")[2]
    world.clock.advance(timedelta(hours=24))
    assert client().post(other).status_code == 404
    fresh = link_to_job(world.services, order).rpartition("8080")[2]
    boss = client("dispatcher")
    boss.post(
        f"/api/v1/work-orders/{order.work_order_id}/assign",
        json={"technician_id": "zhao"},
        headers={"If-Match": "*"},
    )
    assert client().post(fresh).status_code == 404
    assert client().post(path).status_code == 404


def test_the_session_ends_with_the_account(client, path):
    phone = client()
    place = phone.post(path).headers["Location"]
    assert phone.get(place, headers=HTML).status_code == 200
    client("admin").patch("/api/v1/users/tech-li", json={"active": False})
    assert phone.get(place, headers=HTML).status_code == 303  # to the sign-in


def test_a_link_is_no_token_and_made_up_ones_open_nothing(client, path):
    machine = client()
    machine.headers["Authorization"] = f"Bearer {path.rpartition('/')[2]}"
    assert machine.get("/api/v1/me").status_code == 401
    assert client().post("/go/" + "a" * 43).status_code == 404
    assert client().post(path, headers={"Origin": "https://evil.example"}).status_code == 403


def test_the_paper_carries_such_a_link(client):
    answer = client("tech-li").get("/api/v1/work-orders/1/document")
    assert answer.status_code == 200
    assert answer.content.startswith(b"%PDF")
