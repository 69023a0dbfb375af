"""Escalations and notices in simulated months: each once, in time and in order; and every planted bug is noticed."""

from dataclasses import replace

import pytest

from crm_core import escalation
from crm_core.domain.notices import NoticeState
from crm_core.escalation import Escalation, EscalationSchedule
from crm_core.notices import delivery
from crm_core.notices.addressing import Addressing
from crm_core.notices.announcing import Announcer
from crm_core.storage.notices.memory import MemoryNoticesRepository
from crm_core.ticket_states import Move, last_event
from tests.scenarios.simulation import Simulation
from tests.scenarios.simulation_checks import noticed_in


def month(seed):
    return Simulation(seed, days=20, telling=True)


@pytest.mark.parametrize("seed", range(100, 103))
def test_a_month_of_telling(seed):
    simulation = Simulation(seed, telling=True).run()
    assert simulation.telling.line.sent
    assert simulation.telling.line.repeats


@pytest.mark.heavy
def test_thirty_months_of_telling():
    for seed in range(200, 230):
        Simulation(seed, telling=True).run()


@pytest.mark.soak
def test_many_months_of_telling():
    for seed in range(20_000, 20_500):
        Simulation(seed, telling=True).run()


def only_the_last_step_is_waited_for(patch):
    patch.setattr(escalation, "islice", lambda steps, _: [*steps][-1:])


def changes_are_not_scheduled(patch):
    patch.setattr(EscalationSchedule, "__call__", lambda *_: None)


def nobody_looks_at_the_timer(patch):
    patch.setattr(MemoryNoticesRepository, "next_escalation", lambda *_: None)


def clocks_run_while_the_customer_is_waited_for(patch):
    patch.setattr(escalation, "PAUSING", frozenset())


def pauses_do_not_shift_the_steps(patch):
    patch.setattr(escalation, "pauses_of", lambda _: ())


def all_steps_go_to_the_dispatcher(patch):
    patch.setattr(escalation, "_ROLES", dict.fromkeys(escalation._ROLES, (escalation.Role.DISPATCHER,)))


def steps_are_noted_and_not_told(patch):
    patch.setattr(Escalation, "_audience", lambda *_: ())


def steps_are_told_before_they_are_noted(patch):
    """Tell in a transaction of its own: what a dying node said is said again."""
    right = MemoryNoticesRepository.add

    def wrong(self, notices):
        marked = [
            replace(each, unique_key=f"{each.unique_key}{each.created_at:%H%M%S%f}") for each in notices
        ]
        return right(self, [*notices, *(each for each in marked if "escalation:" in each.unique_key)])

    patch.setattr(MemoryNoticesRepository, "add", wrong)


def a_cause_that_went_is_not_announced(patch):
    right = Announcer._is_for_customer
    patch.setattr(
        Announcer,
        "_is_for_customer",
        lambda self, uow, it: last_event(it, Move.DONE) is None and right(self, uow, it),
    )


def a_state_is_announced_once(patch):
    """Forget that a ticket may come into the same state again."""
    right = Addressing.notice

    def wrong(self, uow, *arguments, unique_key, topic, **rest):
        key = unique_key if topic.startswith("escalation") else f"{rest['subject']}:{topic}:customer"
        return right(self, uow, *arguments, unique_key=key, topic=topic, **rest)

    patch.setattr(Addressing, "notice", wrong)


def messages_overtake_each_other(patch):
    right = MemoryNoticesRepository.add
    patch.setattr(
        MemoryNoticesRepository,
        "add",
        lambda self, new: right(self, [replace(each, ordering_key="") for each in new]),
    )


def sent_messages_are_not_noted(patch):
    right = MemoryNoticesRepository.settle

    def wrong(self, notice, holder):
        again = replace(notice, state=NoticeState.WAITING) if notice.notice_id % 7 == 0 else notice
        return right(self, again, holder)

    patch.setattr(MemoryNoticesRepository, "settle", wrong)


def a_bad_line_counts_as_sent(patch):
    patch.setattr(
        delivery.Deliverer, "_failed", lambda self, it, *_, **__: replace(
            it, state=NoticeState.SENT, done_at=self._clock.now()
        ),
    )  # fmt: skip


def claims_of_dead_nodes_stay(patch):
    right = MemoryNoticesRepository.claim

    def wrong(self, holder, now, lease, limit):
        return right(self, holder, now, lease * 10**6, limit)

    patch.setattr(MemoryNoticesRepository, "claim", wrong)


BUGS = (
    only_the_last_step_is_waited_for,
    changes_are_not_scheduled,
    nobody_looks_at_the_timer,
    clocks_run_while_the_customer_is_waited_for,
    pauses_do_not_shift_the_steps,
    all_steps_go_to_the_dispatcher,
    steps_are_noted_and_not_told,
    steps_are_told_before_they_are_noted,
    a_cause_that_went_is_not_announced,
    a_state_is_announced_once,
    messages_overtake_each_other,
    sent_messages_are_not_noted,
    a_bad_line_counts_as_sent,
    claims_of_dead_nodes_stay,
)


@pytest.mark.heavy
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_in_telling_is_caught(bug, monkeypatch):
    bug(monkeypatch)
    noticed_in(month, bug.__name__)
