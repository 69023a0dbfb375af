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


@pytest.fixture
def free_line(world, standing):
    """Return a line of a contract of the customer of the new site, free of devices."""
    _, site = standing
    with world.services.uow_factory() as uow:
        agreement = next(
            each
            for other in uow.devices.bundles(DEFAULT_TENANT)
            if other.device.customer_id == site.customer_id
            for each in uow.agreements.contracts.of_device(DEFAULT_TENANT, other.device.device_id)
        )
        (present,) = [stay for stay in agreement.stays if stay.to_at is None][:1]
    world.services.money.contract_devices.take_away(
        DEFAULT_TENANT, agreement.contract_id, present.line_id, actor="dora"
    )
    world.clock.advance(timedelta(minutes=1))
    return agreement.contract_id, present.line_id


def test_over_the_api_a_device_comes_to_its_new_line_in_the_same_step(world, client, standing, free_line):
    device, site = standing
    contract_id, line_id = free_line
    desk, path = client("dispatcher"), f"/api/v1/devices/{device.device_id}/move"
    known = world.services.store.newest(DEFAULT_TENANT, device.device_id).counters.billing_count
    body = {"site_id": site.site_id, "count": known + 7, "contract_id": contract_id, "line_id": line_id}
    assert desk.post(path, json=body | {"count": known - 1}).status_code == 422
    looked = desk.post(path, json=body | {"dry_run": True})
    assert (looked.status_code, looked.json()["contract_id"]) == (200, contract_id)
    done = desk.post(path, json=body)
    assert (done.status_code, done.json()["count"]) == (200, known + 7)
    with world.services.uow_factory() as uow:
        moved = uow.devices.get(DEFAULT_TENANT, device.device_id)
        new = uow.agreements.contracts.of_contract(DEFAULT_TENANT, contract_id)
    (stay,) = [each for each in new.stays if each.device_id == device.device_id]
    assert (moved.contract_id, moved.site_id) == (contract_id, site.site_id)
    assert (stay.line_id, stay.start_count, stay.to_at) == (line_id, known + 7, None)
    assert desk.post(path, json=body).status_code == 409


def test_a_line_of_somebody_else_or_with_a_device_leaves_everything_as_it_was(world, client, standing):
    device, site = standing
    desk, path = client("dispatcher"), f"/api/v1/devices/{device.device_id}/move"
    with world.services.uow_factory() as uow:
        own = uow.agreements.contracts.of_device(DEFAULT_TENANT, device.device_id)[0]
    wrong = {"site_id": site.site_id, "contract_id": own.contract_id, "line_id": own.stays[0].line_id}
    assert desk.post(path, json=wrong).status_code == 404
    assert desk.post(path, json=wrong | {"contract_id": "no-such"}).status_code == 404
    assert desk.post(path, json={"site_id": site.site_id, "line_id": "1"}).status_code == 422
    assert desk.post(path, json={"site_id": "no-such"}).status_code == 404
    with world.services.uow_factory() as uow:
        assert uow.devices.get(DEFAULT_TENANT, device.device_id).site_id == device.site_id
