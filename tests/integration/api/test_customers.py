"""Customers over HTTP: files, classes, care, requests, surveys, insight; the pages that show them."""

from datetime import timedelta
from decimal import Decimal
from io import BytesIO

import pytest
from pypdf import PdfReader

from crm_core.domain.identity import DEFAULT_TENANT
from tests.integration.api.telemetry import NOW

API = "/api/v1"
MATCH = {"If-Match": "*"}
FILE = {"name": "Studio Two", "contact_name": "Wu", "industry": "design", "consents": ["marketing"]}


@pytest.fixture
def classified(world):
    """Classify the firm and make the tasks of the night."""
    world.services.customers.classifier.run(DEFAULT_TENANT)
    world.services.customers.reminders.run(DEFAULT_TENANT)
    return world


def test_a_customer_is_added_changed_and_never_by_a_stale_version(client):
    care = client("specialist")
    made = care.post(f"{API}/customers", json={"customer_id": "cust-9", **FILE})
    assert made.status_code == 201, made.text
    assert made.headers["ETag"] == '"v1"'
    changed = care.put(
        f"{API}/customers/cust-9", json={**FILE, "phone": "021-9"}, headers={"If-Match": '"v1"'}
    )
    assert (changed.status_code, changed.json()["phone"], changed.json()["version"]) == (200, "021-9", 2)
    assert care.put(f"{API}/customers/cust-9", json=FILE, headers={"If-Match": '"v1"'}).status_code == 412
    assert care.put(f"{API}/customers/cust-9", json=FILE).status_code == 428
    assert care.post(f"{API}/customers", json={"customer_id": "cust-9", **FILE}).status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {"name": "No contact"},
        {**FILE, "kind": "person", "company": {"employees": 3}},
        {**FILE, "referred_by": "nobody"},
        {**FILE, "tier": "core"},
        {**FILE, "consents": ["everything"]},
    ],
)
def test_a_file_that_breaks_a_rule_is_refused(client, body):
    answer = client("specialist").post(f"{API}/customers", json={"customer_id": "cust-9", **body})
    assert answer.status_code == 422


def test_classes_come_with_reasons_and_filters_combine(client, classified):
    boss = client("manager")
    rows = boss.get(f"{API}/customers/cust-1/classes").json()
    tier = next(row for row in rows if row["axis"] == "tier")
    assert (tier["value"], tier["until"]) == ("ordinary", None)
    assert tier["reasons"][0]["relation"] == "at_least"
    found = boss.get(f"{API}/customers", params={"class": ["tier=ordinary", "place=east|west"]}).json()[
        "items"
    ]
    assert found
    assert {row["tier"] for row in found} == {"ordinary"}
    assert not boss.get(f"{API}/customers", params={"class": "industry=space"}).json()["items"]
    assert boss.get(f"{API}/customers", params={"class": "tier"}).status_code == 422


def test_the_dry_run_shows_who_would_move(client, classified):
    asked = {"thresholds": {"tier.core.spend_12m": "1000"}}
    answer = client("manager").post(f"{API}/classification/dry-run", json=asked).json()
    assert {(row["axis"], row["to_value"]) for row in answer["moves"]} == {("tier", "core")}
    wrong = client("manager").post(
        f"{API}/classification/dry-run", json={"thresholds": {"tier.core.height": 1}}
    )
    assert wrong.status_code == 422


def test_a_contact_of_a_core_customer_needs_its_fields_and_shows_on_the_page(client, browser):
    care = client("specialist")
    body = {"channel": "phone", "at": NOW.isoformat(), "content": "asked for staples"}
    assert care.post(f"{API}/customers/cust-1/interactions", json=body).status_code == 422
    full = {**body, "needs": "staples", "feedback": "content", "follow_up_on": "2030-01-05"}
    made = care.post(f"{API}/customers/cust-1/interactions", json=full)
    assert (made.status_code, made.json()["late"]) == (201, False)
    page = browser("specialist").get("/customers/cust-1")
    assert page.status_code == 200
    assert "asked for staples" in page.text
    assert any(row["kind"] == "unmet_need" for row in care.get(f"{API}/tasks?mine=false").json())


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": "0001-01-01T00:00:00+14:00"},
        {"at": "9999-12-31T23:59:59-14:00"},
        {"at": "2026-01-01T00:00:00"},
        {"follow_up_on": "0001-01-01"},
        {"follow_up_on": "9999-12-31"},
        {"contact_id": 2**70},
    ],
)
def test_times_beyond_reason_are_refused(client, wrong):
    body = {"channel": "phone", "at": NOW.isoformat(), "content": "a", "needs": "b", "feedback": "c", **wrong}
    answer = client("specialist").post(f"{API}/customers/cust-1/interactions", json=body)
    assert answer.status_code in (404, 422), answer.text


def test_a_complaint_goes_from_owner_to_closing_call(client):
    boss = client("supervisor")
    close = {"closing_call": "content now"}
    assert boss.post(f"{API}/complaints/1/close", json=close, headers=MATCH).status_code == 409
    action = {"action": "new rollers", "action_owner": "li", "action_due": "2030-01-01"}
    assert boss.post(f"{API}/complaints/1/action", json=action, headers=MATCH).status_code == 200
    closed = boss.post(f"{API}/complaints/1/close", json=close, headers=MATCH).json()
    assert closed["state"] == "closed"


def test_a_customer_complains_asks_and_proposes_changes_from_the_own_account(client):
    own = client("customer")
    assert (
        own.post(f"{API}/my/complaints", json={"subject": "noise", "text": "loud"}).json()["customer_id"]
        == "cust-1"
    )
    asked = own.post(f"{API}/my/rental-requests", json={"pages_mono": 4000, "needs": {"duplex": 3}}).json()
    assert (asked["customer_id"], asked["state"]) == ("cust-1", "open")
    assert own.post(f"{API}/my/file-changes", json={"phone": "021-7"}).json()["state"] == "proposed"
    assert own.post(f"{API}/my/file-changes", json={}).status_code == 422
    assert own.get(f"{API}/my/points").json()["balance"] == 0
    assert own.get(f"{API}/customers").status_code == 403


def test_a_request_becomes_a_draft_with_the_assessed_deposit(client):
    care = client("specialist")
    best = care.get(f"{API}/rental-requests/1/ranking").json()[0]
    assert not best["refused"]
    proposal = {"plan_id": "basic", "plan_edition": 1, "starts_on": "2030-01-01"}
    path = f"{API}/rental-requests/1/proposal"
    assert care.post(path, json=proposal, headers=MATCH).status_code == 409
    score = {"stated_score": 590, "note": "agency"}
    assessed = care.post(f"{API}/customers/cust-1/assessments", json=score).json()
    assert (assessed["deposit_share"], assessed["payment_months"]) == ("0.5", 1)
    offered = care.post(path, json=proposal, headers=MATCH).json()
    assert offered["proposal"]["model_id"] == best["model_id"]
    assert offered["proposed_at"]
    taken = care.post(
        f"{API}/rental-requests/1/acceptance", json={"contract_id": "k-new"}, headers=MATCH
    ).json()
    assert (taken["state"], taken["contract_id"]) == ("accepted", "k-new")


@pytest.mark.parametrize(("language", "needs"), [("zh", "双面"), ("en", "two-sided")])
def test_the_proposal_on_paper_names_needs_reasons_and_money(client, language, needs):
    care = client("specialist")
    paper = f"{API}/rental-requests/1/proposal/pdf"
    assert care.get(paper).status_code == 404  # nothing was proposed yet
    care.post(f"{API}/customers/cust-1/assessments", json={})
    body = {"plan_id": "basic", "plan_edition": 1, "starts_on": "2030-01-01"}
    offered = care.post(f"{API}/rental-requests/1/proposal", json=body, headers=MATCH).json()["proposal"]
    answer = care.get(paper, headers={"Accept-Language": language})
    text = "".join(page.extract_text() for page in PdfReader(BytesIO(answer.content)).pages)
    assert needs in text
    assert f"{Decimal(offered['deposit']):,.2f}" in text


def test_empties_give_points_once(client):
    body = {"codes": ["E1", "E2", "E3"], "visit": "W-000001"}
    path = f"{API}/customers/cust-1/empties"
    assert [row["points"] for row in client("dispatcher").post(path, json=body).json()] == [50, 50, 50]
    assert client("dispatcher").post(path, json=body).json() == []
    assert client("manager").get(f"{API}/customers/cust-1/points").json()["balance"] == 150


# --- the link of a question ---


def link_of(world) -> str:
    """Ask about a visit and return the path of the link."""
    paths = []
    surveys = world.services.customers.surveys
    surveys._asks = lambda uow, survey, path: paths.append(path)
    assert surveys.ask_month(DEFAULT_TENANT) >= 1
    assert surveys.ask_month(DEFAULT_TENANT) == 0
    return paths[0]


@pytest.mark.parametrize(("satisfaction", "tasks"), [("79", 1), ("80", 0)])
def test_a_low_answer_is_a_call_within_a_day_and_eighty_is_none(world, client, satisfaction, tasks):
    path = link_of(world)
    visitor = client()
    assert visitor.get(path).status_code == 200
    form = {"satisfaction": satisfaction, "contacted": "yes", "fixed": "", "comment": "ok"}
    assert "<form" not in visitor.post(path, data=form).text.split("<main")[1]
    assert visitor.post(path, data=form).status_code == 409
    rows = [
        row for row in client("supervisor").get(f"{API}/tasks").json() if row["kind"] == "survey_call_back"
    ]
    assert len(rows) == tasks
    if rows:
        finish = f"{API}/tasks/{rows[0]['task_id']}/finish"
        assert client("supervisor").post(finish, json={}, headers=MATCH).status_code == 422
        assert (
            client("supervisor").post(finish, json={"note": "spare drum"}, headers=MATCH).status_code == 200
        )


def test_a_link_is_over_after_its_time_and_unknown_ones_lead_nowhere(world, client):
    path = link_of(world)
    visitor = client()
    assert visitor.get("/survey/" + "x" * 32).status_code == 404
    world.clock.move_to(NOW + timedelta(days=30))
    assert visitor.get(path).status_code == 404


def test_satisfaction_is_shown_by_class_with_its_interval(world, client, classified):
    path = link_of(world)
    client().post(path, data={"satisfaction": "70"})
    with world.services.read_uow_factory() as uow:
        month = uow.relations.surveys.where(DEFAULT_TENANT)[0].subject.removeprefix("month:")
    boss = client("supervisor")
    row = boss.get(f"{API}/satisfaction", params={"month": month}).json()[0]
    assert (row["answers"], row["mean"], row["content"]["of"]) == (1, "70.0", 1)
    assert float(row["content"]["low"]) == 0
    answers = boss.get(f"{API}/satisfaction/answers", params={"month": month}).json()
    assert answers[0]["satisfaction"] == 70


def test_outcomes_and_scorecards_answer_for_any_month(client, classified):
    boss = client("manager")
    rows = boss.get(f"{API}/outcomes", params={"month": "2026-02", "baseline": "2025-02"}).json()
    assert {"satisfaction", "growth", "renewals", "revenue", "share"} <= {row["name"] for row in rows}
    known = next(row["now"] for row in rows if row["now"] and row["now"]["low"] is not None)
    assert float(known["low"]) <= float(known["value"]) <= float(known["high"])
    page = boss.get("/outcomes?month=2026-02&baseline=2025-02").text
    assert f"n = {known['counted']}" in page
    cards = boss.get(f"{API}/technician-scorecards", params={"month": "2026-02"}).json()
    assert {row["technician_id"] for row in cards} == {"li", "zhao"}
    text = boss.get(f"{API}/technician-scorecards", params={"month": "2026-02", "format": "csv"}).text
    assert len(text.splitlines()) == 3
    assert boss.get(f"{API}/outcomes", params={"month": "2026-13", "baseline": "2025-02"}).status_code == 422


def test_segments_are_reproducible_as_of_a_day(client, classified):
    row = client("specialist").get(f"{API}/segments/leads").json()
    assert row["classes"] == {"tier": ["potential"]}
    past = client("specialist").get(f"{API}/segments/leads", params={"as_of": "2020-01-01"}).json()
    assert past["customer_ids"] == []
    assert len(row["customer_ids"]) >= len(row["reachable_ids"])


def test_an_offer_reaches_those_who_agreed_once_a_month(client, classified):
    path = f"{API}/segments/leads/offers"
    first = client("supervisor").post(path).json()
    second = client("supervisor").post(path).json()
    assert first["made"] == second["already"]
    assert first["opted_out"] == second["opted_out"]
    assert client("specialist").post(path).status_code == 403


# --- pages ---


PAGES = (
    "/customers",
    "/customers/cust-1",
    "/tasks",
    "/tasks?everybody=true",
    "/complaints",
    "/complaints/1",
    "/segments",
    "/segments?threshold=tier.core.spend_12m&value=1000",
    "/outcomes",
    "/outcomes?month=2026-02&baseline=2025-02",
)


def test_pages_speak_both_languages_without_a_bare_key(browser, classified):
    visitor = browser("manager")
    for language in ("en", "zh-CN"):
        visitor.cookies.set("drumbeat_lang", language)
        for path in PAGES:
            page = visitor.get(path)
            assert page.status_code == 200, (path, page.text[-2000:])
            assert "care." not in page.text, path
            assert "pages." not in page.text, path


def test_people_of_another_region_see_no_customer_of_this_one(browser, client):
    assert browser("dispatcher-west").get("/customers/cust-1").status_code == 404
    assert client("dispatcher-west").get(f"{API}/customers/cust-1").status_code == 404


def test_forms_of_the_pages_do_what_they_say(browser, classified, world):
    visitor = browser("specialist")
    page = visitor.get("/customers/cust-1").text
    csrf = page.split('name="csrf" value="')[1].split('"')[0]
    form = {"csrf": csrf, "channel": "visit", "content": "seen", "needs": "n", "feedback": "f", "at": ""}
    assert visitor.post("/customers/cust-1/interactions", data=form).status_code == 303
    assert visitor.post("/customers/cust-1/interactions", data={**form, "channel": "owl"}).status_code == 422
    assert (
        visitor.post("/customers/cust-1/complaints", data={"csrf": csrf, "subject": "x"}).status_code == 303
    )
    close = {"csrf": csrf, "version": "1", "closing_call": "ok"}
    assert visitor.post("/complaints/1/close", data=close).status_code == 409
    action = {"csrf": csrf, "version": "1", "action": "a", "action_owner": "li", "action_due": "2030-01-01"}
    assert visitor.post("/complaints/1/action", data=action).status_code == 303
    assert visitor.post("/complaints/1/close", data={**close, "version": "2"}).status_code == 303
    with world.services.read_uow_factory() as uow:
        assert uow.relations.interactions.where(DEFAULT_TENANT)[0].channel == "visit"


def test_a_customer_asks_complains_and_proposes_on_the_own_page(browser, world):
    visitor = browser("customer")
    page = visitor.get("/my/care")
    assert page.status_code == 200
    assert "care." not in page.text
    csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
    wish = {
        "csrf": csrf,
        "pages_mono": "4000",
        "pages_colour": "0",
        "quantity": "1",
        "months": "36",
        "duplex": "3",
    }
    assert visitor.post("/my/care/requests", data=wish).status_code == 303
    assert visitor.post("/my/care/requests", data={**wish, "pages_mono": "many"}).status_code == 422
    assert visitor.post("/my/care/complaints", data={"csrf": csrf, "subject": "noise"}).status_code == 303
    assert visitor.post("/my/care/changes", data={"csrf": csrf, "phone": "021-8"}).status_code == 303
    assert visitor.post("/my/care/changes", data={"csrf": csrf}).status_code == 422
    with world.services.read_uow_factory() as uow:
        assert uow.agreements.requests.where(DEFAULT_TENANT)[0].needs == {"duplex": 3}
        assert uow.relations.complaints.where(DEFAULT_TENANT)[0].customer_id == "cust-1"
    assert "noise" in visitor.get("/my/care").text
    assert visitor.get("/customers/cust-1").status_code == 403


def test_customers_by_source_are_reported_with_what_they_bring(client, browser, classified):
    """Requirement 85; and 79: the mark stands beside the customer in lists of tickets and devices."""
    boss = client("manager")
    rows = boss.get(f"{API}/class-report").json()
    assert sum(row["customers"] for row in rows) == len(boss.get(f"{API}/customers").json()["items"])
    assert all(row["won"]["of"] == row["customers"] >= row["served"] for row in rows)
    assert boss.get(f"{API}/class-report", params={"axis": "nonsense"}).status_code == 422
    page = browser("manager")
    assert "What each class brings" in page.get("/segments?axis=tier").text
    with classified.services.uow_factory() as uow:
        marks = {row.value for row in uow.relations.present_classes(DEFAULT_TENANT) if row.axis == "mark"}
    for path in ("/tickets", "/devices", "/customers"):
        assert any(f'">{mark}</span>' in page.get(path).text for mark in marks), path
    assert 'class="chip">' not in browser("tech-li").get("/devices").text
