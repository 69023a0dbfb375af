"""The device's page: parts with their survival curves, readings, and the way to customer and contract."""

import re

import pytest

from crm_core.domain.forecast import ForecastBasis, Interval, LifeForecast, Provenance, Reason
from crm_core.domain.identity import DEFAULT_TENANT
from crm_core.domain.part_lives import CurvePoint, PartLife
from crm_core.domain.quality import Outlook, OutlookKind


@pytest.fixture
def worn(world):
    """Give the first device of a catalogue model a fuser at half its life, with the law of its kind; return the device."""
    with world.services.uow_factory() as uow:
        bundle = next(
            each
            for each in uow.devices.bundles(DEFAULT_TENANT)
            if each.contract is not None and world.services.catalogue.find(each.device.model_id)
        )
        device, now = bundle.device, world.clock.now()
        uow.forecasts.save_all(
            [
                LifeForecast(
                    tenant=DEFAULT_TENANT, device_id=device.device_id, component="fuser", used_share=0.5,
                    design_life_pages=100_000, days_to_replacement=Interval(100.0, 120.0, 150.0),
                    provenance=Provenance(
                        made_at=now, as_of=now.date(), model="life-pages/1", basis=ForecastBasis.OWN_HISTORY, age_of_data_days=0.0,
                        reasons=(Reason("reasons.life_used", {"percent": 50, "limit": 80, "pages_per_day": 250.0}),),
                    ),
                )
            ]
        )  # fmt: skip
        law = PartLife(
            model=str(device.model_id), component="fuser", design_life_pages=100_000, shape=2.0, scale=90_000.0,
            own=True, lives=12, ended=7, curve=(CurvePoint(40_000, 0.8, 0.6, 0.9), CurvePoint(80_000, 0.4, 0.2, 0.6)), method="part-lives/1",
        )  # fmt: skip
        uow.quality.save_outlook(
            Outlook(
                tenant=DEFAULT_TENANT, kind=OutlookKind.PART_LIVES, as_of=now.date(), rows=(law.as_row(),)
            )
        )
        uow.commit()
    return bundle


def _page(person, bundle, language):
    """Return the device's page in a language."""
    person.cookies.set("drumbeat_lang", language)
    return person.get(f"/devices/{bundle.device.device_id}").text


def test_a_part_is_shown_with_its_survival_curve_in_plain_words(browser, worn):
    page = _page(browser("manager"), worn, "en")
    parts = re.search(r'id="parts".*?</section>', page, re.DOTALL)[0]
    assert '<svg class="survival"' in parts
    assert "<title>Fuser: Of 100 such parts, 73 still work at this age." in parts
    assert 'class="band"' in parts
    assert 'class="dot-now"' in parts
    assert "From 12 such parts in this company, 7 of them failed · part-lives/1" in parts
    assert "50% of the design life used · Due: " in parts
    assert "life-pages/1" in parts


def test_the_way_leads_to_customer_and_contract_for_those_who_may_go_there(browser, worn):
    customer, contract = (
        f"/customers/{worn.customer.customer_id}",
        f"/contracts/{worn.contract.contract_id}",
    )
    path = f"/devices/{worn.device.device_id}"
    boss, technician = (browser(who).get(path).text for who in ("manager", "tech-li"))
    assert customer in boss
    assert contract in boss
    assert customer not in technician
    assert contract not in technician


def test_the_newest_readings_stand_below_their_picture(browser, world, worn):
    page = _page(browser("manager"), worn, "zh-CN")
    readings = re.search(r'id="readings".*?</section>', page, re.DOTALL)[0]
    newest = world.services.store.newest(DEFAULT_TENANT, worn.device.device_id)
    assert "读数" in readings
    assert f"{newest.counters.life_count:,}" in readings
