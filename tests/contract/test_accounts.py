"""What guards the way in, on all stores: it holds across units of work and forgets what it should."""

from datetime import UTC, datetime, timedelta

import pytest

from crm_core.domain.accounts import SignInAlarm, SignInRecord, StoredAnswer
from crm_core.domain.identity import DEFAULT_TENANT, TenantId, UserId
from crm_core.domain.service import AccessToken, Role, User

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=30)


def test_failures_and_locks_are_kept_and_forgotten(uow_factory):
    record = SignInRecord(
        kind="account", subject="a" * 64, failures=(NOW, NOW + timedelta(seconds=1)), locked_until=NOW
    )
    with uow_factory() as uow:
        assert uow.accounts.sign_in_record("account", "a" * 64) == SignInRecord(
            kind="account", subject="a" * 64
        )
        uow.accounts.save_sign_in_record(record)
        uow.commit()
    with uow_factory() as uow:
        assert uow.accounts.sign_in_record("account", "a" * 64) == record
        assert uow.accounts.sign_in_record("address", "a" * 64).failures == ()
        uow.accounts.save_sign_in_record(SignInRecord(kind="account", subject="a" * 64))
        assert uow.accounts.sign_in_record("account", "a" * 64).failures == ()


def test_alarms_come_newest_first_and_stay_with_their_tenant(uow_factory):
    def alarm(tenant, subject):
        return SignInAlarm(
            tenant=tenant, alarm_id=0, kind="account", subject=subject, address="127.0.0.1", failures=10,
            raised_at=NOW, locked_until=NOW + timedelta(minutes=15),
        )  # fmt: skip

    with uow_factory() as uow:
        made = [uow.accounts.add_alarm(alarm(DEFAULT_TENANT, name)) for name in ("li", "wang")]
        uow.accounts.add_alarm(alarm(TenantId("rival"), "x"))
        uow.commit()
    with uow_factory() as uow:
        assert list(uow.accounts.alarms(DEFAULT_TENANT)) == made[::-1]
        assert list(uow.accounts.alarms(DEFAULT_TENANT, before=made[1].alarm_id)) == made[:1]
        assert list(uow.accounts.alarms(DEFAULT_TENANT, limit=1)) == made[1:]


def test_the_first_answer_stays_until_it_is_dropped_or_stale(uow_factory):
    first = StoredAnswer(key="k" * 64, fingerprint="f" * 64, at=NOW)
    with uow_factory() as uow:
        assert uow.accounts.begin_answer(first, LONG_AGO) is None
        uow.commit()
    again = StoredAnswer(key="k" * 64, fingerprint="0" * 64, at=NOW + timedelta(minutes=2))
    done = StoredAnswer(key="k" * 64, fingerprint="f" * 64, at=NOW, status=201, body=b"\x00\xff{}")
    with uow_factory() as uow:
        assert uow.accounts.begin_answer(again, LONG_AGO) == first
        assert uow.accounts.begin_answer(again, NOW + timedelta(minutes=1)) is None  # its process died
        uow.accounts.finish_answer(done)
        uow.commit()
    with uow_factory() as uow:
        assert (
            uow.accounts.begin_answer(again, NOW + timedelta(minutes=1)) == done
        )  # complete ones do not go stale
        uow.accounts.drop_answer("k" * 64)
        uow.accounts.drop_answer("absent")
        assert uow.accounts.begin_answer(again, LONG_AGO) is None


def test_old_rows_are_purged(uow_factory):
    with uow_factory() as uow:
        for number, at in enumerate((LONG_AGO, NOW)):
            uow.accounts.begin_answer(
                StoredAnswer(key=str(number) * 64, fingerprint="f" * 64, at=at), LONG_AGO
            )
            uow.accounts.save_sign_in_record(
                SignInRecord(kind="account", subject=str(number) * 64, failures=(at,))
            )
        assert uow.accounts.purge(NOW - timedelta(days=1), NOW - timedelta(days=1)) == 2
        assert uow.accounts.sign_in_record("account", "1" * 64).failures == (NOW,)
        assert uow.accounts.sign_in_record("account", "0" * 64).failures == ()


@pytest.mark.parametrize("customer", [None, "cust-1"])
def test_accounts_keep_their_customer_and_tokens_are_listed(uow_factory, customer):
    user = User(
        tenant=DEFAULT_TENANT, user_id=UserId("u-1"), name="li", role=Role.CUSTOMER, password_hash="x", customer_id=customer
    )  # fmt: skip
    tokens = [
        AccessToken(
            tenant=DEFAULT_TENANT, token_hash=letter * 64, user_id=UserId("u-1"), purpose=purpose, created_at=NOW + timedelta(hours=number),
            expires_at=NOW, name=letter, scopes=("read",),
        )
        for number, (letter, purpose) in enumerate((("b", "api"), ("a", "api"), ("c", "session")))
    ]  # fmt: skip
    with uow_factory() as uow:
        uow.users.save(user)
        for token in tokens:
            uow.users.save_token(token)
        uow.commit()
    with uow_factory() as uow:
        assert uow.users.get(DEFAULT_TENANT, "u-1") == user
        assert list(uow.users.tokens(DEFAULT_TENANT, "api")) == tokens[:2]
        assert list(uow.users.tokens(TenantId("rival"), "api")) == []


def test_the_newest_sign_in_of_each_person_is_kept(uow_factory):
    with uow_factory() as uow:
        for tenant, user, at in (
            (DEFAULT_TENANT, "li", LONG_AGO),
            (DEFAULT_TENANT, "li", NOW),
            (DEFAULT_TENANT, "wang", LONG_AGO),
            (TenantId("rival"), "li", LONG_AGO),
        ):
            uow.accounts.note_sign_in(tenant, user, at)
        uow.commit()
    with uow_factory() as uow:
        assert uow.accounts.last_sign_ins(DEFAULT_TENANT) == {"li": NOW, "wang": LONG_AGO}
        assert uow.accounts.last_sign_ins(TenantId("none")) == {}
