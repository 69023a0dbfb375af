"""The replay reads the year from the real stores: pages, levels, tickets, and nothing that it cannot know."""

import threading
from datetime import timedelta

import numpy as np
import pytest

from analytics.features import day_number
from analytics.policy_replay.rates import fit_rates
from analytics.policy_replay.service import PolicyReplay
from analytics.policy_replay.year import SUPPLY, read_year
from collector.stores.memory import MemoryTelemetryStore
from config.catalogue_files import load_catalogue
from config.cli.app import _run
from config.clock import VirtualClock
from config.policy_files import POLICY
from config.policy_shelf import PolicyShelf
from config.replay_desk import ReplayDesk
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.policy_replay import ReplayRequest
from crm_core.domain.service import ClockKind, Evidence, SignalOrigin, SlaClock, TicketState
from crm_core.storage.memory import make_memory_uow_factory
from tests.builders import TENANT, a_ticket
from tests.unit.analytics.fleet import FIRST_DAY, devices, history, land

DAYS = 90
CATALOGUE = load_catalogue()
DAYS_LEFT = "forecasts.replenishment.raise_at_days_left"


@pytest.fixture
def firm(tmp_path):
    """Return store, CRM, clock and shelf of a firm with six machines and a few tickets."""
    clock = VirtualClock(FIRST_DAY + timedelta(days=DAYS))
    store, factory = MemoryTelemetryStore(clock), make_memory_uow_factory()
    names = [f"d{number}" for number in range(6)]
    for number, name in enumerate(names):
        land(store, *history(name, DAYS, number))
    with factory() as uow:
        for device in devices(*names):
            uow.devices.save(device)
        for number, name in enumerate(names[:4]):
            raised = FIRST_DAY + timedelta(days=20 + number, hours=1)
            clocks = (
                SlaClock(
                    kind=ClockKind.RESTORE,
                    started_at=raised,
                    due_at=raised + timedelta(days=1),
                    met_at=raised + timedelta(days=2),
                ),
            )
            seen = (Evidence(at=raised, origin=SignalOrigin.FORECAST, key="k", summary=""),)
            uow.tickets.open_unless_covered(
                a_ticket(
                    "supply.1.1",
                    device_id=name,
                    site_id=None,
                    customer_id=None,
                    state=TicketState.CLOSED,
                    raised_at=raised,
                    clocks=clocks,
                    evidence=seen,
                )
            )
        uow.commit()
    return store, factory, clock, PolicyShelf(POLICY, tmp_path / "policy", clock, "Asia/Shanghai")


def year_of(firm, days=DAYS):
    store, factory, clock, _ = firm
    return read_year(
        store, factory, CATALOGUE, TENANT, last_day=day_number(clock.now().date()) - 1, days=days
    )


def test_pages_and_levels_are_those_of_the_store(firm):
    year = year_of(firm)
    assert (year.days, len(year.device_ids), len(year.slot_device)) == (DAYS, 6, 6)
    for row, name in enumerate(year.device_ids):
        told = [item.counters.life_count for item in history(name, DAYS, row)]
        assert year.pages[row].sum() == told[-1] - told[0]
        assert year.counts[row] == told[0]
        assert np.nanmax(year.levels[row]) <= 1.0
    assert np.isnan(year.design_life).all()  # no model of the catalogue: its life is not guessed


def test_tickets_are_read_with_their_times(firm):
    year = year_of(firm)
    assert [(each.family, each.day, each.days, each.late, each.by_device) for each in year.tickets] == [
        (SUPPLY, 23 - n, 2.0, True, False) for n in range(4)
    ]
    assert year_of(firm, days=60).days == 60
    assert len(year_of(firm, days=60).tickets) == 0


def test_the_drain_is_what_the_cartridges_gave(firm):
    rates = fit_rates(year_of(firm))
    assert rates.known.all()
    assert 1.0 / rates.drain == pytest.approx(np.full(6, 1500.0), rel=0.1)
    assert rates.full == pytest.approx(1.0, abs=0.1)


def test_a_question_is_answered_from_the_stores(firm):
    store, factory, clock, shelf = firm
    service = PolicyReplay(store, factory, CATALOGUE, shelf, clock)
    asked = ReplayRequest(figures={DAYS_LEFT: 3})
    seen = []
    report = service.replay(TENANT, asked, lambda done, of: seen.append(done / of))
    assert report.changes == {DAYS_LEFT: (7.0, 3)}
    assert report.figure("tickets").recorded == 4
    assert report.figure("breaches").recorded == 4
    assert report.figure("waste").difference.p50 < 0
    assert seen == sorted(seen)
    assert shelf.book().replenishment.raise_at_days_left == 7.0


def test_impossible_questions_are_refused_at_once(firm):
    store, factory, clock, shelf = firm
    service = PolicyReplay(store, factory, CATALOGUE, shelf, clock)
    with pytest.raises(InvalidValue, match="clear_at_days_left must be more"):
        service.replay(TENANT, ReplayRequest(figures={DAYS_LEFT: 99}))
    empty = PolicyReplay(MemoryTelemetryStore(clock), factory, CATALOGUE, shelf, clock)
    with pytest.raises(InvalidValue, match="at least 28 days"):
        empty.replay(TENANT, ReplayRequest(figures={}))


def test_one_replay_at_a_time(firm):
    _store, _factory, _clock, shelf = firm

    class Slow:
        def replay(self, tenant, request, progress=None):
            progress(1, 2)
            with pytest.raises(Conflict):
                desk.ask(TENANT, request)
            raise InvalidValue("enough")

    desk = ReplayDesk(Slow(), shelf, lambda request: None)
    asked = desk.ask(TENANT, ReplayRequest(figures={}))
    for thread in threading.enumerate():
        if thread.name == "replay":
            thread.join(60)
    assert desk.look(TENANT, asked.replay_id).error == "enough"


def test_the_command_says_when_there_is_too_little(tmp_path, capsys):
    assert _run(["--data", str(tmp_path), "replay", "--set", f"{DAYS_LEFT}=5"]) == 1
    assert "at least 28 days" in capsys.readouterr().err
