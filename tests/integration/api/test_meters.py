"""A customer's meter by page and API: asked again when doubtful, kept with its photo, decided by a specialist."""

import base64
import re

import pytest

from crm_core.domain.fleet import Device
from crm_core.domain.identity import CustomerId, DeviceId, SiteId

HTML = {"Accept": "text/html"}
PHOTO = b"\xff\xd8\xff\xe0 panel \xff\xd9"


@pytest.fixture
def off_line(world):
    """Return a device of the first customer that was never heard."""
    with world.services.uow_factory() as uow:
        uow.devices.save(
            Device(
                tenant="default",
                device_id=DeviceId("quiet-1"),
                site_id=SiteId("hq"),
                customer_id=CustomerId("cust-1"),
                model_name="Canon iR 2206",
            )
        )
        uow.commit()
    return "quiet-1"


def posted(who, path, action, **fields):
    """Send the form of a page that leads to `action`."""
    page = who.get(path, headers=HTML).text
    csrf = re.search(rf'action="{action}"[^>]*><input type="hidden" name="csrf" value="([^"]+)"', page)[1]
    version = re.search(rf'action="{action}".*?name="version" value="(\d+)"', page, re.DOTALL)
    return who.post(
        action, data={"csrf": csrf, **({"version": version[1]} if version else {}), **fields}, headers=HTML
    )


def test_a_customer_states_a_number_with_a_photo(world, browser, client, off_line):
    mine = browser("customer")
    assert f"/meters/{off_line}" in mine.get("/my/meters", headers=HTML).text
    path = f"/meters/{off_line}"
    answer = posted(mine, path, path, total="12,345", photo=base64.b64encode(PHOTO).decode())
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{path}#stated")
    page = mine.get(path, headers=HTML).text
    assert "12,345" in page
    assert "Accepted" in page
    money = client("manager")
    (row,) = money.get("/api/v1/meter-statements", params={"device_id": off_line}).json()["items"]
    assert (row["total"], row["source"], row["state"], row["photo"]) == (12345, "customer", "accepted", True)
    photo = money.get(f"/api/v1/meter-statements/{row['statement_id']}/photo")
    assert (photo.content, photo.headers["Content-Type"]) == (PHOTO, "image/jpeg")


def test_a_doubtful_number_is_asked_again_with_the_reason_and_decided(world, browser, off_line):
    mine, path = browser("customer"), f"/meters/{off_line}"
    posted(mine, path, path, total="5000")
    asked = posted(mine, path, path, total="4000")
    assert asked.status_code == 200
    assert "below the one known before (5,000" in asked.text
    assert 'name="confirmed" value="yes"' in asked.text
    assert posted(mine, path, path, total="4000", confirmed="yes").status_code == 303
    assert "Being checked" in mine.get(path, headers=HTML).text
    desk = browser("specialist")
    waiting = desk.get("/meters", headers=HTML).text
    number = re.search(rf'4,000 · <a href="{path}".*?/meters/decisions/(\d+)', waiting, re.DOTALL)[1]
    action = f"/meters/decisions/{number}"
    assert posted(desk, "/meters", action, decision="refuse").status_code == 422  # says no reason
    assert posted(desk, "/meters", action, decision="refuse", note="two digits swapped").status_code == 303
    page = mine.get(path, headers=HTML).text
    assert "Not accepted" in page
    assert "two digits swapped" in page
    told = mine.get("/messages", headers=HTML).text
    assert "The count 4000 of device quiet-1 was not accepted" in told
    assert "two digits swapped" in told
    assert "two digits swapped" not in browser("customer-west").get("/messages", headers=HTML).text


def test_the_api_says_what_it_doubts_and_keeps_nothing(client, off_line):
    mine = client("customer")
    send = {"device_id": off_line, "total": 5000}
    first = mine.post("/api/v1/meter-statements", json=send)
    assert (first.status_code, first.json()["kept"], first.headers["ETag"]) == (201, True, '"v1"')
    again = mine.post("/api/v1/meter-statements", json={**send, "total": 60})
    assert again.json() == {
        "kept": False,
        "doubts": ["rolled_back"],
        "expected_least": None,
        "expected_most": None,
        "statement": None,
    }
    assert len(mine.get("/api/v1/meter-statements", params={"device_id": off_line}).json()["items"]) == 1


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"device_id": "c7773-02"}, 404),  # a neighbour's
        ({"device_id": "c3525-01"}, 409),  # it speaks for itself
        ({"total": -1}, 422),
        ({"total": 10, "colour": 11}, 422),
        ({"photo": "%%%"}, 422),
        ({"photo": base64.b64encode(b"<html>").decode()}, 422),
        ({"read_at": "2020-01-01T00:00:00Z"}, 422),
        ({"read_at": "2026-01-01T00:00:00"}, 422),  # of no time zone
    ],
)
def test_what_cannot_be_is_refused(client, off_line, fields, status):
    sent = {"device_id": off_line, "total": 100, **fields}
    assert client("customer").post("/api/v1/meter-statements", json=sent).status_code == status


def test_a_technician_on_site_states_it_too_but_does_not_see_the_desk(browser, off_line):
    tech, path = browser("tech-li"), f"/meters/{off_line}"
    assert posted(tech, path, path, total="77").status_code == 303
    assert "stated by the technician" in tech.get(path, headers=HTML).text
    assert tech.get("/meters", headers=HTML).status_code == 403
