"""A leader that was replaced while it worked keeps nothing of that work: the fencing number is checked in each commit."""

import threading
from datetime import timedelta

import pytest

from config.supervision import LeaderLease
from crm_core.dispatching import Dispatcher
from crm_core.domain.errors import Conflict
from crm_core.ports import TicketFilter, WorkOrderFilter
from crm_core.storage.memory import make_memory_uow_factory
from crm_core.triage import Triage
from tests.builders import TENANT, ManualClock, a_condition, a_signal, a_small_fleet
from tests.policies import a_book, a_catalogue, a_policy


def a_lease(uow_factory, clock, holder):
    lease = LeaderLease(uow_factory, clock, name="triage", holder=holder, duration=timedelta(seconds=10))
    uow_factory.on_commit(lease.fence_commits)
    return lease


def test_a_paused_leader_that_wakes_up_changes_nothing(uow_factory):
    a_small_fleet(uow_factory)
    clock, policy = ManualClock(), a_policy()
    old, new = a_lease(uow_factory, clock, "one"), a_lease(uow_factory, clock, "two")
    triage = Triage(uow_factory, clock, policy, a_book(), a_catalogue())
    dispatcher = Dispatcher(uow_factory, clock, policy, a_catalogue(), a_book())
    with uow_factory() as uow:
        uow.signals.append([a_signal(a_condition(), at=clock.now())])
        uow.commit()

    def sleeping_before(work):
        def slept():
            clock.advance(seconds=30)  # longer than the lease
            assert new.held()
            work()

        return slept

    with pytest.raises(Conflict, match="another process leads now"):
        old.only_as_leader(sleeping_before(triage.run))()
    with uow_factory() as uow:
        assert uow.tickets.list(TENANT, TicketFilter()) == []
        assert len(uow.signals.pending(10)) == 1
    assert triage.run().opened == 1
    clock.advance(seconds=30)
    with pytest.raises(Conflict, match="another process leads now"):
        old.only_as_leader(sleeping_before(lambda: dispatcher.dispatch(TENANT)))()
    with uow_factory() as uow:
        assert uow.work_orders.list(TENANT, WorkOrderFilter()) == []
    new.release()
    old.only_as_leader(lambda: dispatcher.dispatch(TENANT))()
    with uow_factory() as uow:
        assert len(uow.work_orders.list(TENANT, WorkOrderFilter())) == 1


def test_work_begun_under_an_earlier_lease_is_not_kept_under_a_later_one(uow_factory):
    clock = ManualClock()
    old, new = a_lease(uow_factory, clock, "one"), a_lease(uow_factory, clock, "two")

    def work():
        clock.advance(seconds=30)
        assert new.held()
        new.release()
        assert old.held()  # again, but others have worked in between
        with uow_factory() as uow:
            uow.commit()

    with pytest.raises(Conflict, match="another process leads now"):
        old.only_as_leader(work)()


def test_a_lease_is_renewed_beside_long_work_and_not_after_its_release():
    store, renewed = make_memory_uow_factory(), threading.Semaphore(0)

    def counted():
        renewed.release()
        return store()

    lease = LeaderLease(counted, ManualClock(), name="triage", holder="one", duration=timedelta(seconds=0.03))
    lease.keep()  # nothing to renew yet: only who leads renews
    assert lease.held()
    try:
        for _ in range(4):  # once by `held`, then in the background
            assert renewed.acquire(timeout=60)
    finally:
        lease.release()
    assert lease.keeping is False
