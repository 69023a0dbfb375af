"""Every step of contracts, invoices, accounts and repair charges on pages: looked at first, then confirmed."""

import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from crm_core.ports import WorkOrderFilter

FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
HTML = {"Accept": "text/html"}


class Clerk:
    """A person at the pages: fills a form in, sees the preview, confirms it."""

    def __init__(self, person):
        self.person = person

    def page(self, path):
        answer = self.person.get(path, headers=HTML)
        assert answer.status_code == 200, (path, answer.text[:300])
        return answer.text

    def look(self, page, path, **fields):
        """Send the form that `page` shows for `path`, and return the answer; nothing may be written by it."""
        text = self.page(page)
        form = re.search(rf'<form[^>]*action="{re.escape(path)}".*?</form>', text, re.DOTALL)
        assert form, f"{page} offers no {path}"
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[0]))
        return self.person.post(
            path, content=urlencode({**hidden, **fields}), headers=FORM, follow_redirects=False
        )

    def does(self, page, path, **fields):
        """Look at a step, confirm it, and return the words of the preview."""
        seen = self.look(page, path, **fields)
        assert seen.status_code == 200, re.findall(r'role="alert">([^<]*)', seen.text)
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', seen.text)
        assert ("confirmed", "yes") in hidden, re.findall(r'role="alert">([^<]*)', seen.text)
        done = self.person.post(path, content=urlencode(hidden), headers=FORM, follow_redirects=False)
        assert done.status_code == 303, re.findall(r'role="alert">([^<]*)', done.text)
        return re.sub(r"<[^>]+>", " ", seen.text)

    def refused(self, page, path, **fields):
        """Look at a step that is refused, and return the reason that the page shows."""
        answer = self.look(page, path, **fields)
        assert answer.status_code in (404, 409, 422)
        return " ".join(re.findall(r'role="alert">([^<]*)', answer.text))


@pytest.fixture
def clerk(browser):
    return Clerk(browser("manager"))


def _state(client, contract_id):
    return client("manager").get(f"/api/v1/contracts/{contract_id}").json()


def test_a_contract_from_draft_to_its_end(clerk, client):
    draft = {
        "customer": "cust-1", "contract": "k-new", "starts_on": "2026-04-01", "months": "24", "plan": "basic:1",
        "devices": "2", "device_value": "18,000", "deposit_percent": "30", "clauses": "civil-code-703\nno rise",
    }  # fmt: skip
    assert "10,800.00" in clerk.does("/contracts/new", "/contracts/new", **draft)
    page = "/contracts/k-new"
    clerk.does(page, f"{page}/offer")
    clerk.does(page, f"{page}/withdraw", reason="typo")
    clerk.does(page, f"{page}/offer")
    assert "signed" in clerk.refused(page, f"{page}/sign", given_by="", channel="signature", document="")
    clerk.does(page, f"{page}/sign", given_by="Wang", channel="signature", document="scan.pdf")
    body = _state(client, "k-new")
    assert (body["state"], body["deposit"], body["clauses"], len(body["lines"])) == (
        "active", "10800.00", ["civil-code-703", "no rise"], 2,
    )  # fmt: skip
    deposit = re.search(r'href="(/invoices/DEP-[^"]+)"', clerk.page(page))[1]
    words = clerk.does(deposit, f"{deposit}/instalments", parts="3")
    assert words.count("3,600.00") == 3
    months = {"effective_on": "2026-05-01"}
    clerk.does(page, f"{page}/add-line", new_line="03", plan="basic:1", device_value="9000", **months)
    months = {"effective_on": "2026-06-01"}
    rise = {"line": "01", "plan": "basic:1", "monthly_rent": "650", **months}
    assert "600 -&gt; 650" in clerk.refused(page, f"{page}/change-line", **rise)
    consent = {"given_by": "Wang", "channel": "mail", "document": "mail-7.eml"}
    assert "1,800.00 → 1,850.00" in clerk.does(page, f"{page}/change-line", **rise, **consent)
    clerk.does(page, f"{page}/remove-line", line="03", effective_on="2026-07-01")
    clerk.does(page, f"{page}/suspend", reason="moving house")
    clerk.does(page, f"{page}/resume", reason="moved")
    words = clerk.does(page, f"{page}/terminate", last_day="2026-09-30", reason="closed down")
    assert "11,250.00" in words  # half of 18 x 1,250
    body = _state(client, "k-new")
    assert (body["state"], body["end_reason"], body["terms_version"]) == ("terminated", "closed down", 4)


def test_devices_come_and_go_and_a_lost_one_is_charged(clerk, client, world):
    page = "/contracts/k-1"
    world.clock.move_to(world.clock.now() + timedelta(hours=1))
    (line,) = _state(client, "k-1")["lines"]
    clerk.does(page, f"{page}/take-away", device=line["device_id"], end_count="123,456")
    assert _state(client, "k-1")["lines"][0]["device_id"] is None
    clerk.does(page, f"{page}/place", line="1", device=line["device_id"], start_count="123456")
    assert clerk.refused(page, f"{page}/place", line="1", device="nothing-there")
    clerk.does(page, f"{page}/lost", device=line["device_id"])
    assert clerk.refused(page, f"{page}/lost", device=line["device_id"])  # once


def test_a_form_made_from_an_older_version_is_refused(clerk):
    page = "/contracts/k-2"
    seen = clerk.look(page, f"{page}/suspend", reason="first")
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', seen.text)
    clerk.does(page, f"{page}/suspend", reason="another person was faster")
    late = clerk.person.post(f"{page}/suspend", content=urlencode(hidden), headers=FORM)
    assert late.status_code == 409


def test_a_renewal_is_a_draft_with_the_same_lines(clerk, client):
    clerk.does("/contracts/k-1", "/contracts/k-1/renew", successor="k-1b", months="12")
    old, new = _state(client, "k-1"), _state(client, "k-1b")
    assert (old["state"], old["successor_id"], new["state"]) == ("renewed", "k-1b", "draft")
    assert (new["starts_on"], new["ends_on"]) == ("2028-01-01", "2028-12-31")


def test_an_invoice_is_paid_in_parts_or_taken_back(clerk, client):
    page = "/invoices/INV-2026-000001"
    body = client("manager").get(f"/api/v1{page}").json()
    assert clerk.refused(page, f"{page}/pay", amount="99999", channel="cash")
    assert clerk.refused(page, f"{page}/pay", amount="1", channel="card")  # without its number
    clerk.does(page, f"{page}/pay", amount="1.00", channel="wechat_pay", external_number="WX-77")
    clerk.does(page, f"{page}/credit", reason="wrong customer")
    assert client("manager").get(f"/api/v1{page}").json()["state"] == "credited"
    account = f"/customers/{body['customer_id']}/account"
    assert "2.00" in clerk.does(account, f"{account}/pay-out", channel="transfer", external_number="T-5")


def test_a_repair_charge_from_visit_to_receipt(clerk, client):
    rows = re.findall(r'href="(/charges/\d+)"', clerk.page("/charges"))
    page = rows[0]
    clerk.does(page, f"{page}/explain", note="by phone")
    words = clerk.does(page, f"{page}/confirm", agreed_by="Wang", channel="alipay")
    assert "270.00" in words  # 1.5 h of hard work
    assert "fuser" not in words.lower() or "Fuser" in words
    number = re.search(r'href="/invoices/([^"]+)"', clerk.page(page))[1]
    clerk.does(
        f"/invoices/{number}", f"/invoices/{number}/pay", amount="270", channel="alipay", external_number="A1"
    )
    assert client("manager").get(f"/api/v1{page}").json()["state"] == "receipt"


def test_a_charge_is_opened_for_a_work_order(clerk, world):
    with world.services.uow_factory() as uow:
        charged = {row.work_order_id for row in uow.billing.charges.where("default")}
        order = next(
            row
            for row in uow.work_orders.list("default", WorkOrderFilter())
            if row.work_order_id not in charged and row.customer_id
        )
    found = {"item": "drum", "hours": "0.5", "cause": "user_damage", "part_name": "drum", "part_price": "680"}
    clerk.does("/charges", "/charges/collect", work_order=f"WO-{order.work_order_id:06d}", **found)
    assert clerk.refused("/charges", "/charges/collect", work_order="nonsense", **found)


def test_others_see_no_forms_and_may_not_take_steps(browser):
    own = browser("customer")
    assert "<form" not in own.get("/contracts/k-1", headers=HTML).text.split("<main", 1)[1]
    assert own.post("/contracts/k-1/suspend", content="reason=x", headers=FORM).status_code == 403
    assert own.get("/charges", headers=HTML).status_code == 403


def test_a_step_needs_the_token_of_the_session(clerk):
    answer = clerk.person.post("/contracts/k-1/suspend", content="reason=x&version=1", headers=FORM)
    assert answer.status_code == 403


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_pages_leave_no_key_unspoken(clerk, language):
    clerk.person.cookies.set("drumbeat_lang", language)
    charge = re.search(r'href="(/charges/\d+)"', clerk.page("/charges"))[1]
    paths = ("/contracts/new", "/contracts/k-1", "/invoices/INV-2026-000001", "/charges", charge)
    for path in (*paths, "/customers/cust-1/account"):
        text = clerk.page(path)
        assert not re.findall(r"\b(?:billing|pages|money)\.[a-z_]+\.[a-z_-]+", text), path
