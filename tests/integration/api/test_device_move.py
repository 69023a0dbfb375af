"""A device is moved from its page: looked at first, confirmed then; the old contract ends with the counter."""

import re
from datetime import timedelta

import pytest

from crm_core.domain.identity import DEFAULT_TENANT

HTML = {"Accept": "text/html"}


@pytest.fixture
def standing(world):
    """Return a device on a contract with its reading, and a site of another customer."""
    with world.services.uow_factory() as uow:
        device = next(
            each.device
            for each in uow.devices.bundles(DEFAULT_TENANT)
            if each.contract is not None
            and world.services.store.newest(DEFAULT_TENANT, each.device.device_id)
        )
        site = next(row for row in uow.sites.all(DEFAULT_TENANT) if row.customer_id != device.customer_id)
    world.clock.advance(timedelta(minutes=1))  # nobody leaves in the instant in which they came
    return device, site


def hidden(page):
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))


def test_a_move_is_shown_before_it_is_made_and_ends_the_old_period_with_the_counter(world, browser, standing):
    device, site = standing
    desk, path = browser("dispatcher"), f"/devices/{device.device_id}/move"
    assert f'href="{path}"' in desk.get(f"/devices/{device.device_id}", headers=HTML).text
    csrf = hidden(desk.get(path, headers=HTML).text)["csrf"]
    known = world.services.store.newest(DEFAULT_TENANT, device.device_id).counters.billing_count
    fields = {"csrf": csrf, "site": site.site_id, "count": str(known + 7)}
    seen = desk.post(path, data=fields, headers=HTML)
    assert seen.status_code == 200
    assert site.name in seen.text
    assert "contract" in seen.text
    with world.services.uow_factory() as uow:
        assert uow.devices.get(DEFAULT_TENANT, device.device_id).site_id == device.site_id  # only looked at
    done = desk.post(path, data=hidden(seen.text), headers=HTML)
    assert (done.status_code, done.headers["Location"]) == (303, f"/devices/{device.device_id}")
    with world.services.uow_factory() as uow:
        moved = uow.devices.get(DEFAULT_TENANT, device.device_id)
        periods = uow.devices.periods(DEFAULT_TENANT, device.device_id)
        stays = [
            stay
            for agreement in uow.agreements.contracts.of_device(DEFAULT_TENANT, device.device_id)
            for stay in agreement.stays
            if stay.device_id == device.device_id
        ]
    assert (moved.site_id, moved.customer_id, moved.contract_id) == (site.site_id, site.customer_id, None)
    assert (periods[-1].site_id, periods[-1].start_count) == (site.site_id, known + 7)
    assert all(stay.to_at is not None for stay in stays)
    again = desk.post(path, data=hidden(seen.text), headers=HTML)  # a double click
    assert again.status_code == 409
    assert "already" in again.text


@pytest.mark.parametrize(("field", "value", "status"), [("site", "nowhere", 404), ("count", "1", 422)])
def test_a_wrong_place_or_counter_is_asked_again(browser, standing, field, value, status):
    device, site = standing
    desk, path = browser("dispatcher"), f"/devices/{device.device_id}/move"
    csrf = hidden(desk.get(path, headers=HTML).text)["csrf"]
    sent = {"csrf": csrf, "site": site.site_id, "count": "", field: value}
    answer = desk.post(path, data=sent, headers=HTML)
    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert f'value="{value}"' in answer.text


def test_nobody_moves_what_is_out_of_sight(browser, standing):
    device, _ = standing
    path = f"/devices/{device.device_id}/move"
    assert browser("customer").get(path, headers=HTML).status_code in (403, 404)


def test_the_label_leads_each_reader_to_the_own_page_of_the_device(browser, client):
    device = client("customer").get("/api/v1/devices").json()["items"][0]["device_id"]
    label = browser("manager").get(f"/devices/{device}/label", headers=HTML)
    assert label.status_code == 200
    assert "<svg" in label.text
    assert f"/d/{device}" in label.text
    for who, where in (("customer", f"/my?device={device}#report"), ("manager", f"/devices/{device}")):
        led = browser(who).get(f"/d/{device}", headers=HTML)
        assert (led.status_code, led.headers["Location"]) == (303, where)
    assert browser("customer-west").get(f"/d/{device}", headers=HTML).status_code == 404
    nobody = client().get(f"/d/{device}", headers=HTML)
    assert nobody.headers["Location"].startswith("/sign-in?next=")
