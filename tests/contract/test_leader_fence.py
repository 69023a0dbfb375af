"""A leader that was replaced while it worked keeps nothing of that work: the fencing number is checked in its transaction."""

from datetime import timedelta

import pytest

from config.supervision import LeaderLease
from crm_core.domain.errors import Conflict
from crm_core.ports import TicketFilter
from crm_core.triage import Triage
from tests.builders import TENANT, ManualClock, a_condition, a_signal, a_small_fleet
from tests.policies import a_book, a_catalogue, a_policy


def a_node(uow_factory, clock, holder):
    lease = LeaderLease(uow_factory, clock, name="triage", holder=holder, duration=timedelta(seconds=10))
    triage = Triage(uow_factory, clock, a_policy(), a_book(), a_catalogue())
    triage.fenced_by(lease.fence)
    return lease, triage


def test_a_paused_leader_that_wakes_up_changes_nothing(uow_factory):
    a_small_fleet(uow_factory)
    clock = ManualClock()
    old_lease, old = a_node(uow_factory, clock, "one")
    new_lease, new = a_node(uow_factory, clock, "two")
    with uow_factory() as uow:
        uow.signals.append([a_signal(a_condition(), at=clock.now())])
        uow.commit()
    assert old_lease.held()
    clock.advance(seconds=30)  # the old leader sleeps longer than its lease
    assert new_lease.held()
    with pytest.raises(Conflict, match="another process leads now"):
        old.run()
    with uow_factory() as uow:
        assert uow.tickets.list(TENANT, TicketFilter()) == []
        assert len(uow.signals.pending(10)) == 1
    assert new.run().opened == 1
    new_lease.release()
    assert old_lease.held()
    assert old.run().opened == 0
