"""The outbox of notices on every store: one row for one key, one holder for one claim, order within a subject."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from crm_core.domain.errors import NotFound
from crm_core.domain.notices import (
    Channel,
    EscalationNote,
    Notice,
    NoticeState,
    Receiver,
    ReceiverKind,
    Webhook,
)
from crm_core.domain.service import ClockKind
from crm_core.domain.sla import EscalationStep
from tests.builders import T0, TENANT

LEASE = timedelta(minutes=2)


def a_notice(key: str = "k1", **changes: object) -> Notice:
    fields: dict[str, object] = {
        "tenant": TENANT,
        "unique_key": key,
        "channel": Channel.MAIL,
        "receiver_kind": ReceiverKind.CUSTOMER,
        "receiver_id": "c1",
        "address": "a@example.org",
        "topic": "ticket.new",
        "subject": "ticket:1",
        "text_key": "notices.ticket",
        "created_at": T0,
        "due_at": T0,
        "arguments": {"number": "T-000001", "cost": None},
        **changes,
    }
    return Notice(**fields)


def added(uow_factory, *notices):
    with uow_factory() as uow:
        new = uow.notices.add(notices)
        uow.commit()
    return new


def claimed(uow_factory, holder="a", at=T0, limit=10):
    with uow_factory() as uow:
        taken = uow.notices.claim(holder, at, LEASE, limit)
        uow.commit()
    return list(taken)


def test_a_key_is_one_notice(uow_factory):
    assert added(uow_factory, a_notice(), a_notice(), a_notice("k2")) == 2
    assert added(uow_factory, a_notice("k2"), a_notice("k3")) == 1
    with uow_factory() as uow:
        assert [each.unique_key for each in uow.notices.list(TENANT)] == ["k3", "k2", "k1"]
        first = uow.notices.list(TENANT)[-1]
        assert first == replace(a_notice(), notice_id=first.notice_id)
        assert uow.notices.get(TENANT, first.notice_id) == first
        with pytest.raises(NotFound):
            uow.notices.get(TENANT, 999)


def test_a_claim_has_one_holder_until_it_ends_or_runs_out(uow_factory):
    added(uow_factory, a_notice())
    (mine,) = claimed(uow_factory, "a")
    assert (mine.attempts, mine.claimed_by) == (1, "a")
    assert claimed(uow_factory, "b") == []
    later = T0 + LEASE
    (theirs,) = claimed(uow_factory, "b", later)  # "a" was killed, or slept too long
    with uow_factory() as uow:
        assert not uow.notices.settle(replace(mine, state=NoticeState.SENT), "a")
        assert uow.notices.settle(replace(theirs, state=NoticeState.SENT, done_at=later), "b")
        uow.commit()
    assert claimed(uow_factory, "a", later + LEASE) == []
    with uow_factory() as uow:
        assert uow.notices.get(TENANT, mine.notice_id).state is NoticeState.SENT


def test_what_is_not_due_waits(uow_factory):
    added(uow_factory, a_notice(due_at=T0 + timedelta(hours=1)), a_notice("k2", state=NoticeState.RECORDED))
    assert claimed(uow_factory) == []
    assert len(claimed(uow_factory, at=T0 + timedelta(hours=1))) == 1


def test_the_order_of_a_subject_is_kept_and_others_pass(uow_factory):
    added(
        uow_factory,
        a_notice("1", ordering_key="ticket:1", due_at=T0 + timedelta(minutes=1)),
        a_notice("2", ordering_key="ticket:1"),
        a_notice("3", ordering_key="ticket:2"),
        a_notice("4", ordering_key="ticket:1", address="b@example.org"),
    )
    assert [each.unique_key for each in claimed(uow_factory)] == ["3", "4"]
    later = T0 + timedelta(minutes=1)
    (first,) = claimed(uow_factory, at=later)
    assert first.unique_key == "1"
    with uow_factory() as uow:  # a dead one does not hold back what follows for ever
        uow.notices.settle(replace(first, state=NoticeState.DEAD), "a")
        uow.commit()
    assert "2" in [each.unique_key for each in claimed(uow_factory, at=later)]


def test_eight_threads_claim_each_notice_once(uow_factory):
    added(uow_factory, *(a_notice(str(number)) for number in range(200)))
    taken: list[int] = []

    def work(holder: str) -> None:
        while found := claimed(uow_factory, holder, limit=7):
            taken.extend(each.notice_id for each in found)

    threads = [threading.Thread(target=work, args=(f"node-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 200


def test_lists_and_depth(uow_factory):
    added(
        uow_factory,
        a_notice("1", due_at=T0 + timedelta(minutes=1)),
        a_notice("2", channel=Channel.SMS, subject="ticket:2"),
        a_notice("3", state=NoticeState.DEAD),
        a_notice("4", receiver_kind=ReceiverKind.USER, receiver_id="u1"),
    )
    with uow_factory() as uow:

        def keys(**which):
            return [each.unique_key for each in uow.notices.list(TENANT, **which)]

        assert keys(states=(NoticeState.DEAD,)) == ["3"]
        assert keys(channel=Channel.SMS) == ["2"]
        assert keys(subject="ticket:2") == ["2"]
        assert keys(receiver=(ReceiverKind.USER, "u1")) == ["4"]
        newest = uow.notices.list(TENANT)[0].notice_id
        assert keys(before=newest, limit=2) == ["3", "2"]
        depth = uow.notices.depth(TENANT)
        assert (depth.waiting, depth.dead, depth.oldest_due_at) == (3, 1, T0)


def test_receivers_and_programs(uow_factory):
    receiver = Receiver(
        tenant=TENANT,
        kind=ReceiverKind.CUSTOMER,
        receiver_id="c1",
        addresses=((Channel.SMS, "138"), (Channel.MAIL, "a@example.org")),
        quiet_from=1260,
        quiet_to=480,
        muted=("ticket.new",),
    )
    hook = Webhook(
        tenant=TENANT, url="https://example.org/h", secret="s" * 32, events=("ticket.*",), created_at=T0, created_by="x"
    )  # fmt: skip
    with uow_factory() as uow:
        assert uow.notices.receiver(TENANT, ReceiverKind.CUSTOMER, "c1") is None
        uow.notices.save_receiver(receiver)
        saved = uow.notices.save_webhook(hook)
        uow.notices.save_webhook(replace(saved, active=False))
        with pytest.raises(NotFound):
            uow.notices.save_webhook(replace(saved, webhook_id=77))
        uow.commit()
    with uow_factory() as uow:
        assert uow.notices.receiver(TENANT, ReceiverKind.CUSTOMER, "c1") == receiver
        assert list(uow.notices.receivers(TENANT)) == [receiver]
        assert list(uow.notices.webhooks(TENANT)) == [replace(saved, active=False)]


def test_escalations_are_told_once_and_scheduled(uow_factory):
    note = EscalationNote(
        tenant=TENANT, ticket_id=1, clock=ClockKind.RESTORE, step=EscalationStep.DISPATCHER,
        reached_at=T0, told_at=T0, told=("Li",),
    )  # fmt: skip
    hour = timedelta(hours=1)
    with uow_factory() as uow:
        assert uow.notices.note_escalation(note)
        assert not uow.notices.note_escalation(replace(note, told=("Wang",)))
        assert list(uow.notices.escalations(TENANT, 1)) == [note]
        uow.notices.schedule_escalations(TENANT, {1: T0 + hour, 2: T0, 3: T0 + 2 * hour})
        uow.notices.schedule_escalations(TENANT, {1: T0 + 3 * hour, 2: None})
        assert uow.notices.next_escalation(TENANT) == T0 + 2 * hour
        assert list(uow.notices.due_escalations(TENANT, T0 + 3 * hour, 10)) == [3, 1]
        uow.notices.schedule_escalations(TENANT, {1: None, 3: None})
        assert uow.notices.next_escalation(TENANT) is None
