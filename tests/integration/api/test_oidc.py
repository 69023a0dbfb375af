"""Signing in with an identity provider: a real one, small, in a process of its own on loopback."""

import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.testclient import TestClient

from api.access import SESSION_COOKIE
from api.services import ApiSettings, OidcSettings
from tests.integration.api.oidc_provider import CLIENT, SECRET
from tests.integration.api.world import copy_world, open_world

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def issuer():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.integration.api.oidc_provider", str(port)]
    process = subprocess.Popen(command, cwd=ROOT)
    address = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            httpx.get(f"{address}/jwks_uri")
            break
        except httpx.ConnectError:
            time.sleep(0.05)
    yield address
    process.terminate()
    process.wait(10)


@pytest.fixture
def visitor(world_template, tmp_path, issuer):
    provider = OidcSettings(issuer=issuer, client_id=CLIENT, client_secret=SECRET, label="Firm ID")
    settings = ApiSettings(public_url="http://testserver", oidc=provider)
    world = open_world(copy_world(world_template, tmp_path / "world"), settings)
    with TestClient(world.app(), base_url="http://testserver", follow_redirects=False) as client:
        yield client
    world.app().state.oidc.close()
    world.close()


def go_there_and_back(visitor, **extra):
    """Leave for the provider, let it answer, and return what our server says on the way back."""
    leaving = visitor.get("/sign-in/oidc", params={"next": "/devices"})
    assert leaving.status_code == 303
    there = httpx.get(httpx.URL(leaving.headers["Location"]).copy_merge_params(extra), follow_redirects=False)
    back = urlsplit(there.headers["Location"])
    assert back.path == "/sign-in/oidc/back"
    return visitor.get(f"{back.path}?{back.query}"), f"{back.path}?{back.query}"


def test_a_person_signs_in_with_the_provider(visitor):
    page = visitor.get("/sign-in", headers={"Accept-Language": "en"})
    assert "Sign in with Firm ID" in page.text
    answer, again = go_there_and_back(visitor)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/devices")
    assert visitor.get("/api/v1/me").json()["name"] == "manager"
    assert visitor.get(again).status_code == 401  # a code is good once, and the cookie is gone


@pytest.mark.parametrize("name", ["nobody", "integrator", ""])
def test_who_has_no_account_here_stays_outside(visitor, name):
    answer, _ = go_there_and_back(visitor, login_as=name or " ")
    assert answer.status_code == 401
    assert SESSION_COOKIE not in answer.headers.get("Set-Cookie", "")


@pytest.mark.parametrize(
    "flaw",
    ["issuer", "audience", "expired", "nonce", "unsigned", "symmetric", "foreign_key", "unknown_key"],
)
def test_tokens_with_a_flaw_are_refused(visitor, flaw):
    answer, _ = go_there_and_back(visitor, flaw=flaw)
    assert answer.status_code == 401, flaw


def test_another_state_or_cookie_is_refused(visitor):
    leaving = visitor.get("/sign-in/oidc")
    there = httpx.get(leaving.headers["Location"], follow_redirects=False).headers["Location"]
    code = dict(httpx.URL(there).params)["code"]
    assert visitor.get("/sign-in/oidc/back", params={"state": "guessed", "code": code}).status_code == 401
    visitor.cookies.clear()
    assert visitor.get(urlsplit(there).path + "?" + urlsplit(there).query).status_code == 401
    assert visitor.get("/sign-in/oidc/back").status_code == 401


def test_a_provider_that_is_away_leaves_the_password(world_template, tmp_path):
    provider = OidcSettings(issuer="http://127.0.0.1:9", client_id=CLIENT, client_secret=SECRET)
    settings = replace(ApiSettings(public_url="http://testserver"), oidc=provider)
    world = open_world(copy_world(world_template, tmp_path / "world"), settings)
    with TestClient(world.app(), follow_redirects=False) as client:
        assert client.get("/sign-in/oidc").status_code == 503
        assert client.get("/sign-in").status_code == 200
    world.app().state.oidc.close()
    world.close()


def test_without_a_provider_there_is_no_such_address(client):
    assert client().get("/sign-in/oidc").status_code == 404
