"""Signing in: one way in, slow for guessers, and over on the next request once it is over."""

from datetime import timedelta

import pytest

from api.access import SESSION_COOKIE
from tests.integration.api.world_rows import PASSWORD


def test_person_signs_in_works_and_signs_out(client):
    visitor = client()
    assert visitor.get("/api/v1/me").status_code == 401
    answer = visitor.post("/api/v1/sign-in", json={"name": "manager", "password": PASSWORD})
    assert answer.status_code == 200
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    me = visitor.get("/api/v1/me").json()
    assert (me["name"], me["role"]) == ("manager", "manager")
    stolen = visitor.cookies[SESSION_COOKIE]
    assert visitor.post("/api/v1/sign-out").status_code == 403  # no CSRF token
    answer = visitor.post("/api/v1/sign-out", headers={"X-CSRF-Token": me["csrf_token"]})
    assert answer.status_code == 204
    thief = client()
    thief.cookies.set(SESSION_COOKIE, stolen)
    assert thief.get("/api/v1/me").status_code == 401


def test_cookie_is_secure_where_the_setting_says_so(world_template, tmp_path):
    from starlette.testclient import TestClient

    from api.services import ApiSettings
    from tests.integration.api.world import copy_world, open_world

    world = open_world(copy_world(world_template, tmp_path / "w"), ApiSettings(secure_cookies=True))
    with TestClient(world.app(), base_url="https://testserver") as visitor:
        answer = visitor.post("/api/v1/sign-in", json={"name": "manager", "password": PASSWORD})
        assert "Secure" in answer.headers["Set-Cookie"]
        assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]
    world.close()


def test_unknown_name_and_wrong_password_answer_alike(client):
    answers = [
        client().post("/api/v1/sign-in", json={"name": name, "password": "wrong wrong"})
        for name in ("manager", "nobody")
    ]
    bodies = [{**answer.json(), "request_id": ""} for answer in answers]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert bodies[0] == bodies[1]


def test_guessing_is_refused_before_hashing(client, monkeypatch):
    hashed = []
    monkeypatch.setattr(
        "api.sessions.verify_password", lambda password, stored: hashed.append(password) or False
    )
    visitor = client()
    statuses = [
        visitor.post("/api/v1/sign-in", json={"name": "Manager", "password": f"guess number {n}"}).status_code
        for n in range(14)
    ]
    assert statuses == [401] * 10 + [429] * 4
    assert len(hashed) == 10
    answer = visitor.post("/sign-in", data={"name": "manager", "password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert visitor.post("/api/v1/sign-in", json={"name": "tech-li", "password": "x" * 8}).status_code == 401


def test_session_expires(world, browser):
    manager = browser("manager")
    assert manager.get("/api/v1/me").status_code == 200
    world.clock.advance(timedelta(days=1, seconds=1))
    assert manager.get("/api/v1/me").status_code == 401
    answer = manager.get("/devices?q=a", headers={"Accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/sign-in?next=%2Fdevices%3Fq%3Da"


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/ok\nLocation: x"],
)
def test_sign_in_never_leads_away(client, target):
    answer = client().post("/sign-in", data={"name": "manager", "password": PASSWORD, "next": target})
    assert answer.headers.get("Location", "/") == "/"


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
def test_form_of_another_site_is_refused(client, headers):
    answer = client().post("/sign-in", data={"name": "manager", "password": PASSWORD}, headers=headers)
    assert answer.status_code == 403
    assert SESSION_COOKIE not in answer.headers.get("Set-Cookie", "")


def test_change_of_role_ends_tokens_at_once(client):
    admin, machine = client("admin"), client("manager")
    assert machine.get("/api/v1/jobs").status_code == 200
    assert admin.patch("/api/v1/users/manager", json={"role": "dispatcher"}).status_code == 200
    assert machine.get("/api/v1/jobs").status_code == 401


def test_token_is_scoped_shown_once_and_revocable(client):
    admin = client("admin")
    made = admin.post(
        "/api/v1/tokens", json={"user_id": "dispatcher", "name": "wall display", "scopes": ["read"]}
    ).json()
    machine = client()
    machine.headers["Authorization"] = f"Bearer {made['token']}"
    assert machine.get("/api/v1/tickets").status_code == 200
    assert (
        machine.post("/api/v1/tickets/1/acknowledge", json={}, headers={"If-Match": "*"}).status_code == 403
    )
    assert admin.delete(f"/api/v1/tokens/{made['token_id']}").status_code == 204
    assert machine.get("/api/v1/tickets").status_code == 401
    assert admin.delete(f"/api/v1/tokens/{'0' * 64}").status_code == 404


def test_api_token_is_no_session_and_session_no_api_token(client, world):
    machine = client()
    machine.cookies.set(SESSION_COOKIE, world.token("manager"))
    assert machine.get("/api/v1/me").status_code == 401
    other = client()
    other.headers["Authorization"] = f"Bearer {world.token('manager', purpose='session')}"
    assert other.get("/api/v1/me").status_code == 401
