"""Every list of the API, found in the OpenAPI document, is paged, filtered, cut to fields and given as a table.

A new list that lacks one of these fails here until it has it, or stands below with the reason why it does not need it.
"""

import csv
import io

import openpyxl
import pytest

from tests.integration.api.test_rights import operations

#: Lists that come whole, and why a page would not help.
WHOLE = {
    "/api/v1/billing/ageing": "a report: its rows add up to one total",
    "/api/v1/billing/plans": "the firm's catalogue, tens of rows",
    "/api/v1/billing/repair-balances": "a report of one row a customer with an open balance",
    "/api/v1/class-report": "a report of one row a class",
    "/api/v1/exchange/mappings": "files of the installation, tens of rows",
    "/api/v1/file-changes": "what waits for a decision",
    "/api/v1/foresight/churn": "a report, the likeliest first",
    "/api/v1/foresight/demand": "a report of one row a month and item",
    "/api/v1/foresight/idle-devices": "a report, the idlest first",
    "/api/v1/foresight/models": "one row a kind of model",
    "/api/v1/forecasts/running-out": "a ranking, the soonest first; `limit` and `within_days` cut it",
    "/api/v1/jobs": "tens of jobs",
    "/api/v1/maintenance-plans": "one row a device under regular care",
    "/api/v1/outcomes": "a report of fixed figures",
    "/api/v1/policy/figures": "the figures of one day",
    "/api/v1/policy/versions": "a version a change of the policy",
    "/api/v1/price-list": "the public price list on one sheet",
    "/api/v1/satisfaction": "a report of one row a class",
    "/api/v1/satisfaction/answers": "the answers of one month",
    "/api/v1/segments": "one row a segment",
    "/api/v1/stock": "what lies at the firm's places; `place` and `item_id` cut it",
    "/api/v1/stock/down-times": "a ranking; `limit` and `days` cut it",
    "/api/v1/stock/items": "the firm's catalogue of parts",
    "/api/v1/stock/loans": "the newest; `limit` cuts it",
    "/api/v1/stock/reorders": "what ran low now",
    "/api/v1/stock/swaps": "the newest; `limit` and `days` cut it",
    "/api/v1/stock/van": "one van",
    "/api/v1/stock/waste": "a report of one row a customer",
    "/api/v1/tasks": "what is to be done now; `limit` cuts it",
    "/api/v1/technician-scorecards": "one row a technician",
    "/api/v1/technicians": "the firm's team",
    "/api/v1/tokens": "the firm's programs",
    "/api/v1/trainings": "the firm's team",
    "/api/v1/users": "the firm's people",
    "/api/v1/webhooks": "the firm's programs",
}
#: Paged lists without a filter, and why.
UNFILTERED = {
    "/api/v1/dead-letters": "ordered by number; what is read is taken up in order",
    "/api/v1/security/alarms": "the newest first",
}
#: Lists that answer in a way of their own.
OWN_WAY = {"/api/v1/technician-scorecards": "its CSV has columns in the reader's language"}
CHOICES = {"cursor", "limit", "fields", "format"}


def lists_of(app):
    """Yield path and names of the query parameters of every GET that answers a list."""
    schemas = app.openapi()["components"]["schemas"]
    for method, path, operation in operations(app):
        told = operation["responses"].get("200", {}).get("content", {}).get("application/json")
        if method.upper() != "GET" or told is None:
            continue
        schema = told["schema"]
        known = schemas.get(schema.get("$ref", "").rsplit("/", 1)[-1], {}).get("properties", {})
        if schema.get("type") == "array" or known.keys() & {"items", "rows"}:
            names = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
            yield path, frozenset(names)


def test_every_list_is_paged_filtered_and_cut_or_named_with_its_reason(world):
    lacking, seen = [], set()
    for path, names in lists_of(world.app()):
        seen.add(path)
        if path not in OWN_WAY and not {"fields", "format"} <= names:
            lacking.append((path, "fields and format"))
        if path not in WHOLE and "{" not in path:
            if not {"cursor", "limit"} <= names:
                lacking.append((path, "cursor and limit"))
            if path not in UNFILTERED and not names - CHOICES:
                lacking.append((path, "a filter"))
    assert lacking == []
    assert len(seen) > 50
    assert (OWN_WAY.keys() | UNFILTERED.keys() | WHOLE.keys()) - seen == set()


@pytest.mark.heavy
@pytest.mark.parametrize(("kind", "begins"), [("csv", b"\xef\xbb\xbf"), ("xlsx", b"PK")])
def test_every_list_without_a_key_comes_as_a_table(world, client, kind, begins):
    admin = client("admin")
    for path, names in lists_of(world.app()):
        if "{" in path or path in OWN_WAY or "month" in names or path.endswith("/van") or "/my/" in path:
            continue
        answer = admin.get(path, params={"format": kind})
        assert answer.status_code == 200, (path, answer.text)
        assert answer.content.startswith(begins), path
        assert "attachment" in answer.headers["Content-Disposition"]


def test_a_table_holds_all_pages_with_the_chosen_fields_in_their_order(client):
    manager = client("manager")
    told, cursor = [], None
    while True:
        page = manager.get("/api/v1/tickets", params={"limit": 1, **({"cursor": cursor} if cursor else {})})
        told += [str(row["ticket_id"]) for row in page.json()["items"]]
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    asked = {"format": "csv", "limit": 1, "fields": "state,ticket_id"}
    rows = list(
        csv.reader(io.StringIO(manager.get("/api/v1/tickets", params=asked).content.decode("utf-8-sig")))
    )
    place = rows[0].index("ticket_id")
    assert sorted(rows[0]) == ["state", "ticket_id"]
    assert [row[place] for row in rows[1:]] == told
    assert len(told) > 1


def test_amounts_of_a_table_are_numbers_and_texts_are_no_formulas(client):
    manager = client("manager")
    made = manager.post(
        "/api/v1/customers",
        json={"customer_id": "cust-formula", "name": "=1+1", "contact_name": "Wang"},
        headers={"Idempotency-Key": "a-table"},
    )
    assert made.status_code in (200, 201), made.text
    sheet = manager.get("/api/v1/customers", params={"format": "csv", "fields": "customer_id,name"})
    assert "cust-formula,'=1+1" in sheet.content.decode("utf-8-sig")
    book = manager.get("/api/v1/invoices", params={"format": "xlsx", "fields": "total"}).content
    column = [
        row[0]
        for row in openpyxl.load_workbook(io.BytesIO(book)).active.iter_rows(min_row=2, values_only=True)
    ]
    assert column
    assert all(isinstance(value, int | float) for value in column)


def test_an_unknown_format_or_field_is_invalid_input(client):
    manager = client("manager")
    assert manager.get("/api/v1/tickets", params={"format": "exe"}).status_code == 422
    assert manager.get("/api/v1/tickets", params={"format": "csv", "fields": "secret"}).status_code == 422
