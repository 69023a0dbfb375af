"""Clocks, tracks, forecasts and silence to the last field: what every single line of these rules decides."""

from dataclasses import replace
from datetime import timedelta

import pytest

from crm_core import cause_tracks
from crm_core.domain.errors import IllegalTransition, InvalidValue
from crm_core.domain.forecast import FailureForecast, Interval
from crm_core.domain.identity import DeviceId, TicketId
from crm_core.domain.service import (
    ClockKind,
    Condition,
    Evidence,
    Signal,
    SignalOrigin,
    SlaClock,
    TicketEvent,
    TicketState,
)
from crm_core.forecast_causes import data_at, signal_of
from crm_core.ports import DeviceForecasts
from crm_core.raising import covering, was_decided, with_news
from crm_core.silence import is_silent
from crm_core.silence import signal_of as silence_signal
from crm_core.storage.memory import make_memory_uow_factory
from crm_core.ticket_states import MACHINE, Move, moved
from tests.builders import (
    T0,
    TENANT,
    a_condition,
    a_life_forecast,
    a_signal,
    a_small_fleet,
    a_supply_forecast,
    a_ticket,
)
from tests.policies import L1, L2, L3, a_policy, a_rule, a_triage_policy

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
SLA = a_policy().sla


# --- clocks along the states ---


def a_clock(kind: ClockKind, **changes) -> SlaClock:
    fields = {
        "kind": kind, "started_at": T0, "due_at": T0 + 8 * HOUR, "duration_seconds": 8 * 3600.0, "business_hours": False,
        "calendar": SLA.calendar.name, "policy_version": "p1", **changes,
    }  # fmt: skip
    return SlaClock(**fields)


def in_state(state: TicketState, *clocks: SlaClock, events=(), **changes):
    given = clocks or tuple(
        map(a_clock, (ClockKind.RESPOND, ClockKind.ARRIVE, ClockKind.PROPOSAL, ClockKind.RESTORE))
    )
    return a_ticket(state=state, clocks=given, events=events, policy_version="p1", **changes)


def met(ticket) -> dict[ClockKind, object]:
    return {clock.kind: clock.met_at for clock in ticket.clocks if clock.met_at is not None}


def move(ticket, which, *, actor="li", at=T0 + HOUR, note="because"):
    return moved(ticket, which, at=at, actor=actor, sla=SLA, note=note)


@pytest.mark.parametrize(
    ("state", "which", "level", "kept"),
    [
        (TicketState.NEW, Move.ACKNOWLEDGE, L3, {ClockKind.RESPOND}),
        (TicketState.IN_PROGRESS, Move.ARRIVE, L3, {ClockKind.RESPOND, ClockKind.ARRIVE}),
        (TicketState.NEW, Move.PROPOSE, L3, {ClockKind.RESPOND, ClockKind.PROPOSAL}),
        (TicketState.IN_PROGRESS, Move.DONE, L3, {ClockKind.RESPOND, ClockKind.PROPOSAL}),
        (TicketState.NEW, Move.CANCEL, L3, set()),
    ],
)
def test_what_a_move_of_a_person_keeps(state, which, level, kept):
    assert met(move(in_state(state, level=level), which)) == dict.fromkeys(kept, T0 + HOUR)


def test_a_fix_by_phone_keeps_all_that_it_answers():
    after = move(in_state(TicketState.TRIAGED, level=L1), Move.FIX_BY_PHONE)
    assert met(after)[ClockKind.RESPOND] == met(after)[ClockKind.RESTORE] == T0 + HOUR


def test_the_machine_answers_nobody():
    assert ClockKind.RESPOND not in met(move(in_state(TicketState.TRIAGED), Move.PLAN, actor=MACHINE))


def test_a_confirmed_repair_was_restored_when_it_was_done_and_the_call_back_begins():
    done = TicketEvent(
        at=T0 + HOUR, actor="t1", event="done", from_state=TicketState.IN_PROGRESS,
        to_state=TicketState.RESOLVED_UNVERIFIED,
    )  # fmt: skip
    after = move(
        in_state(TicketState.RESOLVED_UNVERIFIED, events=(done,)),
        Move.CONFIRMED,
        actor=MACHINE,
        at=T0 + 5 * HOUR,
    )
    assert met(after) == {ClockKind.RESTORE: T0 + HOUR}
    call = after.clock(ClockKind.CALL_BACK)
    assert (call.started_at, call.policy_version) == (T0 + 5 * HOUR, "p1")
    assert after.changed_at == T0 + 5 * HOUR
    restored_now = move(in_state(TicketState.RESOLVED_UNVERIFIED), Move.CONFIRMED, at=T0 + 2 * HOUR)
    assert met(restored_now)[ClockKind.RESTORE] == T0 + 2 * HOUR


def test_a_failed_repair_opens_the_restore_clock_again_and_no_other():
    clocks = [a_clock(kind, met_at=T0 + MINUTE) for kind in (ClockKind.RESPOND, ClockKind.RESTORE)]
    after = move(in_state(TicketState.RESOLVED_UNVERIFIED, *clocks), Move.RECURRED, actor=MACHINE)
    assert met(after) == {ClockKind.RESPOND: T0 + MINUTE}


def test_waiting_moves_what_is_due_but_not_what_was_kept():
    kept = a_clock(ClockKind.RESPOND, met_at=T0 + MINUTE)
    waiting = move(in_state(TicketState.SCHEDULED, kept, a_clock(ClockKind.RESTORE)), Move.WAIT_CUSTOMER)
    assert [clock.due_at for clock in waiting.clocks] == [T0 + 8 * HOUR] * 2
    after = move(waiting, Move.RESUME, at=T0 + 3 * HOUR)
    assert [clock.due_at for clock in after.clocks] == [T0 + 8 * HOUR, T0 + 10 * HOUR]
    assert after.clocks[0] == kept


def test_forbidden_moves_say_what_is_possible():
    with pytest.raises(IllegalTransition, match=r"a ticket that is closed cannot plan; possible: nothing"):
        move(in_state(TicketState.CLOSED), Move.PLAN)
    with pytest.raises(IllegalTransition, match=r"that is resolved cannot plan; possible: (\w+, )*close"):
        move(in_state(TicketState.RESOLVED), Move.PLAN)
    with pytest.raises(IllegalTransition, match=r"an? L3 ticket cannot be fixed by phone; plan a visit"):
        move(in_state(TicketState.TRIAGED), Move.FIX_BY_PHONE)
    with pytest.raises(InvalidValue, match=r"to cancel a ticket a reason is required"):
        move(in_state(TicketState.NEW), Move.CANCEL, note=" ")


# --- tracks ---


def a_track(cause="fault.fuser", at=T0, **changes):
    signal = a_signal(at=at, evidence="t:1")
    return replace(cause_tracks.seen(None, signal, a_condition(cause, code="E1", text="hot")), **changes)


def test_a_first_look_is_one_observation_with_its_evidence():
    track = a_track()
    assert (track.first_seen, track.last_seen, track.seen_count, track.clear_count) == (T0, T0, 1, 0)
    assert track.evidence == (Evidence(at=T0, origin=SignalOrigin.TELEMETRY, key="t:1", summary="E1 | hot"),)
    assert track.episodes == (T0,)


def test_a_second_look_counts_once_and_ends_a_hold():
    track = a_track(clear_since=T0 + MINUTE, clear_count=3, ticket_id=TicketId(1))
    later = T0 + 2 * MINUTE
    again = cause_tracks.seen(track, a_signal(at=later), a_condition())
    assert (again.seen_count, again.last_seen, again.clear_since, again.clear_count) == (2, later, None, 0)
    assert again.episodes == (T0, later)  # it had gone and came back
    assert cause_tracks.seen(a_track(), a_signal(at=later), a_condition()).episodes == (T0,)


def test_only_so_many_episodes_are_remembered():
    many = tuple(T0 + number * MINUTE for number in range(30))
    gone = a_track(episodes=many, clear_since=T0 + HOUR, ticket_id=TicketId(1))
    back = cause_tracks.seen(gone, a_signal(at=T0 + 2 * HOUR), a_condition())
    assert back.episodes == (*many[-19:], T0 + 2 * HOUR)


def test_a_dormant_track_remembers_only_its_episodes():
    asleep = cause_tracks.dormant(a_track(seen_count=7, ticket_id=TicketId(3)))
    assert (asleep.ticket_id, asleep.seen_count, asleep.evidence, asleep.episodes) == (None, 0, (), (T0,))


def test_forecasts_and_silence_act_at_once():
    policy = a_triage_policy([a_rule("supply.", n=3, minutes=10, clear_n=4, clear_minutes=50)])
    for origin in (SignalOrigin.FORECAST, SignalOrigin.SILENCE):
        rule = cause_tracks.rule_for(policy, "supply.1", origin)
        figures = (rule.raise_observations, rule.raise_after, rule.clear_observations, rule.clear_after)
        assert figures == (1, timedelta(), 1, timedelta())
    for origin in (SignalOrigin.TELEMETRY, SignalOrigin.PERSON):
        assert cause_tracks.rule_for(policy, "supply.1", origin) == policy.rule_for("supply.1")


def test_jams_at_the_edges_of_their_window():
    policy = a_triage_policy([a_rule("jam.", n=99)], jam_count_for_ticket=2, jam_window=HOUR)
    track = a_track("jam.any", at=T0 + HOUR, last_seen=T0 + HOUR)
    assert not cause_tracks.is_raised(replace(track, episodes=(T0, T0 + HOUR)), policy)
    assert cause_tracks.is_raised(replace(track, episodes=(T0 + MINUTE, T0 + HOUR)), policy)
    assert cause_tracks.keeps_memory(track, T0 + 2 * HOUR - MINUTE, policy)
    assert not cause_tracks.keeps_memory(track, T0 + 2 * HOUR, policy)
    assert not cause_tracks.keeps_memory(a_track(), T0, policy)


# --- what covers a cause, what people decided ---


@pytest.fixture
def uow():
    factory = make_memory_uow_factory()
    a_small_fleet(factory, devices=2)
    with factory() as work:
        yield work


def test_any_supply_is_covered_only_by_an_open_supply_ticket_of_the_same_device(uow):
    vague = a_track("supply.any")
    for other in (
        a_ticket("fault.fuser"),
        a_ticket("supply.1", "d2"),
        a_ticket("supply.2", state=TicketState.CLOSED),
    ):
        uow.tickets.open_unless_covered(other)
    assert covering(uow, vague) is None
    exact = uow.tickets.open_unless_covered(a_ticket("supply.3"))
    assert covering(uow, vague) == exact
    own = uow.tickets.open_unless_covered(a_ticket("supply.any"))
    uow.tickets.open_unless_covered(a_ticket("supply.9"))
    assert covering(uow, vague) == own
    assert covering(uow, a_track("supply.4")) is None


@pytest.mark.parametrize(
    ("state", "actors", "since", "decided"),
    [
        (TicketState.CANCELLED, (MACHINE, "li"), HOUR, True),
        (TicketState.MERGED, ("li", "li", MACHINE), HOUR, False),  # a campaign took it over
        (TicketState.RESOLVED, ("li",), HOUR - MINUTE, True),
        (TicketState.RESOLVED, ("li",), HOUR, False),
        (TicketState.CLOSED, ("li",), MINUTE, False),
        (TicketState.NEW, ("li",), MINUTE, False),
    ],
)
def test_what_people_decided(uow, state, actors, since, decided):
    events = tuple(
        TicketEvent(at=T0, actor=actor, event="x", from_state=TicketState.NEW, to_state=state)
        for actor in actors
    )
    ticket = uow.tickets.open_unless_covered(a_ticket(state=state, events=events))
    track = a_track(ticket_id=ticket.ticket_id, last_seen=T0 + since)
    assert was_decided(uow, track, HOUR, 90 * DAY) is decided
    assert was_decided(uow, replace(track, ticket_id=None), HOUR, timedelta(days=90)) is False


def test_a_ticket_takes_only_news_and_only_so_many():
    track = a_track(
        evidence=tuple(
            Evidence(at=T0, origin=SignalOrigin.FORECAST, key=str(n), summary="") for n in range(3)
        )
    )
    known = Evidence(at=T0, origin=SignalOrigin.FORECAST, key="1", summary="other words")
    assert [each.key for each in with_news(a_ticket(evidence=(known,)), track).evidence] == ["1", "0", "2"]
    full = a_ticket(evidence=tuple(replace(known, key=f"k{n}") for n in range(19)))
    assert [each.key for each in with_news(full, track).evidence[18:]] == ["k18", "0"]
    linked = replace(track, ticket_id=TicketId(1))
    assert with_news(full, linked) is full


# --- forecasts and silence ---

BASIS = {
    "forecast_model": "test/1",
    "basis": "own_history",
    "data_age_days": 0.1,
    "as_of": T0.date().isoformat(),
}


def judged(*, supplies=(), life=(), failure=None) -> Signal:
    rows = DeviceForecasts(supplies=tuple(supplies), life=tuple(life), failure=failure)
    return signal_of(TENANT, DeviceId("d1"), rows, a_policy())


def test_a_forecast_of_a_supply():
    signal = judged(
        supplies=[a_supply_forecast("1.2", days=5.0)], life=[a_life_forecast(0.1, made_at=T0 + HOUR)]
    )
    assert signal == Signal(
        tenant=TENANT,
        device_id=DeviceId("d1"),
        observed_at=T0 + HOUR,
        origin=SignalOrigin.FORECAST,
        evidence=f"forecast:{(T0 + HOUR).isoformat()}",
        conditions=(
            Condition(
                cause="supply.1.2",
                level=L2,
                category="consumable",
                code="forecast:supply",
                detail={
                    "supply_index": "1.2",
                    "label": "black toner",
                    "kind": "toner",
                    "colour": "black",
                    "percent": 12.0,
                    "days_p10": 3.5,
                    "days_p50": 5.0,
                    "days_p90": 7.5,
                    **BASIS,
                },
            ),
        ),
        unknown=(),
    )


def test_a_supply_at_the_edge_of_well():
    clear = a_policy().replenishment.clear_at_days_left
    assert judged(supplies=[a_supply_forecast(days=clear, replenish=False)]).unknown == ("supply.1.1",)
    well = judged(supplies=[a_supply_forecast(days=clear + 0.01, replenish=False)])
    assert (well.conditions, well.unknown) == ((), ())


def test_the_life_of_a_device_is_a_proposal():
    row = replace(a_life_forecast(0.8123), days_to_replacement=Interval(10.0, 20.0, 40.0))
    days = {"days_p10": 10.0, "days_p50": 20.0, "days_p90": 40.0}
    assert judged(life=[row]).conditions == (
        Condition(
            cause="life.device",
            level=L1,
            category="replacement",
            code="forecast:life",
            detail={"component": "device", "used_percent": 81.2, **days, **BASIS},
        ),
    )


@pytest.mark.parametrize(
    ("share", "days", "due"),
    [(1.0, None, True), (0.99, None, False), (0.5, 0.0, True), (0.5, 0.01, False), (1.2, 0.01, True)],
)
def test_a_part_is_due_by_share_or_by_days(share, days, due):
    left = a_policy().life.part_ticket_days_left
    row = replace(
        a_life_forecast(share, "fuser"),
        days_to_replacement=None if days is None else Interval(1.0, left + days, 3.0 * left),
    )
    found = judged(life=[row]).conditions
    assert [(each.cause, each.level, each.category, each.code) for each in found] == (
        [("life.fuser", L2, "part", "forecast:life")] if due else []
    )


def test_a_risk_of_failure():
    row = FailureForecast(
        tenant=TENANT, device_id=DeviceId("d1"), component="fuser", p_fail_7d=0.3, p_fail_14d=0.616,
        visit_advised=True, provenance=a_life_forecast(0.1).provenance,
    )  # fmt: skip
    assert judged(failure=row).conditions == (
        Condition(
            cause="failure_risk.fuser",
            level=L3,
            category="failure_risk",
            code="forecast:failure",
            detail={"component": "fuser", "p_fail_7d": 0.3, "p_fail_14d": 0.616, "risk_percent": 62, **BASIS},
        ),
    )


@pytest.mark.parametrize(
    ("age", "at"), [(2, T0 - timedelta(days=2)), (0.5, T0 - 12 * HOUR), (None, T0), ("2", T0)]
)
def test_when_the_data_of_a_condition_was_made(age, at):
    assert data_at(a_condition(detail={"data_age_days": age}), T0) == at
    assert data_at(a_condition(detail={}), T0) == T0


def test_silence_as_a_signal():
    since = T0 - timedelta(hours=30, minutes=29)
    assert silence_signal(TENANT, DeviceId("d1"), since, T0, silent=True) == Signal(
        tenant=TENANT,
        device_id=DeviceId("d1"),
        observed_at=T0,
        origin=SignalOrigin.SILENCE,
        evidence=f"last_seen:{since.isoformat()}",
        conditions=(
            Condition(
                cause="silence",
                level=L1,
                category="silence",
                detail={"hours": 30, "last_seen": since.isoformat()},
            ),
        ),
    )
    back = silence_signal(TENANT, DeviceId("d1"), since, T0, silent=False)
    never = silence_signal(TENANT, DeviceId("d1"), None, T0, silent=True)
    assert (back.conditions, never.conditions, never.evidence) == ((), (), "last_seen:never")


def test_silence_begins_at_its_moment():
    policy = a_policy(a_triage_policy(silent_after=HOUR, silent_business_time=timedelta()))
    assert is_silent(policy, T0, T0 + HOUR)
    assert not is_silent(policy, T0, T0 + HOUR - MINUTE)
    assert not is_silent(policy, None, T0)
