"""A customer's own pages: a fault reported in plain words becomes a ticket with a promise, and only for own devices."""

import base64
import re
from datetime import timedelta

import pytest

from crm_core.domain.identity import DEFAULT_TENANT
from crm_core.domain.relations import Survey
from crm_core.domain.service import OPEN_STATES, Incident, IncidentKind
from crm_core.ports import TicketFilter

HTML = {"Accept": "text/html"}


def sent(browser, **fields):
    page = browser.get("/my").text
    csrf = re.search(r'action="/my/report"[^>]*><input type="hidden" name="csrf" value="([^"]+)"', page)[1]
    given = {"csrf": csrf, "device_id": "c3525-01", "what": "quality", "text": "grey stripes", **fields}
    return browser.post("/my/report", data=given, headers=HTML)


def reported(world):
    with world.services.uow_factory() as uow:
        tickets = uow.tickets.list("default", TicketFilter(states=OPEN_STATES, limit=500))
    return [ticket for ticket in tickets if ticket.cause.startswith("reported.")]


def test_a_reported_fault_shows_with_the_promised_time(world, browser):
    before = len(reported(world))
    answer = sent(browser("customer"))
    (ticket, *_) = reported(world)
    told = f"/my?reported={ticket.ticket_id}#told"
    assert (answer.status_code, answer.headers["Location"]) == (303, told)
    page = browser("customer").get(told.partition("#")[0]).text
    assert f"Your report has the number T-{ticket.ticket_id:06d}" in page
    assert "Somebody answers by" in page
    assert len(reported(world)) == before + 1
    assert ticket.clocks
    text = browser("customer").get("/my").text
    assert "Reported: grey stripes" in text


def test_the_same_fault_twice_is_explained_and_changes_nothing(world, browser):
    mine = browser("customer")
    sent(mine)
    count = len(reported(world))
    again = sent(mine)
    assert again.status_code == 409
    assert 'role="alert"' in again.text
    assert len(reported(world)) == count


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"device_id": "c7773-02"}, 404),  # a neighbour's
        ({"device_id": "no-such"}, 404),
        ({"what": "everything"}, 422),
        ({"text": " "}, 422),
        ({"text": "x" * 501}, 422),
        ({"csrf": "0" * 32}, 403),
    ],
)
def test_foreign_devices_and_bad_forms_are_refused(world, browser, fields, status):
    count = len(reported(world))
    assert sent(browser("customer"), **fields).status_code == status
    assert len(reported(world)) == count


def test_a_known_outage_stands_first_and_only_for_whom_it_concerns(world, browser):
    with world.services.uow_factory() as uow:
        uow.incidents.open_unless_covered(
            Incident(
                tenant=DEFAULT_TENANT,
                incident_id=0,
                kind=IncidentKind.SITE,
                subject="school",
                opened_at=world.clock.now(),
                device_ids=("c7773-02",),
            )
        )
        uow.commit()
    concerned, other = browser("customer-west"), browser("customer")
    assert "power or network at the site may be down" in concerned.get("/my").text
    assert "power or network at the site may be down" not in other.get("/my").text


def test_the_device_of_a_label_is_chosen_and_help_comes_before_the_report(browser):
    page = browser("customer").get("/my", params={"device": "c3525-02"}).text
    assert '<option value="c3525-02" selected>' in page
    assert page.index("What often helps at once") < page.index('name="text"')


def test_staff_has_no_customer_page(browser):
    assert browser("manager").get("/my").status_code == 403


def asked(world, customer="cust-1", subject="visit:1"):
    """Ask a customer about a visit; return the id of the question."""
    now = world.clock.now()
    with world.services.uow_factory() as uow:
        kept = uow.relations.surveys.add_once(
            Survey(
                tenant="default", survey_id=0, customer_id=customer, subject=subject, token_hash=f"{customer}{subject}",
                sent_at=now, expires_at=now + timedelta(days=14),
            )
        )  # fmt: skip
        uow.commit()
    return kept.survey_id


def test_a_question_is_answered_once_and_only_by_the_own_customer(world, browser, client):
    own, foreign = asked(world), asked(world, customer="cust-2")
    mine = browser("customer")
    text = mine.get("/my/questions").text
    assert "work order W-000001" in text
    csrf = re.search(r'action="/my/questions/\d+"><input type="hidden" name="csrf" value="([^"]+)"', text)[1]
    given = {"csrf": csrf, "satisfaction": "90", "contacted": "yes", "fixed": "", "comment": "quick"}
    for wrong in (foreign, 10**6):
        assert mine.post(f"/my/questions/{wrong}", data=given, headers=HTML).status_code == 404
    assert (
        mine.post(f"/my/questions/{own}", data=given | {"satisfaction": "x"}, headers=HTML).status_code == 422
    )
    assert mine.post(f"/my/questions/{own}", data=given, headers=HTML).status_code == 303
    assert mine.post(f"/my/questions/{own}", data=given, headers=HTML).status_code == 409
    with world.services.uow_factory() as uow:
        kept = uow.relations.surveys.get("default", own)
    assert (kept.satisfaction, kept.contacted_in_time, kept.fixed_first_time, kept.comment) == (
        90,
        True,
        None,
        "quick",
    )
    assert "No question is waiting" in mine.get("/my/questions").text
    assert browser("dispatcher").get("/my/questions").status_code == 403


def test_anybody_reads_the_price_list(browser, client):
    for reader in (client(), browser("customer")):
        text = reader.get("/prices", headers={"Accept-Language": "en"}).text
        assert "Price list of repairs" in text
        assert text.count("<tr>") > 3


def test_a_photo_of_the_fault_is_seen_on_the_ticket_and_by_nobody_else(world, browser, client):
    content = b"\x89PNG\r\n\x1a\n" + b"a drawing" + b"\x00\x00\x00\x00IEND\xaeB`\x82"
    answer = sent(browser("customer"), photo=base64.b64encode(content).decode())
    assert answer.status_code == 303
    (ticket, *_) = reported(world)
    path = f"/api/v1/tickets/{ticket.ticket_id}/photo"
    for name in ("customer", "dispatcher"):
        seen = client(name).get(path)
        assert (seen.status_code, seen.content, seen.headers["Content-Type"]) == (200, content, "image/png")
    assert client("customer-west").get(path).status_code == 404
    assert client("dispatcher").get("/api/v1/tickets/1/photo").status_code == 404
    assert f'<img src="{path}"' in browser("dispatcher").get(f"/tickets/{ticket.ticket_id}").text


@pytest.mark.parametrize("photo", ["not base64!", base64.b64encode(b"<svg onload=alert(1)>").decode()])
def test_what_is_no_photo_is_refused_with_its_reason_and_opens_nothing(world, browser, photo):
    before = len(reported(world))
    answer = sent(browser("customer"), photo=photo)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert len(reported(world)) == before
