"""The service desk survives thousands of simulated months, and the checkers catch every planted bug."""

import os
import time
from dataclasses import replace

import pytest

from crm_core import cause_tracks, dispatching, servicedesk, ticket_opening, ticket_states, triage
from crm_core.dispatching import Dispatcher
from crm_core.domain.errors import Conflict
from crm_core.domain.service import TicketLevel, TicketState
from crm_core.domain.stock import StockBalance
from crm_core.storage import memory, memory_service
from crm_core.storage.stock import memory as stock_memory
from crm_core.ticket_states import Move
from tests.scenarios.simulation import Simulation
from tests.scenarios.simulation_checks import Broken, noticed_in

SOAK_SEEDS = 2000


@pytest.mark.parametrize("seed", range(8))
def test_a_month_of_twenty_devices(seed):
    Simulation(seed).run()


def test_a_seed_repeats_exactly():
    def story(seed):
        return [
            (t.ticket_id, t.cause, t.state, [e.at for e in t.events])
            for t in Simulation(seed).run().tickets()
        ]

    assert story(3) == story(3)
    assert story(3) != story(4)


def run_seeds(seeds):
    began, device_days = time.process_time(), 0
    tickets = 0
    for seed in seeds:
        simulation = Simulation(seed)
        try:
            simulation.run()
        except (Broken, Conflict) as broken:
            pytest.fail(f"seed {seed}: {broken}; repeat with Simulation({seed}).run()")
        device_days += len(simulation.device_ids) * simulation.days
        tickets += len(simulation.tickets())
    minutes = (time.process_time() - began) / 60
    years = device_days / 365
    print(
        f"\n{len(seeds)} seeds, {tickets} tickets, {years:.0f} device-years, {years / minutes:.0f} a CPU-minute"
    )


@pytest.mark.heavy
def test_a_hundred_seeds():
    run_seeds(range(1000, 1100))


@pytest.mark.soak
def test_all_seeds():
    first = int(os.environ.get("DRUMBEAT_FIRST_SEED", "10000"))
    run_seeds(range(first, first + SOAK_SEEDS))


# --- planted bugs: each breaks one rule, and some seed must notice ---


def open_ones_are_not_looked_for(patch):
    patch.setattr(triage, "covering", lambda *_: None)
    patch.setattr(memory_service.MemoryTickets, "open_unless_covered", memory_service.MemoryTickets._insert)


def conditions_count_at_first_sight(patch):
    patch.setattr(cause_tracks, "is_raised", lambda *_: True)


def conditions_never_count(patch):
    patch.setattr(cause_tracks, "is_raised", lambda track, policy: track.seen_count > 6)


def unknown_means_clear(patch):
    patch.setattr(cause_tracks, "is_silent_about", lambda *_: False)


def unknown_rows_match_by_prefix(patch):
    patch.setattr(
        cause_tracks,
        "is_silent_about",
        lambda signal, cause: not signal.conditions or cause.startswith(signal.unknown),
    )
    patch.setattr(triage.Triage, "_perhaps_confirm", lambda *_: None)


def late_signals_count(patch):
    patch.setattr(memory._Signals, "watermark", lambda *_: None)


def nothing_ever_clears(patch):
    patch.setattr(cause_tracks, "is_gone", lambda *_: False)


def clearing_needs_no_hold(patch):
    patch.setattr(cause_tracks, "is_gone", lambda track, *_: track.clear_since is not None)


def holds_need_a_second_word(patch):
    """Forget that a healthy device is silent."""
    patch.setattr(cause_tracks, "is_gone", lambda track, *_: track.clear_count >= 3)


def gone_causes_are_forgotten_while_people_wait(patch):
    right = triage.Triage._let_go

    def wrong(self, *arguments):
        right(self, *arguments)
        return True

    patch.setattr(triage.Triage, "_let_go", wrong)


def levels_never_rise(patch):
    patch.setattr(triage, "_RANK", dict.fromkeys(TicketLevel, 1))


def repairs_are_believed(patch):
    patch.setattr(triage.Triage, "_still_on", lambda *_, **__: False)


def failed_repairs_are_overlooked(patch):
    patch.setattr(triage.Triage, "_perhaps_recurred", lambda _self, ticket, *_: ticket)


def failed_repairs_get_no_visit(patch):
    patch.setattr(dispatching, "_TO_PLAN", dispatching._TO_PLAN - {TicketState.IN_PROGRESS})


def escalated_tickets_get_no_visit(patch):
    patch.setattr(dispatching, "_TO_PLAN", dispatching._TO_PLAN - {TicketState.ESCALATED})


def nothing_is_dispatched(patch):
    patch.setattr(Dispatcher, "_plan", lambda *_: None)


def pauses_do_not_count(patch):
    patch.setattr(ticket_states, "pauses_of", lambda *_: ())


def held_tickets_stay_held(patch):
    patch.setattr(triage.Triage, "_perhaps_release", lambda *_: None)


def held_tickets_go_without_clocks(patch):
    patch.setattr(ticket_opening.TicketOpener, "_clocks", lambda *_: ())


def evidence_is_lost(patch):
    right = cause_tracks.seen
    patch.setattr(cause_tracks, "seen", lambda *arguments: replace(right(*arguments), evidence=()))


def restore_counts_as_of_its_confirmation(patch):
    patch.setattr(ticket_states, "last_event", lambda *_: None)


def a_crash_loses_signals(patch):
    """Mark signals as processed in a transaction of their own, before the work."""
    right = triage.Triage.run

    def wrong(self, *arguments):
        with self._uow_factory() as uow:
            pending = uow.signals.pending(1)
            if len(pending) == 1 and pending[0].signal_id % 2:
                uow.signals.mark_processed([pending[0].signal_id], self._clock.now())
            uow.commit()
        return right(self, *arguments)

    patch.setattr(triage.Triage, "run", wrong)


def a_visit_done_is_a_ticket_closed(patch):
    patch.setattr(
        servicedesk,
        "TRANSITIONS",
        {**servicedesk.TRANSITIONS, (TicketState.IN_PROGRESS, Move.DONE): TicketState.RESOLVED},
    )
    patch.setattr(
        ticket_states,
        "TRANSITIONS",
        {**ticket_states.TRANSITIONS, (TicketState.IN_PROGRESS, Move.DONE): TicketState.RESOLVED},
    )


def places_may_owe(patch):
    patch.setattr(stock_memory, "is_external", lambda _: True)


def pieces_are_promised_to_everybody(patch):
    patch.setattr(StockBalance, "free", property(lambda _: 99))


BUGS = (
    places_may_owe,
    pieces_are_promised_to_everybody,
    open_ones_are_not_looked_for,
    conditions_count_at_first_sight,
    conditions_never_count,
    unknown_means_clear,
    unknown_rows_match_by_prefix,
    late_signals_count,
    nothing_ever_clears,
    clearing_needs_no_hold,
    holds_need_a_second_word,
    gone_causes_are_forgotten_while_people_wait,
    levels_never_rise,
    repairs_are_believed,
    failed_repairs_are_overlooked,
    failed_repairs_get_no_visit,
    escalated_tickets_get_no_visit,
    nothing_is_dispatched,
    pauses_do_not_count,
    held_tickets_stay_held,
    held_tickets_go_without_clocks,
    evidence_is_lost,
    restore_counts_as_of_its_confirmation,
    a_crash_loses_signals,
    a_visit_done_is_a_ticket_closed,
)


@pytest.mark.heavy
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_caught(bug, monkeypatch):
    bug(monkeypatch)
    noticed_in(lambda seed: Simulation(seed, days=20), bug.__name__)
