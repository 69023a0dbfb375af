"""Messages, escalations, moves and subscriptions over HTTP and on the pages."""

from dataclasses import replace

import pytest

from crm_core.domain.identity import DEFAULT_TENANT, TicketId
from crm_core.domain.notices import EscalationNote, NoticeState
from crm_core.domain.service import ClockKind
from crm_core.domain.sla import EscalationStep
from tests.integration.api.telemetry import NOW

ANY = {"If-Match": "*"}


def test_a_ticket_is_moved_merged_and_linked(client):
    desk = client("dispatcher")
    rows = desk.get("/api/v1/tickets", params={"limit": 200}).json()["items"]
    first = next(
        row
        for row in rows
        if sum(each["customer_id"] == row["customer_id"] for each in rows) > 1 and row["state"] == "scheduled"
    )
    where = f"/api/v1/tickets/{first['ticket_id']}"
    moved = desk.post(f"{where}/move", json={"move": "wait_customer", "note": "asks the boss"}, headers=ANY)
    assert (moved.status_code, moved.json()["state"]) == (200, "waiting_customer")
    refused = desk.post(f"{where}/move", json={"move": "call_back"}, headers=ANY)
    assert refused.status_code == 409
    assert desk.post(f"{where}/move", json={"move": "resume"}).status_code == 428
    same = [row for row in rows if row["customer_id"] == first["customer_id"]]
    other = next(row for row in same if row["ticket_id"] != first["ticket_id"])
    assert desk.post(f"{where}/links", json={"ticket_id": other["ticket_id"]}).status_code == 200
    assert desk.post(f"{where}/links", json={"ticket_id": first["ticket_id"]}).status_code == 409
    merged = desk.post(
        f"{where}/merge", json={"into": other["ticket_id"], "reason": "one and the same"}, headers=ANY
    )
    assert (merged.status_code, merged.json()["state"]) == (200, "merged")
    again = desk.post(f"{where}/merge", json={"into": other["ticket_id"], "reason": "x"}, headers=ANY)
    assert again.status_code == 409


def test_what_was_said_stands_with_the_ticket_and_the_customer_reads_it(world, client):
    ticket = next(
        row
        for row in client("customer").get("/api/v1/tickets").json()["items"]
        if row["customer_id"] == "cust-1"
    )
    where = f"/api/v1/tickets/{ticket['ticket_id']}/notices"
    said = client("dispatcher").post(where, json={"channel": "phone", "text": "we come at nine"})
    assert (said.status_code, said.json()["state"]) == (201, "recorded")
    rows = client("customer").get(where).json()
    assert [row["text"] for row in rows if row["topic"] == "ticket.told"] == ["we come at nine"]
    assert {row["actor"] for row in rows} == {""}
    assert client("customer-west").get(where).status_code == 404
    with world.services.uow_factory() as uow:
        uow.notices.note_escalation(
            EscalationNote(
                tenant=DEFAULT_TENANT, ticket_id=TicketId(ticket["ticket_id"]), clock=ClockKind.RESTORE,
                step=EscalationStep.SUPERVISOR, reached_at=NOW, told_at=NOW, told=("Sven",),
            )
        )  # fmt: skip
        uow.commit()
    told = client("manager").get(f"/api/v1/tickets/{ticket['ticket_id']}/escalations").json()
    assert [(row["clock"], row["step"], row["told"]) for row in told] == [("restore", "supervisor", ["Sven"])]
    page = client("manager").get(f"/tickets/{ticket['ticket_id']}", headers={"Accept": "text/html"}).text
    assert "100 % used: supervisor told" in page
    assert "we come at nine" in page


def test_the_outbox_is_listed_and_the_dead_are_sent_again(world, client):
    boss = client("supervisor")
    with world.services.uow_factory() as uow:
        before = uow.notices.depth(DEFAULT_TENANT).waiting
    (dead,) = boss.get("/api/v1/notices", params={"state": "dead"}).json()["items"]
    assert dead["title"] == "Drumbeat：测试消息"  # in the receiver's language
    page = boss.get("/notices", headers={"Accept": "text/html"})
    assert "Send again" in page.text
    assert boss.post(f"/api/v1/notices/{dead['notice_id']}/resend").status_code == 200
    assert boss.post(f"/api/v1/notices/{dead['notice_id']}/resend").status_code == 409
    with world.services.uow_factory() as uow:
        assert uow.notices.depth(DEFAULT_TENANT).waiting == before + 1
    assert client("dispatcher").post(f"/api/v1/notices/{dead['notice_id']}/resend").status_code == 403
    assert client("dispatcher-west").get("/api/v1/notices").json()["items"] == []


def test_how_somebody_is_told(client):
    boss, where = client("manager"), "/api/v1/receivers/customer/cust-1"
    assert boss.get(where).json()["own"] is False
    assert (boss.get(where).json()["quiet_from"], boss.get(where).json()["quiet_to"]) == (1260, 480)
    wishes = {
        "addresses": [{"channel": "mail", "address": "w@example.org"}],
        "language": "en",
        "quiet_from": 0,
    }
    assert boss.put(where, json=wishes).json()["own"] is True
    assert boss.get(where).json()["addresses"] == wishes["addresses"]
    assert boss.put(where, json={"addresses": [{"channel": "fax", "address": "1"}]}).status_code == 422
    assert boss.get("/api/v1/receivers/user/nobody").status_code == 404
    assert boss.get("/api/v1/receivers/program/1").status_code == 404
    assert boss.get("/api/v1/receivers/technician/li").status_code == 200


def test_programs_subscribe_are_replayed_and_switched_off(world, client):
    admin = client("admin")
    made = admin.post("/api/v1/webhooks", json={"url": "https://example.org/x", "events": ["ticket.*"]})
    assert made.status_code == 201
    hook = made.json()
    assert len(hook["secret"]) > 30
    assert all(row["secret"] is None for row in admin.get("/api/v1/webhooks").json())
    with world.services.uow_factory() as uow:
        base = uow.notices.list(DEFAULT_TENANT)[-1]
        for number in range(3):
            uow.notices.add(
                [replace(base, unique_key=f"h{number}", receiver_kind="program", receiver_id=str(hook["webhook_id"]), state=NoticeState.SENT)]
            )  # fmt: skip
        uow.commit()
    where = f"/api/v1/webhooks/{hook['webhook_id']}"
    assert admin.post(f"{where}/replay", json={"since": "2020-01-01T00:00:00Z"}).json() == {"events": 3}
    assert admin.post(f"{where}/replay", json={"since": "2099-01-01T00:00:00Z"}).json() == {"events": 0}
    assert admin.post(f"{where}/replay", json={"since": "yesterday"}).status_code == 422
    assert admin.delete(where).json()["active"] is False


@pytest.mark.parametrize(
    "url", ["http://example.org/x", "https://127.0.0.1/x", "https://169.254.169.254/", "file:///etc/passwd"]
)
def test_addresses_inside_are_refused(client, url):
    answer = client("admin").post("/api/v1/webhooks", json={"url": url, "events": ["*"]})
    assert answer.status_code == 422
