"""What stands before the work: locks after failed sign-ins, first answers for repeats, and limits on requests."""

from datetime import UTC, datetime, timedelta

import pytest

from api.idempotency import Answer, AnswerMemory, Key, key_of
from api.problem import Problem
from api.rate_limit import Buckets
from api.services import GuardSettings
from api.sign_in_guard import SignInGuard
from config.clock import VirtualClock
from crm_core.domain.identity import DEFAULT_TENANT
from crm_core.storage.memory import make_memory_uow_factory

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
SETTINGS = GuardSettings(attempts=3, window=timedelta(minutes=10), lock_out=timedelta(minutes=20))


@pytest.fixture
def clock():
    return VirtualClock(NOW)


@pytest.fixture
def factory():
    return make_memory_uow_factory()


def fail(guard, name="li", address="10.0.0.1", known=True):
    """Return the waiting time that was told; 0 when the attempt was let through (and then failed)."""
    wait = guard.admit(DEFAULT_TENANT, name, address)
    if wait == 0:
        guard.failed(DEFAULT_TENANT, name, address, known=known)
    return wait


def alarms(factory):
    with factory() as uow:
        return uow.accounts.alarms(DEFAULT_TENANT)


def test_repeated_failures_lock_and_raise_one_alarm(factory, clock):
    told = []
    guard = SignInGuard(factory, clock, SETTINGS, told.append)
    assert [fail(guard, name) for name in ("li", "LI", "Li")] == [0, 0, 0]
    assert told == ["account"]
    assert fail(guard) == 1200
    other = SignInGuard(factory, clock, SETTINGS)  # another process, or this one after a restart
    clock.advance(timedelta(minutes=19))
    assert fail(other, address="10.9.9.9") == 60
    [alarm] = alarms(factory)
    assert (alarm.subject, alarm.failures, alarm.locked_until - NOW) == ("Li", 3, timedelta(minutes=20))
    clock.advance(timedelta(minutes=1))
    assert fail(other) == 0
    assert len(alarms(factory)) == 1


def test_failures_outside_the_window_do_not_add_up(factory, clock):
    guard = SignInGuard(factory, clock, SETTINGS)
    for _ in range(9):
        assert fail(guard) == 0
        clock.advance(timedelta(minutes=5))
    assert alarms(factory) == []


def test_success_forgets_and_an_administrator_may_unlock(factory, clock):
    guard = SignInGuard(factory, clock, SETTINGS)
    fail(guard)
    fail(guard)
    assert guard.admit(DEFAULT_TENANT, "li", "10.0.0.1") == 0
    guard.succeeded(DEFAULT_TENANT, "li", "10.0.0.1")
    assert [fail(guard) for _ in range(4)][-1] > 0
    guard.unlock(DEFAULT_TENANT, "LI")
    assert fail(guard) == 0


def test_an_address_that_tries_many_names_is_locked_and_no_name_is_kept(factory, clock):
    guard = SignInGuard(factory, clock, SETTINGS)
    waits = [fail(guard, f"name-{number}", known=False) for number in range(16)]
    assert waits[:15] == [0] * 15
    assert waits[15] == 1200
    assert [(alarm.kind, alarm.subject) for alarm in alarms(factory)] == [("address", "10.0.0.1")]
    for _ in range(3):
        fail(guard, "my-password", "10.0.0.2", known=False)
    assert alarms(factory)[0].subject == "?"


def test_attempts_at_once_are_counted_before_they_fail(factory, clock):
    guard = SignInGuard(factory, clock, SETTINGS)
    admitted = [guard.admit(DEFAULT_TENANT, "li", "10.0.0.1") for _ in range(5)]
    assert [wait == 0 for wait in admitted] == [True, True, True, False, False]


def key(text="k", token="t"):
    headers = [(b"idempotency-key", text.encode()), (b"authorization", f"Bearer {token}".encode())]
    found = key_of({"type": "http", "method": "POST", "path": "/api/v1/tickets", "headers": headers})
    assert isinstance(found, Key)
    return found


def test_first_answers_hold_across_processes_and_failures_are_forgotten(factory, clock):
    memory, elsewhere = AnswerMemory(factory, clock), AnswerMemory(factory, clock)
    assert memory.begin(key(), "1" * 64) is None
    with pytest.raises(Problem, match="in_flight"):
        elsewhere.begin(key(), "1" * 64)
    memory.finish(key(), "1" * 64, Answer(500))
    assert elsewhere.begin(key(), "1" * 64) is None  # the server failed: the client may try again
    elsewhere.finish(key(), "1" * 64, Answer(201, [(b"etag", b"v1")], b"done"))
    assert memory.begin(key(), "1" * 64) == Answer(201, [(b"etag", b"v1")], b"done")
    with pytest.raises(Problem, match="key_reused"):
        memory.begin(key(), "2" * 64)
    assert memory.begin(key(token="other"), "2" * 64) is None
    clock.advance(timedelta(hours=24))
    assert memory.begin(key(), "2" * 64) is None


def test_who_reads_the_database_reads_no_answer(factory, clock):
    memory = AnswerMemory(factory, clock)
    memory.begin(key(), "1" * 64)
    memory.finish(key(), "1" * 64, Answer(201, [], b"a new token"))
    with factory() as uow:
        stored = uow.accounts.begin_answer(
            next(iter(uow.accounts._answers.rows.values())), NOW - timedelta(days=9)
        )
    assert stored is not None
    assert b"a new token" not in stored.body
    assert key().stored != key(token="u").stored


def test_a_bucket_gives_its_rate_and_no_more():
    now = [0.0]
    buckets = Buckets(60, 2.0, lambda: now[0])
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 1.0]
    assert buckets.take("b") == 0
    now[0] = 0.5
    assert buckets.take("a") == 0.5
    now[0] = 1.0
    assert buckets.take("a") == 0
    now[0] = 100.0
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 1.0]
