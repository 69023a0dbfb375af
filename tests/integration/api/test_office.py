"""Incidents, refused messages, tokens, alarms, bulk changes, fields and live changes over HTTP."""

import json
import threading
import time
from datetime import timedelta

import pytest

from tests.integration.api.world_rows import PASSWORD


def test_incidents_are_limited_to_what_is_in_sight(client):
    west, east = client("dispatcher-west"), client("manager-east")
    [row] = west.get("/api/v1/incidents", params={"state": "all"}).json()["items"]
    assert (row["subject"], row["stage"], row["device_ids"]) == ("studio", "over", ["m126-02"])
    assert west.get("/api/v1/incidents").json()["items"] == []
    assert east.get("/api/v1/incidents", params={"state": "all"}).json()["items"] == []
    assert east.get(f"/api/v1/incidents/{row['incident_id']}").status_code == 404
    assert west.get(f"/api/v1/incidents/{row['incident_id']}").json() == row


def test_refused_messages_are_shown_and_sent_again(client):
    admin = client("admin")
    [row] = admin.get("/api/v1/dead-letters").json()["items"]
    assert row["reason"] == "no JSON"
    whole = admin.get(f"/api/v1/dead-letters/{row['letter_id']}").json()
    assert whole["text"] == "\\xff{"
    answer = admin.post("/api/v1/dead-letters/replay", json={"letter_ids": [row["letter_id"], 77]}).json()
    assert [each["landed"] for each in answer["results"]] == [False, False]
    assert all(each["reason"] for each in answer["results"])
    assert len(admin.get("/api/v1/dead-letters").json()["items"]) == 1


def test_tokens_are_listed_without_themselves(client, world):
    admin = client("admin")
    made = admin.post(
        "/api/v1/tokens", json={"user_id": "manager", "name": "wall", "scopes": ["read"]}
    ).json()
    answer = admin.get("/api/v1/tokens")
    [row] = [each for each in answer.json()["items"] if each["name"] == "wall"]
    assert (row["user_name"], row["scopes"], row["expired"]) == ("manager", ["read"], False)
    assert made["token"] not in answer.text
    world.clock.advance(timedelta(days=91))
    admin = client("admin")
    assert next(each for each in admin.get("/api/v1/tokens").json()["items"] if each["name"] == "wall")[
        "expired"
    ]


def test_a_locked_account_raises_an_alarm_and_can_be_unlocked(client):
    admin, visitor = client("admin"), client()
    right = {"name": "tech-li", "password": PASSWORD}
    for _ in range(10):
        assert visitor.post("/api/v1/sign-in", json={**right, "password": "wrong wrong"}).status_code == 401
    assert visitor.post("/api/v1/sign-in", json=right).status_code == 429
    alarm = admin.get("/api/v1/security/alarms").json()["items"][0]
    assert (alarm["kind"], alarm["subject"], alarm["failures"]) == ("account", "tech-li", 10)
    assert 'drumbeat_sign_in_locks_total{kind="account"} 1.0' in client().get("/metrics").text
    assert admin.post("/api/v1/users/tech-li/unlock").status_code == 204
    assert visitor.post("/api/v1/sign-in", json=right).status_code == 200


def test_rows_of_a_bulk_request_stand_alone(client):
    boss = client("dispatcher")
    rows = boss.get("/api/v1/tickets").json()["items"]
    first, second = rows[0], rows[1]
    sent = [
        {"ticket_id": first["ticket_id"], "version": first["version"], "note": "on it"},
        {"ticket_id": second["ticket_id"], "version": second["version"] + 7},
        {"ticket_id": 99999},
        {"ticket_id": 4},  # of another tenant
    ]
    answer = boss.post("/api/v1/bulk/tickets/acknowledge", json={"rows": sent}).json()
    codes = [(row["status"], row["code"]) for row in answer["results"]]
    assert codes[0] == (200, "ok")
    assert codes[1][0] in (409, 412)
    assert codes[2] == codes[3] == (404, "not_found")
    assert answer["done"] == 1
    seen = boss.get(f"/api/v1/tickets/{first['ticket_id']}").json()
    assert seen["version"] == answer["results"][0]["version"] > first["version"]


def test_many_work_orders_change_hands_at_once(client):
    boss = client("dispatcher")
    orders = boss.get("/api/v1/work-orders").json()["items"]
    rows = [{"work_order_id": row["work_order_id"], "technician_id": "zhao"} for row in orders]
    answer = boss.post("/api/v1/bulk/work-orders/assign", json={"rows": rows}).json()
    assert answer["done"] == len(rows)
    assert {row["technician_id"] for row in boss.get("/api/v1/work-orders").json()["items"]} == {"zhao"}


def test_fields_choose_what_is_told(client):
    machine = client("manager")
    page = machine.get("/api/v1/devices", params={"fields": "device_id,model", "limit": 2}).json()
    assert [set(row) for row in page["items"]] == [{"device_id", "model"}] * 2
    assert page["next_cursor"]
    one = machine.get("/api/v1/tickets/1", params={"fields": "state,clocks"})
    assert set(one.json()) == {"state", "clocks"}
    assert one.headers["ETag"]
    for fields in ("device_id,nonsense", "Device", ",", "a" * 1200):
        answer = machine.get("/api/v1/devices", params={"fields": fields})
        assert answer.status_code == 422, fields
    empty = machine.get("/api/v1/devices", params={"fields": "nonsense", "q": "no such device"})
    assert empty.status_code == 422


@pytest.mark.parametrize(("user", "told"), [("manager", True), ("customer", True), ("customer-west", False)])
def test_a_stream_tells_what_was_missed_to_those_who_see_it(client, world, user, told):
    before = world.clock.now()
    world.clock.advance(timedelta(seconds=5))
    boss = client("dispatcher")
    own = client("customer").get("/api/v1/tickets").json()["items"][0]
    headers = {"If-Match": "*"}
    boss.post(f"/api/v1/tickets/{own['ticket_id']}/acknowledge", json={}, headers=headers)
    answer = client(user).get(
        "/api/v1/events", params={"wait_seconds": 0}, headers={"Last-Event-ID": before.isoformat()}
    )
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    lines = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    keys = {json.loads(line.removeprefix("data: "))["ticket_id"] for line in lines}
    assert (own["ticket_id"] in keys) is told


def test_who_was_away_too_long_loads_anew(client, world):
    machine = client("manager")
    old = (world.clock.now() - timedelta(days=1)).isoformat()
    for last in (old, "nonsense", "9" * 60):
        answer = machine.get("/api/v1/events", params={"wait_seconds": 0}, headers={"Last-Event-ID": last})
        assert ("event: reset" in answer.text) is (last == old)


def until(condition):
    for _ in range(400):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("waited in vain")


def test_a_stream_tells_changes_as_they_come(client, world):
    """One look a second finds the change of a ticket and of its work order; the stream ends when told to."""
    boss, machine = client("dispatcher"), client("manager")
    order = boss.get("/api/v1/work-orders").json()["items"][0]

    def change():
        feeds = world.app().state.event_feeds
        until(lambda: any(feed._orders for feed in feeds.values()))  # it knows how things were
        world.clock.advance(timedelta(seconds=1))
        boss.post(f"/api/v1/work-orders/{order['work_order_id']}/start", json={}, headers={"If-Match": "*"})

    changing = threading.Thread(target=change)
    changing.start()
    answer = machine.get("/api/v1/events", params={"wait_seconds": 5})
    changing.join()
    assert "event: work_order" in answer.text
    assert "event: ticket" in answer.text
    assert not world.app().state.open_streams
