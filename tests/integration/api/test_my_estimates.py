"""Customers decide on estimates and replacements: only their own, only what stands, a no with its reason."""

import re
from dataclasses import replace

import pytest

from crm_core.domain.fieldwork import EstimateState
from crm_core.domain.identity import DEFAULT_TENANT
from crm_core.domain.service import OPEN_STATES, TicketLevel, TicketState
from crm_core.ports import TicketFilter

HTML = {"Accept": "text/html"}


def own_ticket(world, customer="cust-1"):
    with world.services.uow_factory() as uow:
        return uow.tickets.list("default", TicketFilter(states=OPEN_STATES, customer_id=customer, limit=1))[0]


@pytest.fixture
def offered(world):
    """Return an estimate for a ticket of the first customer."""
    ticket = own_ticket(world)
    return world.services.fieldwork.estimates.offer(
        DEFAULT_TENANT, ticket.ticket_id, "fuser", "user_damage", actor="li"
    )


def fields(page, **given):
    """Return the hidden fields of the page's last form with what is filled in."""
    return {**dict(re.findall(r'name="(csrf|version)" value="([^"]+)"', page)), **given}


def stored(world, estimate):
    with world.services.uow_factory() as uow:
        return uow.fieldwork.estimates.get(DEFAULT_TENANT, estimate.estimate_id)


def test_the_code_of_the_paper_leads_everybody_to_their_own_page(browser, offered):
    code = f"/e/{offered.estimate_id}"
    led = {who: browser(who).get(code, headers=HTML) for who in ("customer", "dispatcher", "customer-west")}
    assert led["customer"].headers["Location"] == f"/my/estimates/{offered.estimate_id}"
    assert led["dispatcher"].headers["Location"] == f"/tickets/{offered.ticket_id}#estimates"
    assert led["customer-west"].status_code == 404
    assert browser("customer-west").get(f"/my/estimates/{offered.estimate_id}").status_code == 404


def test_who_is_not_signed_in_comes_back_to_the_estimate(client, offered):
    answer = client().get(f"/e/{offered.estimate_id}", headers=HTML)
    assert answer.headers["Location"].endswith(f"next=%2Fe%2F{offered.estimate_id}")


def test_an_estimate_is_accepted_once_with_a_way_to_pay(world, browser, offered):
    mine, where = browser("customer"), f"/my/estimates/{offered.estimate_id}"
    assert f'href="{where}"' in mine.get("/my/estimates").text
    page = mine.get(where).text
    assert f"{offered.price.total:,.2f}" in page
    given = fields(page, answer="accept")
    assert mine.post(where, data=given, headers=HTML).status_code == 422
    assert mine.post(where, data=given | {"method": "alipay"}, headers=HTML).status_code == 303
    decided = stored(world, offered)
    assert (decided.state, decided.payment_method) == (EstimateState.ACCEPTED, "alipay")
    assert mine.post(where, data=given | {"method": "alipay"}, headers=HTML).status_code == 409
    text = mine.get(where).text
    assert 'name="answer"' not in text
    with world.services.uow_factory() as uow:
        events = uow.tickets.get(DEFAULT_TENANT, offered.ticket_id).events
    assert [each.event for each in events][-2:] == ["estimate_offered", "estimate_accepted"]


def test_a_no_says_why_and_staff_reads_it(world, browser, offered):
    mine, where = browser("customer"), f"/my/estimates/{offered.estimate_id}"
    given = fields(mine.get(where).text, answer="decline")
    assert mine.post(where, data=given | {"note": "  "}, headers=HTML).status_code == 422
    assert mine.post(where, data=given | {"note": "x" * 501}, headers=HTML).status_code == 422
    assert mine.post(where, data=given | {"note": "too dear"}, headers=HTML).status_code == 303
    assert stored(world, offered).state is EstimateState.DECLINED
    assert "too dear" in browser("dispatcher").get(f"/tickets/{offered.ticket_id}").text


def test_a_newer_estimate_and_a_closed_ticket_leave_nothing_to_decide(world, browser, client, offered):
    mine = browser("customer")
    where = f"/my/estimates/{offered.estimate_id}"
    given = fields(mine.get(where).text, answer="accept", method="cash")
    newer = world.services.fieldwork.estimates.offer(
        DEFAULT_TENANT, offered.ticket_id, "fuser", "user_damage", actor="li"
    )
    assert mine.post(where, data=given, headers=HTML).status_code == 409
    assert "Replaced by a newer estimate" in mine.get(where).text
    with world.services.uow_factory() as uow:
        ticket = uow.tickets.get(DEFAULT_TENANT, offered.ticket_id)
        uow.tickets.save(replace(ticket, state=TicketState.CANCELLED))
        uow.commit()
    api = f"/api/v1/tickets/{offered.ticket_id}/estimates/{newer.estimate_id}/decision"
    assert client("customer").post(api, json={"accepted": True, "method": "cash"}).status_code == 409
    assert "No longer needed" in mine.get(f"/my/estimates/{newer.estimate_id}").text


def test_a_version_that_is_not_the_present_one_is_refused(client, offered):
    api = f"/api/v1/tickets/{offered.ticket_id}/estimates/{offered.estimate_id}/decision"
    mine = client("customer")
    body = {"accepted": False, "note": "not now"}
    assert mine.post(api, json=body, headers={"If-Match": '"v9"'}).status_code == 412
    done = mine.post(api, json=body, headers={"If-Match": f'"v{offered.version}"'})
    assert (done.status_code, done.json()["note"]) == (200, "not now")


@pytest.fixture
def proposed(world):
    """Return an open ticket of the first customer that proposes a replacement."""
    ticket = own_ticket(world)
    with world.services.uow_factory() as uow:
        saved = uow.tickets.save(
            replace(ticket, category="replacement", level=TicketLevel.L1, state=TicketState.NEW)
        )
        uow.commit()
    return saved


def test_a_replacement_is_declined_on_the_page_with_a_reason(world, browser, proposed):
    mine, where = browser("customer"), f"/my/proposals/{proposed.ticket_id}"
    page = mine.get("/my/estimates").text
    assert f'action="{where}"' in page
    form = page[page.index(f'action="{where}"') :]
    given = dict(re.findall(r'name="(csrf|version)" value="([^"]+)"', form)[:2])
    given["answer"] = "decline"
    assert browser("customer-west").post(where, data=given, headers=HTML).status_code in (403, 404)
    assert mine.post(where, data=given, headers=HTML).status_code == 422
    assert mine.post(where, data=given | {"note": "still good"}, headers=HTML).status_code == 303
    assert f'action="{where}"' not in mine.get("/my/estimates").text
    with world.services.uow_factory() as uow:
        ticket = uow.tickets.get(DEFAULT_TENANT, proposed.ticket_id)
    assert ticket.state is TicketState.RESOLVED
    assert ticket.events[-1].note == "still good"


def test_a_wanted_replacement_stays_open_and_is_answered_once(client, browser, proposed):
    api = f"/api/v1/tickets/{proposed.ticket_id}/replacement-answer"
    assert client("customer-west").post(api, json={"accepted": True}).status_code == 404
    said = client("customer").post(api, json={"accepted": True, "note": "with colour"})
    assert (said.status_code, said.json()["is_open"]) == (200, True)
    assert said.json()["events"][-1]["event"] == "replacement_wanted"
    assert said.json()["events"][-1]["note"] == ""  # words among staff stay there
    assert client("customer").post(api, json={"accepted": False, "note": "no"}).status_code == 409
    assert "You asked for an offer" in browser("customer").get("/my/estimates").text


def test_staff_and_empty_customers(browser):
    assert browser("dispatcher").get("/my/estimates").status_code == 403
    assert "No estimate was made for you yet" in browser("customer-west").get("/my/estimates").text
    assert browser("customer").get("/e/999999", headers=HTML).status_code == 404


@pytest.mark.parametrize("who", ["dispatcher", "manager"])
def test_staff_offers_an_estimate_on_the_page_of_the_ticket(world, browser, who):
    ticket, staff = own_ticket(world), browser(who)
    where = f"/tickets/{ticket.ticket_id}"
    page = staff.get(where).text
    assert f'action="{where}/estimates"' in page
    given = fields(page, item="fuser", cause="user_damage")
    done = staff.post(f"{where}/estimates", data=given, headers=HTML)
    assert (done.status_code, done.headers["Location"]) == (303, f"{where}#estimates")
    assert "Please decide" in browser("customer").get("/my/estimates").text
    assert staff.post(f"{where}/estimates", data=given | {"cause": "x"}, headers=HTML).status_code == 422
    assert staff.post(f"{where}/estimates", data=given | {"item": "gold"}, headers=HTML).status_code == 422
