"""Money over HTTP: a price rise without consent, evidence, the link of one invoice, payments, papers, the pages."""

import re
from datetime import timedelta

import pytest

FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
LINE = {"line_id": "1", "plan_id": "basic", "monthly_rent": "650", "device_value": "18000"}


def test_a_price_rise_without_consent_is_refused(client):
    manager = client("manager")
    tag = manager.get("/api/v1/contracts/k-1").headers["ETag"]
    body = {"effective_on": "2026-05-01", "lines": [LINE]}
    refused = manager.post("/api/v1/contracts/k-1/terms", json=body, headers={"If-Match": tag})
    assert refused.status_code == 409
    body["consent"] = {"given_by": "Wang", "document": "scan.pdf"}
    assert manager.post("/api/v1/contracts/k-1/terms", json=body).status_code == 428
    changed = manager.post("/api/v1/contracts/k-1/terms", json=body, headers={"If-Match": tag})
    assert changed.status_code == 200
    assert changed.json()["terms_version"] == 2
    assert changed.json()["consents"][-1]["document"] == "scan.pdf"


def test_a_run_can_be_looked_at_first_and_repeated(client):
    manager = client("manager")
    preview = manager.post("/api/v1/billing/runs?dry_run=true", json={"month": "2026-02"}).json()
    assert (preview["written"], preview["existing"], preview["total"]) == (0, 2, "1164.00")
    early = manager.post("/api/v1/billing/runs", json={"month": "2026-03"})
    assert early.status_code == 422
    assert manager.post("/api/v1/billing/runs", json={"month": "2026-13"}).status_code == 422


def test_a_link_shows_one_invoice_and_nothing_else(client, world):
    manager, visitor = client("manager"), client()
    link = manager.post("/api/v1/invoices/INV-2026-000001/links").json()
    path = "/i/" + link["url"].rsplit("/", 1)[1]
    page = visitor.get(path, headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "INV-2026-000001" in page.text
    assert visitor.get(f"{path}/invoice.pdf").content.startswith(b"%PDF")
    assert visitor.get("/api/v1/invoices/INV-2026-000001").status_code == 401
    assert visitor.get("/i/" + "x" * 43).status_code == 404
    expires = world.clock.now().fromisoformat(link["expires_at"])
    world.clock.move_to(expires)
    assert visitor.get(path).status_code == 404


def test_payments_are_recorded_once_and_never_too_much(client):
    manager = client("manager")
    body = {"amount": "100.00", "channel": "wechat_pay", "external_number": "WX-1"}
    first = manager.post("/api/v1/invoices/INV-2026-000001/payments", json=body)
    again = manager.post("/api/v1/invoices/INV-2026-000001/payments", json=body)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    too_much = {"amount": "999.00", "channel": "cash"}
    assert manager.post("/api/v1/invoices/INV-2026-000001/payments", json=too_much).status_code == 409
    no_number = {"amount": "1.00", "channel": "card"}
    assert manager.post("/api/v1/invoices/INV-2026-000001/payments", json=no_number).status_code == 422
    for bad in ("-1", "1.001", "1e3", "NaN", ""):
        wrong = {"amount": bad, "channel": "cash"}
        assert manager.post("/api/v1/invoices/INV-2026-000001/payments", json=wrong).status_code == 422
    assert manager.get("/api/v1/invoices/INV-2026-000001").json()["outstanding"] == "481.00"


def test_a_charge_goes_through_its_states(client):
    manager = client("manager")
    early = {"agreed_by": "Wang", "payment_method": "alipay"}
    assert manager.post("/api/v1/charges/1/confirm", json=early).status_code == 409
    assert manager.post("/api/v1/charges/1/explain", json={"note": "by phone"}).status_code == 200
    done = manager.post("/api/v1/charges/1/confirm", json=early).json()
    assert (done["state"], done["total"]) == ("confirm", "270.00")
    assert done["formula"] == "1.5 h × 120 × 1.5 × 1.0"
    invoice = manager.get(f"/api/v1/invoices/{done['invoice_number']}").json()
    assert [line["amount"] for line in invoice["lines"]] == [line["amount"] for line in done["lines"]]


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize(
    "path",
    ["/api/v1/price-list/pdf", "/api/v1/invoices/INV-2026-000001/pdf", "/api/v1/contracts/k-1/pdf", "/api/v1/payments/1/receipt"],
)  # fmt: skip
def test_papers_are_pdf_in_both_languages(client, path, language):
    answer = client("manager").get(path, headers={"Accept-Language": language})
    assert answer.status_code == 200
    assert answer.content.startswith(b"%PDF")
    assert answer.headers["content-type"] == "application/pdf"


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_pages_speak_both_languages_and_leave_no_key(browser, language):
    person = browser("manager")
    person.cookies.set("drumbeat_lang", language)
    paths = (
        "/invoices", "/invoices?state=open", "/invoices/month-end?month=2026-02", "/invoices/INV-2026-000001",
        "/contracts", "/contracts/k-1", "/ageing",
    )  # fmt: skip
    for path in paths:
        page = person.get(path, headers={"Accept": "text/html"})
        assert page.status_code == 200, path
        assert not re.findall(r"\b(?:billing|pages)\.[a-z_]+\.[a-z_]+", page.text), path
        assert "{" not in re.sub(r"<style.*?</style>|<script.*?</script>", "", page.text, flags=re.DOTALL), (
            path
        )


def test_a_customer_sees_the_own_invoice_on_the_pages(browser):
    own = browser("customer")
    page = own.get("/invoices", headers={"Accept": "text/html"})
    assert "INV-2026-000001" in page.text
    assert "INV-2026-000002" not in page.text
    assert own.get("/invoices/INV-2026-000002", headers={"Accept": "text/html"}).status_code == 404
    assert own.get("/ageing", headers={"Accept": "text/html"}).status_code == 403


def test_the_form_records_a_payment_and_explains_a_refusal(browser):
    person = browser("manager")
    page = person.get("/invoices/INV-2026-000002", headers={"Accept": "text/html"}).text
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)[1]
    paid = person.post(
        "/invoices/INV-2026-000002/pay", content=f"csrf={csrf}&confirmed=yes&amount=1.00&channel=cash", headers=FORM,
        follow_redirects=False,
    )  # fmt: skip
    assert paid.status_code == 303
    refused = person.post(
        "/invoices/INV-2026-000002/pay", content=f"csrf={csrf}&amount=99999&channel=cash", headers=FORM
    )
    assert refused.status_code == 409
    assert 'role="alert"' in refused.text


def changes(who, path, body):
    """Send a step of contract k-1 with its present tag."""
    tag = who.get("/api/v1/contracts/k-1").headers["ETag"]
    return who.post(f"/api/v1/contracts/k-1/{path}", json=body, headers={"If-Match": tag})


def test_a_lost_device_is_charged_once_at_its_depreciated_value(client, world):
    manager = client("manager")
    (line,) = manager.get("/api/v1/contracts/k-1").json()["lines"][:1]
    device = line["device_id"]
    lost = changes(manager, "lost", {"device_id": device})
    assert lost.status_code == 200, lost.text
    assert float(lost.json()["compensation"]) > 0
    assert lost.json()["contract"]["events"][-1]["event"] == "lost"
    assert changes(manager, "lost", {"device_id": device}).status_code == 409
    assert changes(manager, "lost", {"device_id": "rival-01"}).status_code == 404


def test_nothing_is_settled_that_is_not_missing_and_nothing_paid_out_that_is_not_owed(client):
    manager = client("manager")
    assert changes(manager, "settle", {"what": "guarantor"}).status_code == 409
    body = {"channel": "transfer", "external_number": "T-1"}
    assert manager.post("/api/v1/customers/cust-1/account/pay-out", json=body).status_code == 409
    assert client("dispatcher").post("/api/v1/customers/cust-1/account/pay-out", json=body).status_code == 403


def test_a_device_leaves_its_line_with_its_last_count(client, world):
    manager = client("manager")
    world.clock.move_to(world.clock.now() + timedelta(hours=1))
    taken = changes(manager, "lines/1/take-away", {"end_count": 4321})
    assert taken.status_code == 200, taken.text
    assert taken.json()["lines"][0]["device_id"] is None
    assert changes(manager, "lines/1/take-away", {}).status_code == 409
