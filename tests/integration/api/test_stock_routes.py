"""Stock over HTTP: lists with their value, entries that count once, early swaps in money, pages in both languages."""

import pytest

from crm_core.domain.fleet import OwnerState
from crm_core.domain.stock import StockPlace
from crm_core.ports import WorkOrderFilter
from tests.integration.api.stock import WAREHOUSE

PAGES = ("/stock", "/stock/moves", "/stock/swaps", "/stock/loans")


def quantity(who, place):
    rows = who.get(f"/api/v1/stock?place={place}").json()["items"]
    return sum(row["quantity"] for row in rows)


def test_what_is_where_with_its_value(client):
    body = client("manager").get("/api/v1/stock").json()
    assert {row["place"]: row["quantity"] for row in body["items"]} == {
        WAREHOUSE: 20, "van:li": 3, "van:zhao": 2,
    }  # fmt: skip
    assert body["value"] == "7500.00"


def test_an_entry_counts_once_by_its_reference(client):
    who = client("dispatcher")
    body = {"item_id": "CRG-1", "quantity": 4, "place": WAREHOUSE, "reference": "DN-77"}
    first = who.post("/api/v1/stock/receipts", json=body)
    assert (first.status_code, first.json()["repeated"]) == (201, False)
    assert who.post("/api/v1/stock/receipts", json=body).json() == {"repeated": True, "move": None}
    assert quantity(who, WAREHOUSE) == 24


def test_a_place_never_gives_what_it_does_not_hold(client):
    who = client("dispatcher")
    body = {"item_id": "CRG-1", "quantity": 21, "source": WAREHOUSE, "target": "van:li"}
    answer = who.post("/api/v1/stock/transfers", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert who.post("/api/v1/stock/transfers", json={**body, "target": "van:nobody"}).status_code == 404
    assert who.post("/api/v1/stock/transfers", json={**body, "target": "moon:x"}).status_code == 422


def test_a_shipment_arrives_on_the_shelf_and_a_count_books_the_difference(client):
    who = client("dispatcher")
    sent = {"item_id": "CRG-1", "quantity": 2, "source": WAREHOUSE, "site_id": "hq"}
    assert who.post("/api/v1/stock/shipments", json=sent).status_code == 201
    assert quantity(who, "transit:hq") == 2
    arrived = {"item_id": "CRG-1", "quantity": 2, "site_id": "hq"}
    assert who.post("/api/v1/stock/deliveries", json=arrived).status_code == 201
    assert quantity(who, "shelf:hq") == 2
    counted = who.post("/api/v1/stock/counts", json={"item_id": "CRG-1", "place": "shelf:hq", "counted": 1})
    assert counted.json() == {"difference": -1, "broken": []}
    assert quantity(who, "shelf:hq") == 1


def test_technicians_see_their_own_van_and_nothing_else(client, browser):
    who = client("tech-li")
    assert [row["quantity"] for row in who.get("/api/v1/stock/van").json()["items"]] == [3]
    assert who.get("/api/v1/stock").status_code == 403
    assert "Toner 1" in browser("tech-li").get("/van").text


def test_early_swaps_are_money_by_customer(client, browser):
    who = client("manager")
    (waste,) = who.get("/api/v1/stock/waste").json()["items"]
    assert (waste["customer_id"], waste["early"], waste["loss"]) == ("cust-1", 1, "93.00")
    (swap,) = who.get("/api/v1/stock/swaps?early=true&customer_id=cust-1").json()["items"]
    assert (swap["residual_percent"], swap["loss"]) == (31.0, "93.00")
    assert "93.00" in browser("manager").get("/stock/swaps").text


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_pages_of_stock_speak_both_languages(browser, path, language):
    who = browser("manager")
    who.cookies.set("drumbeat_lang", language)
    answer = who.get(path)
    assert answer.status_code == 200
    assert f'lang="{language}"' in answer.text
    assert "pages.stock" not in answer.text


def form_of(visitor, path):
    return {"csrf": visitor.get(path).text.split('name="csrf" value="')[1].split('"')[0]}


def test_the_store_keeper_enters_what_came_moved_and_was_counted(client, browser):
    who, page = client("dispatcher"), browser("dispatcher")
    sent = form_of(page, "/stock") | {
        "item_id": "CRG-1",
        "place": WAREHOUSE,
        "quantity": "4",
        "reference": "DN-9",
    }
    assert page.post("/stock/entries/receive", data=sent).status_code == 303
    assert page.post("/stock/entries/receive", data=sent).status_code == 303  # the same paper counts once
    assert quantity(who, WAREHOUSE) == 24
    moved = sent | {"source": WAREHOUSE, "target": "van:li", "quantity": "99"}
    refused = page.post("/stock/entries/transfer", data=moved)
    assert (refused.status_code, 'value="99"' in refused.text) == (409, True)
    assert (
        page.post("/stock/entries/count", data=sent | {"counted": "21", "note": "shelf 3"}).status_code == 303
    )
    assert quantity(who, WAREHOUSE) == 21
    assert page.post("/stock/entries/count", data=sent | {"counted": "many"}).status_code == 422
    ledger = page.get("/stock/moves", params={"item": "CRG-1", "place": WAREHOUSE}).text
    assert "Balance" in ledger
    assert ledger.index(">21<") < ledger.index(">24<")
    assert "/stock/entries" not in browser("manager").get("/stock").text
    assert browser("manager").post("/stock/entries/count", data=sent).status_code == 403


def test_a_stand_by_machine_is_kept_from_the_page(client, browser, world):
    page = browser("dispatcher")
    fields = form_of(page, "/stock") | {"device_id": "c3525-01", "place": WAREHOUSE}
    refused = page.post("/stock/entries/stand_by", data=fields)
    assert refused.status_code == 409  # it stands at a customer
    world.services.registry.retire("default", "c3525-01", state=OwnerState.STOCK)
    with world.services.uow_factory() as uow:
        uow.stock.save_place(
            StockPlace(tenant="default", place=WAREHOUSE, name="Main", latitude=31.2, longitude=121.5)
        )
        uow.commit()
    assert 'name="device_id"' in page.get("/stock/loans").text
    kept = page.post("/stock/entries/stand_by", data=fields, follow_redirects=True)
    assert "c3525-01" in kept.text


def test_the_page_of_a_visit_offers_what_lies_in_the_van(world, browser):
    with world.services.read_uow_factory() as uow:
        order = next(
            each
            for each in uow.work_orders.list("default", WorkOrderFilter(limit=50))
            if each.technician_id == "li"
        )
    shown = browser("tech-li").get(f"/work-orders/{order.work_order_id}").text
    assert 'data-kind="toner"' in shown
    assert 'max="3"' in shown
