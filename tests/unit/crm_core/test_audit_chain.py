"""The audit chain shows one changed byte, one missing row, a tail that was cut, and a chain that was written anew."""

import re
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.clock import VirtualClock
from crm_core.domain.trust import AuditEvent, AuditNote, ChainHead, chain_hash, next_event
from crm_core.storage.sqlalchemy_uow import make_uow_factory, migrate
from crm_core.storage.trust.lock import AesPersonalLock, new_key
from crm_core.trust.chain import make_anchor, verify_chain
from tests.builders import T0, TENANT

LOCK = AesPersonalLock([new_key()])


@pytest.fixture
def chain(tmp_path):
    """Return file, factory and an anchor of a chain of twelve events, anchored at the eighth."""
    file = tmp_path / "crm.db"
    migrate(f"sqlite:///{file}")
    factory = make_uow_factory(f"sqlite:///{file}", clock=VirtualClock(T0))
    anchor = None
    for number in range(12):
        with factory() as uow:
            uow.trust.note(AuditNote(tenant=TENANT, action="a", kind="tickets", object_id=str(number)))
            uow.commit()
            if number == 7:
                anchor = make_anchor(LOCK, uow.trust.head(TENANT), T0)
    yield file, factory, anchor
    factory.close()


def tampered(file, *statements):
    with closing(sqlite3.connect(file)) as connection, connection:
        for name in ("audit_events_no_update", "audit_events_no_delete"):
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert connection.execute(statement).rowcount >= 1


def problems(factory, *anchors):
    return verify_chain(factory, TENANT, anchors, LOCK).problems


def test_a_whole_chain_is_whole(chain):
    _, factory, anchor = chain
    report = verify_chain(factory, TENANT, [anchor], LOCK)
    assert (report.events, report.anchors, report.problems, report.whole) == (12, 1, (), True)


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("UPDATE audit_events SET actor = 'dRumbeat' WHERE number = 5", "event 5 .* was changed"),
        ("UPDATE audit_events SET object_id = '6' WHERE number = 12", "event 12 .* was changed"),
        ("DELETE FROM audit_events WHERE number = 5", "events 5 are missing"),
        ("DELETE FROM audit_events WHERE number IN (5, 6)", "events 5 to 6 are missing"),
        ("DELETE FROM audit_events WHERE number = 1", "events 1 are missing"),
        ("DELETE FROM audit_events WHERE number = 12", "the end is missing: 12 events were written"),
        ("UPDATE audit_heads SET chain = 'x'", "last event is not the one"),
    ],
)
def test_what_was_changed_shows(chain, statement, shown):
    file, factory, _ = chain
    tampered(file, statement)
    assert any(re.search(shown, problem) for problem in problems(factory))


def test_a_cut_tail_shows_by_the_anchor_even_when_the_head_was_mended(chain):
    file, factory, anchor = chain
    with factory() as uow:
        fifth = uow.trust.events(TENANT, 4, 1)[0]
    tampered(
        file,
        "DELETE FROM audit_events WHERE number > 5",
        f"UPDATE audit_heads SET number = 5, chain = '{fifth.chain}'",
    )
    assert problems(factory) == ()  # nothing inside the database tells it
    assert problems(factory, anchor) == ("the end is missing: 8 events were anchored, 5 are there",)


def test_a_chain_written_anew_does_not_fit_its_anchor(chain):
    file, factory, anchor = chain
    with factory() as uow:
        events = uow.trust.events(TENANT, 0, 100)
    head, statements = None, []
    for event in events:
        placed = next_event(head, replace(event, actor="nobody" if event.number == 2 else event.actor))
        head = ChainHead(tenant=TENANT, number=placed.number, chain=placed.chain)
        statements.append(
            f"UPDATE audit_events SET actor='{placed.actor}', previous='{placed.previous}', chain='{placed.chain}' "
            f"WHERE number={placed.number}"
        )
    tampered(file, *statements, f"UPDATE audit_heads SET chain='{head.chain}'")
    assert problems(factory) == ()
    assert "event 8 is not the one that was anchored" in problems(factory, anchor)[0]


def test_an_anchor_that_was_changed_shows(chain):
    _, factory, anchor = chain
    assert "was changed" in problems(factory, replace(anchor, number=7))[-1]
    foreign = make_anchor(
        AesPersonalLock([new_key()]), ChainHead(tenant=TENANT, number=8, chain=anchor.chain), T0
    )
    assert "its key is gone" in problems(factory, foreign)[-1]


EVENT = AuditEvent(
    tenant=TENANT,
    number=7,
    at=T0,
    actor="user:u-1",
    action="update",
    kind="tickets",
    object_id="42",
    changed="state",
    before="a" * 64,
    after="b" * 64,
    previous="c" * 64,
    chain="",
)
TEXTS = ("tenant", "actor", "action", "kind", "object_id", "changed", "before", "after", "previous")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TEXTS), st.text(max_size=8))
def test_every_byte_of_an_event_is_in_its_hash(field, text):
    changed = replace(EVENT, **{field: text})
    assert (chain_hash(changed) == chain_hash(EVENT)) == (changed == EVENT)


def test_text_does_not_flow_from_one_field_into_the_next():
    assert chain_hash(replace(EVENT, actor="ab", action="c")) != chain_hash(
        replace(EVENT, actor="a", action="bc")
    )
