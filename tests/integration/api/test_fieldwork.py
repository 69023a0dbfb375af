"""Visits over HTTP: files, notes, estimates with the customer's decision, the report, plans of regular care."""

import hashlib
from datetime import timedelta
from io import BytesIO

import pytest
from pypdf import PdfReader

PNG = b"\x89PNG\r\n\x1a\n" + b"a drawing" + b"\x00\x00\x00\x00IEND\xaeB`\x82"
JPEG = b"\xff\xd8\xff\xe0" + b"x" * 100_000 + b"\xff\xd9"


def an_order(client, name="tech-li"):
    rows = client(name).get("/api/v1/work-orders").json()["items"]
    return next(row for row in rows if row["kind"] != "phone" and row["state"] == "assigned")


def upload(machine, order, content, kind="photo", media="image/jpeg"):
    where = f"/api/v1/attachments/{order['work_order_id']}"
    return machine.post(where, params={"kind": kind}, content=content, headers={"Content-Type": media})


def test_a_visit_keeps_photos_notes_and_a_report(world, client):
    li, order = client("tech-li"), an_order(client)
    where = f"/api/v1/work-orders/{order['work_order_id']}"
    photo = upload(li, order, JPEG)
    assert (photo.status_code, photo.json()["media_type"]) == (201, "image/jpeg")
    assert photo.json()["sha256"] == hashlib.sha256(JPEG).hexdigest()
    assert upload(li, order, JPEG).json()["attachment_id"] == photo.json()["attachment_id"]
    assert li.get(photo.json()["href"]).content == JPEG
    assert li.get(photo.json()["href"]).headers["Content-Type"] == "image/jpeg"
    assert upload(li, order, b"<html>", media="image/png").status_code == 422
    assert upload(li, order, PNG + b"x" * 7_000_000, media="image/png").status_code == 413
    assert upload(li, order, PNG, "signature", "image/png").status_code == 201
    assert upload(client("tech-zhao"), order, JPEG).status_code == 404
    assert upload(client("manager"), order, JPEG).status_code == 403
    body = {
        "labour_minutes": 25, "item": "fuser", "empties": ["QR-1", "QR-2"], "signed_by": "王芳",
        "parts": [{"kind": "fuser", "part_number": "FM-1", "unit_price": "880.00"}],
    }  # fmt: skip
    noted = li.post(f"{where}/visit", json=body)
    assert noted.status_code == 200, noted.text
    assert (noted.json()["empties"], noted.json()["missing"]) == (["QR-1", "QR-2"], [])
    assert li.post(f"{where}/visit", json={"checks": ["test_print"]}).status_code == 422
    assert li.post(f"{where}/visit", json={"labour_minutes": 25.5}).status_code == 422
    for step in ("start", "arrive"):
        assert li.post(f"{where}/{step}", json={}, headers={"If-Match": "*"}).status_code == 200
    world.clock.advance(timedelta(minutes=30))
    done = li.post(f"{where}/complete", json={}, headers={"If-Match": "*"})
    assert done.status_code == 200, done.text
    shown = client("dispatcher").get(f"{where}/visit").json()
    assert shown["finished_at"] is not None
    assert [line["amount"] for line in shown["lines"]] == [
        "0.00",
        "0.00",
    ]  # covered by the contract: rules are named
    assert all(line["rule"] for line in shown["lines"])
    assert li.post(f"{where}/visit", json={"labour_minutes": 5}).status_code == 409
    for language in ("en", "zh-CN"):
        paper = client("manager").get(f"{where}/report", params={"language": language})
        assert paper.content.startswith(b"%PDF")


def test_chargeable_work_waits_for_the_customers_consent(client):
    li, order = client("tech-li"), an_order(client)
    ticket = f"/api/v1/tickets/{order['ticket_ids'][0]}/estimates"
    offered = li.post(ticket, json={"item": "fuser", "cause": "user_damage"})
    assert offered.status_code == 201, offered.text
    estimate = offered.json()
    assert float(estimate["low"]) < float(estimate["total"]) < float(estimate["high"])
    assert "×" in estimate["formula"]
    start = f"/api/v1/work-orders/{order['work_order_id']}/start"
    assert li.post(start, json={}, headers={"If-Match": "*"}).status_code == 409
    decide = f"{ticket}/{estimate['estimate_id']}/decision"
    owner = "customer" if order["customer_id"] == "cust-1" else "customer-west"
    other = "customer-west" if owner == "customer" else "customer"
    paper = f"{ticket}/{estimate['estimate_id']}/document"
    assert client(other).get(paper).status_code == 404
    assert client(owner).get(paper.replace(ticket, "/api/v1/tickets/2/estimates")).status_code == 404
    assert client(other).post(decide, json={"accepted": True, "method": "cash"}).status_code == 404
    assert client(owner).post(decide, json={"accepted": True}).status_code == 422
    agreed = client(owner).post(decide, json={"accepted": True, "method": "wechat_pay"})
    assert (agreed.status_code, agreed.json()["state"]) == (200, "accepted")
    assert client(owner).post(decide, json={"accepted": False}).status_code == 409
    assert li.post(start, json={}, headers={"If-Match": "*"}).status_code == 200
    assert li.post(ticket, json={"item": "gold"}).status_code == 422


def test_plans_of_regular_care(world, client):
    boss = client("dispatcher")
    (plan,) = boss.get("/api/v1/maintenance-plans").json()
    assert (plan["device_id"], plan["used_percent"]) == ("c3525-01", 50)
    made = boss.post("/api/v1/maintenance-plans", json={"device_id": "c3525-02", "parts": ["roller"]})
    assert (made.json()["every_pages"], made.json()["every_days"]) == (30_000, 180)
    assert boss.post("/api/v1/maintenance-plans", json={"device_id": "c3525-02"}).status_code == 409
    assert boss.post("/api/v1/maintenance-plans", json={"device_id": "rival-01"}).status_code == 404
    world.clock.advance(timedelta(days=60))
    report = world.services.fieldwork.plans.run("default")
    assert report.due == 1
    boss = client("dispatcher")  # the first token has run out
    (care,) = [row for row in boss.get("/api/v1/work-orders").json()["items"] if row["kind"] == "maintenance"]
    page = boss.get(f"/work-orders/{care['work_order_id']}", headers={"Accept": "text/html"})
    assert "Clean paper path" in page.text
    off = boss.post(f"/api/v1/maintenance-plans/{plan['plan_id']}/switch", json={"active": False})
    assert off.json()["active"] is False


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", ("Estimate", "Fuser unit", "What it will cost", "only after you agree")),
     ("zh-CN", ("维修报价单", "定影", "费用明细", "经您同意"))],
)  # fmt: skip
def test_an_estimate_on_paper_tells_price_range_and_what_is_asked(client, language, words):
    li, order = client("tech-li"), an_order(client)
    ticket = f"/api/v1/tickets/{order['ticket_ids'][0]}/estimates"
    estimate = li.post(ticket, json={"item": "fuser", "cause": "user_damage"}).json()
    answer = client("manager").get(
        f"{ticket}/{estimate['estimate_id']}/document", headers={"Accept-Language": language}
    )
    assert answer.headers["Content-Type"] == "application/pdf"
    text = "".join(page.extract_text() for page in PdfReader(BytesIO(answer.content)).pages)
    for each in (*words, f"E-{estimate['estimate_id']:06d}", f"{float(estimate['total']):,.2f}"):
        assert each in text, each
    free = li.post(ticket, json={"item": "fuser", "cause": "wear"}).json()["estimate_id"]
    answer = client("manager").get(f"{ticket}/{free}/document", headers={"Accept-Language": "en"})
    assert "Covered by the rental" in PdfReader(BytesIO(answer.content)).pages[0].extract_text()
    page = client("manager").get(f"/tickets/{order['ticket_ids'][0]}", headers={"Accept": "text/html"}).text
    assert f'href="{ticket}/{estimate["estimate_id"]}/document"' in page
