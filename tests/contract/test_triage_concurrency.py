"""Many writers at once: 16 threads raise 1,600 signals on 10 causes and triage from each of them: exactly 10 tickets."""

import threading
from datetime import timedelta

import pytest

from crm_core.domain.errors import Conflict
from crm_core.ports import TicketFilter
from crm_core.triage import Triage
from tests.builders import T0, TENANT, ManualClock, a_condition, a_signal, a_small_fleet
from tests.contract.test_unit_of_work import run_together
from tests.policies import a_book, a_catalogue, a_policy, a_triage_policy

THREADS, SIGNALS_EACH, CAUSES = 16, 100, 10


@pytest.mark.heavy
def test_1600_signals_on_10_causes_are_10_tickets(uow_factory):
    a_small_fleet(uow_factory, devices=CAUSES)
    clock = ManualClock(T0 + timedelta(hours=1))
    policy = a_policy(a_triage_policy(max_automatic_tickets_per_site_day=1000))
    names = iter(range(THREADS))
    lock = threading.Lock()

    def raise_and_triage():
        with lock:
            thread = next(names)
        triage = Triage(uow_factory, clock, policy, a_book(), a_catalogue())
        for start in range(0, SIGNALS_EACH, 20):
            signals = [
                a_signal(
                    a_condition(f"fault.part{number % CAUSES + 1}"),  # one part on all would be a campaign
                    at=T0 + timedelta(milliseconds=number),
                    device_id=f"d{number % CAUSES + 1}",
                    evidence=f"{thread}:{number}",
                )
                for number in range(start, start + 20)
            ]
            with uow_factory() as uow:
                assert uow.signals.append(signals) == 20
                uow.commit()
            try:
                triage.run()
            except Conflict:
                continue  # another thread changed a ticket first: nothing of this run was kept

    run_together(THREADS, raise_and_triage)
    Triage(uow_factory, clock, policy, a_book(), a_catalogue()).run_all()
    with uow_factory() as uow:
        tickets = uow.tickets.list(TENANT, TicketFilter(limit=10_000))
        assert uow.signals.pending(10) == []
    assert sorted({ticket.dedup_key for ticket in tickets}) == sorted(
        f"d{n}:fault.part{n}" for n in range(1, 11)
    )
    assert len(tickets) == CAUSES
