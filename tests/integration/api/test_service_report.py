"""The monthly service report: the figures of the month in both languages, for the customer's own eyes and the office's."""

import io

import pytest
from pypdf import PdfReader


def text_of(answer):
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/pdf"
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages)


@pytest.mark.parametrize(("language", "words"), [("en", "Service report"), ("zh-CN", "服务月报")])
def test_a_customer_reads_the_present_month(world, client, language, words):
    month = world.services.clock.now().strftime("%Y-%m")
    text = text_of(
        client("customer", "read").get(
            "/api/v1/customers/cust-1/service-report", params={"month": month, "language": language}
        )
    )
    assert words in text
    assert "C3525" in text
    assert "8,550" in text
    assert "scheduled" not in text or language == "en"


def test_each_ticket_of_the_month_stands_once(world, client):
    month = world.services.clock.now().strftime("%Y-%m")
    office = client("manager", "read")
    rows = office.get(
        "/api/v1/tickets", params={"state": "all", "customer_id": "cust-1", "limit": 100}
    ).json()["items"]
    text = text_of(
        office.get("/api/v1/customers/cust-1/service-report", params={"month": month, "language": "en"})
    )
    numbers = [row["number"] for row in rows if row["raised_at"].startswith(month)]
    assert numbers
    assert all(text.count(number) == 1 for number in numbers)
    flat = " ".join(text.split())
    row = next(row for row in rows if row["number"] in numbers)
    model = office.get(f"/api/v1/devices/{row['device_id']}").json()["model"]
    assert f"{row['number']} · {model} · " in flat


def test_without_a_month_it_is_the_last_whole_one_and_the_future_is_refused(client):
    office = client("manager", "read")
    assert text_of(office.get("/api/v1/customers/cust-1/service-report"))
    for month in ("2099-01", "2026-13", "garbage"):
        answer = office.get("/api/v1/customers/cust-1/service-report", params={"month": month})
        assert answer.status_code == 422


def test_another_customers_report_is_absent(client):
    mine = client("customer", "read")
    assert mine.get("/api/v1/customers/cust-2/service-report").status_code == 404
    assert mine.get("/api/v1/customers/no-such/service-report").status_code == 404
