"""How the API treats what comes in: hostile bodies, stale versions, repeats, pages of lists, and what it says back."""

import json
import re

import pytest

from crm_core.domain.errors import StoreUnavailable

ORDER = "/api/v1/work-orders"


def order_of(machine, technician):
    rows = machine.get(ORDER).json()["items"]
    return next(row for row in rows if row["technician_id"] == technician)


# --- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/devices/absent", 404, "not_found"),
        ("GET", "/api/v1/devices/" + "x" * 65, 422, "invalid_input"),
        ("GET", "/api/v1/nowhere", 404, "not_found"),
        ("DELETE", "/api/v1/devices", 405, "method_not_allowed"),
        ("GET", "/api/v1/tickets?limit=0", 422, "invalid_input"),
        ("GET", "/api/v1/tickets?state=nonsense", 422, "invalid_input"),
        ("GET", "/api/v1/tickets?cursor=!!!", 422, "invalid_input"),
        ("GET", "/api/v1/tickets?cursor=Zm9v", 422, "invalid_input"),
        ("GET", "/api/v1/devices/c3525-01/series?first_day=2000-01-01", 422, "invalid_input"),
        ("GET", "/api/v1/devices/c3525-01/readings?since=2026-01-01T00:00:00", 422, "invalid_input"),
        ("GET", "/api/v1/forecasts/running-out?within_days=nan", 422, "invalid_input"),
        ("POST", "/api/v1/jobs/no.such/run", 404, "not_found"),
    ],
)  # fmt: skip
def test_errors_are_problems_with_stable_codes(client, method, path, status, code):
    answer = client("admin").request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"]


def test_problems_speak_the_language_that_is_asked_for(client):
    admin = client("admin")
    titles = {
        language: admin.get("/api/v1/devices/absent", headers={"Accept-Language": language}).json()["title"]
        for language in ("zh-CN,zh;q=0.9,en;q=0.5", "en", "fr, zh;q=0.1", "de", "")
    }
    assert list(titles.values()) == ["未找到", "Not found", "未找到", "Not found", "Not found"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"reason": "\\ud800"}', b'{"reason": "a\\u0000b"}', b'{"reason": 1}', b'{"reason": "ok", "state": "closed"}',
        b'{"reason": ""}', b"[]", b"null", b'"text"', b"{}", b'{"reason": "' + b"x" * 200 + b'"}', b'{"reason": ["a"]}',
        b'{"reason": "ok", "reason2": NaN}',
    ],
)  # fmt: skip
def test_strange_bodies_are_refused_and_change_nothing(client, body):
    admin = client("admin")
    before = admin.get("/api/v1/tickets/1").json()
    headers = {"Content-Type": "application/json", "If-Match": "*"}
    answer = admin.post("/api/v1/tickets/1/cancel", content=body, headers=headers)
    assert answer.status_code == 422, answer.text
    assert admin.get("/api/v1/tickets/1").json() == before


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 5000, b'{"reason": 1e999', b""])
def test_bodies_that_are_no_json_are_refused(client, body):
    headers = {"Content-Type": "application/json", "If-Match": "*"}
    answer = client("admin").post("/api/v1/tickets/1/cancel", content=body, headers=headers)
    assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize("with_key", [False, True])
def test_large_bodies_are_cut_off(client, with_key):
    headers = {"Content-Type": "application/json", "If-Match": "*"} | (
        {"Idempotency-Key": "k"} if with_key else {}
    )
    answer = client("admin").post("/api/v1/tickets/1/cancel", content=b" " * 70_000, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    chunks = (b" " * 10_000 for _ in range(10))
    answer = client("admin").post("/api/v1/tickets/1/cancel", content=chunks, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_what_a_client_sends_is_never_echoed(client):
    secret = "s3cret-passw0rd-but-wrong-type"
    answer = client("admin").post("/api/v1/sign-in", json={"name": "admin", "password": [secret]})
    assert answer.status_code == 422
    assert secret not in answer.text


# --- versions and repeats ------------------------------------------------------------------------------------------


def test_change_needs_the_version_that_was_seen(client):
    boss = client("dispatcher")
    seen = boss.get("/api/v1/tickets/1")
    assert seen.headers["ETag"] == f'"v{seen.json()["version"]}"'
    assert boss.post("/api/v1/tickets/1/acknowledge", json={}).status_code == 428
    stale = boss.post("/api/v1/tickets/1/acknowledge", json={}, headers={"If-Match": '"v999"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    done = boss.post(
        "/api/v1/tickets/1/acknowledge", json={"note": "在路上"}, headers={"If-Match": seen.headers["ETag"]}
    )
    assert done.status_code == 200
    assert done.headers["ETag"] != seen.headers["ETag"]
    assert done.json()["events"][-1]["note"] == "在路上"
    again = boss.post("/api/v1/tickets/1/acknowledge", json={}, headers={"If-Match": seen.headers["ETag"]})
    assert again.status_code == 412


def test_repeat_with_a_key_has_one_effect(client):
    li = client("tech-li")
    order = order_of(li, "li")
    path = f"{ORDER}/{order['work_order_id']}/start"
    headers = {"If-Match": f'"v{order["version"]}"', "Idempotency-Key": "tap-1"}
    first = li.post(path, json={}, headers=headers)
    second = li.post(path, json={}, headers=headers)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    other = li.post(path, json={"note": "x"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    stranger = client("dispatcher").post(path, json={}, headers=headers)
    assert stranger.status_code == 412  # the key is the technician's own: others do not get the kept answer


def test_a_repeat_with_another_query_is_another_request(client):
    li = client("tech-li")
    order = order_of(li, "li")
    path = f"{ORDER}/{order['work_order_id']}/start"
    headers = {"If-Match": f'"v{order["version"]}"', "Idempotency-Key": "tap-2"}
    assert li.post(path, json={}, headers=headers).status_code == 200
    other = li.post(f"{path}?from=elsewhere", json={}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


def test_who_lost_the_right_gets_no_kept_answer(client, world):
    li, admin = client("tech-li"), client("admin")
    order = order_of(li, "li")
    path = f"{ORDER}/{order['work_order_id']}/start"
    headers = {"If-Match": f'"v{order["version"]}"', "Idempotency-Key": "tap-3"}
    assert li.post(path, json={}, headers=headers).status_code == 200
    seen = admin.get("/api/v1/users/tech-li")
    gone = admin.patch(
        "/api/v1/users/tech-li", json={"active": False}, headers={"If-Match": seen.headers.get("ETag", "*")}
    )
    assert gone.status_code == 200, gone.text
    again = li.post(path, json={}, headers=headers)
    assert again.status_code == 401
    assert "Idempotency-Replayed" not in again.headers


def test_work_order_from_departure_to_done(client):
    li, boss = client("tech-li"), client("dispatcher")
    order = order_of(li, "li")
    path = f"{ORDER}/{order['work_order_id']}"
    states = [order["state"]]
    for step, body in (("start", {}), ("arrive", {}), ("complete", {"note": "换好", "count_after": 22_900})):
        tag = li.get(path).headers["ETag"]
        answer = li.post(f"{path}/{step}", json=body, headers={"If-Match": tag})
        assert answer.status_code == 200, answer.text
        states.append(answer.json()["state"])
    assert states == ["assigned", "en_route", "on_site", "done"]
    for ticket_id in order["ticket_ids"]:
        ticket = boss.get(f"/api/v1/tickets/{ticket_id}").json()
        assert ticket["state"] == "resolved_unverified"
        assert next(clock for clock in ticket["clocks"] if clock["kind"] == "respond")["met_at"]
    tag = li.get(path).headers["ETag"]
    answer = li.post(f"{path}/start", json={}, headers={"If-Match": tag})
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")


def test_dispatcher_gives_an_order_to_somebody_else(client):
    boss = client("dispatcher")
    order = order_of(boss, "li")
    path = f"{ORDER}/{order['work_order_id']}"
    headers = {"If-Match": f'"v{order["version"]}"'}
    assert boss.post(f"{path}/assign", json={"technician_id": "nobody"}, headers=headers).status_code == 404
    answer = boss.post(f"{path}/assign", json={"technician_id": "zhao", "reason": "nearer"}, headers=headers)
    assert answer.json()["technician_id"] == "zhao"
    assert client("tech-li").get(path).status_code == 404
    assert client("tech-zhao").get(path).status_code == 200


def test_person_reports_a_fault_once(client):
    li = client("tech-li")
    body = {"device_id": "c3525-02", "level": "L1", "category": "jam", "text": "纸卡住了"}
    made = li.post("/api/v1/tickets", json=body)
    assert made.status_code == 201
    assert made.json()["title"] == "Reported: 纸卡住了"
    assert li.post("/api/v1/tickets", json=body).status_code == 409
    assert li.post("/api/v1/tickets", json={**body, "device_id": "rival-01"}).status_code == 404


# --- lists ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/api/v1/devices", "/api/v1/tickets?state=all", "/api/v1/work-orders?state=all"]
)
def test_pages_of_a_list_are_the_list(client, path):
    admin = client("admin")
    whole = admin.get(path, params={"limit": 200}).json()["items"]
    glued, cursor = [], None
    while True:
        page = admin.get(path, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        glued += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(whole) > 2
    assert glued == whole


def test_readings_come_in_pages_and_as_they_are(client):
    admin = client("admin")
    query = {"since": "2026-03-01T00:00:00Z", "until": "2026-03-12T00:00:00Z", "limit": 8}
    seen, cursor = [], None
    while True:
        page = admin.get(
            "/api/v1/devices/c3525-01/readings", params=query | ({"cursor": cursor} if cursor else {})
        ).json()
        seen += [row["polled_at"] for row in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 20
    assert seen == sorted(seen)
    newest = admin.get("/api/v1/devices/c3525-01/reading").json()
    assert newest["polled_at"] == seen[-1]
    assert newest["supplies"][0]["level_state"] == "known"


def test_unknown_level_stays_unknown_everywhere(client, browser):
    admin = client("admin")
    forecasts = admin.get("/api/v1/devices/c7773-02/forecasts").json()
    black = next(row for row in forecasts["supplies"] if row["supply_index"] == "1.1")
    assert black["days_to_empty"] is None
    assert black["level_percent"] is None
    assert "something is left" in black["missing_reason"]
    page = browser("manager").get("/devices/c7773-02").text
    assert "some left" in page
    assert not re.search(r"(?<![\d-])-3\b", re.sub(r"<[^>]+>", " ", page))  # dates may hold it


def test_series_and_fleet_health_have_the_figures(client):
    admin = client("admin")
    series = admin.get("/api/v1/devices/c3525-01/series").json()
    assert sum(day["pages"] for day in series["meters"]) == pytest.approx(150 * 19)
    assert {row["colour"] for row in series["supplies"]} == {"black", "cyan", "magenta", "yellow"}
    health = admin.get("/api/v1/fleet/health").json()
    assert health["devices"] == 7
    assert sum(band["devices"] for band in health["bands"]) == 7
    assert health["open_tickets"] == {"L1": 1, "L2": 1, "L3": 1}
    assert health["running_out"][0]["days_to_empty"]["p50"] == pytest.approx(2.4)


def test_ticket_says_why_it_is_due_then(client):
    ticket = client("admin").get("/api/v1/tickets/1", headers={"Accept-Language": "zh"}).json()
    respond = next(clock for clock in ticket["clocks"] if clock["kind"] == "respond")
    assert "30 分钟" in respond["explanation"]
    assert ticket["evidence"]


# --- operations ----------------------------------------------------------------------------------------------------


def test_probes_and_metrics(client):
    visitor = client()
    assert visitor.get("/healthz").json()["status"] == "ok"
    assert visitor.get("/readyz").json() == {"status": "ok", "parts": {"crm": "ok"}, "notes": {}}
    client("admin").get("/api/v1/devices/c3525-01")
    text = visitor.get("/metrics").text
    assert 'route="/api/v1/devices/{device_id}"' in text
    assert "c3525-01" not in text


def test_a_part_that_does_not_serve_is_told_to_machines_and_to_those_who_lead(world, client, browser):
    def full():
        raise StoreUnavailable("12 bytes free: make room")

    world.services.readiness["disk"] = full
    told = client().get("/readyz")
    assert (told.status_code, told.json()["parts"]) == (
        503,
        {"crm": "ok", "disk": "12 bytes free: make room"},
    )
    assert "12 bytes free" in browser("manager").get("/").text
    assert "12 bytes free" not in browser("dispatcher").get("/").text
    del world.services.readiness["disk"]
    assert 'role="alert"' not in browser("manager").get("/").text


def test_document_is_openapi_31_and_names_the_roles(client):
    document = client().get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert document["paths"]["/api/v1/jobs/{name}/run"]["post"]["x-roles"] == ["admin"]
    assert "ProblemBody" in json.dumps(document["paths"]["/api/v1/tickets/{ticket_id}"])


@pytest.mark.parametrize(
    "query",
    ["readings?until=0001-01-01T00:00:00Z", "readings?until=0001-01-01T00:00:00%2B14:00", "readings?since=9999-12-31T23:59:59-14:00",
     "series?last_day=0001-01-01", "series?last_day=9999-12-31", "series?first_day=9999-12-31"],
)  # fmt: skip
def test_times_at_the_ends_of_the_calendar_are_refused(client, query):
    """Found by the soak of test_fuzz: arithmetic beyond the calendar was a 500."""
    assert client("admin").get(f"/api/v1/devices/c3525-01/{query}").status_code == 422
