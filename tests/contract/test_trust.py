"""The audit chain and personal fields hold their promises in every store."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import DBAPIError

from config.clock import VirtualClock
from crm_core.domain.actors import acting
from crm_core.domain.errors import Conflict, InvalidConfiguration, InvalidValue, NotFound
from crm_core.domain.service import Role
from crm_core.domain.trust import AuditNote, Subject, SubjectKind, chain_hash
from crm_core.domain.trust_policy import PersonalFieldRule, TrustPolicy
from crm_core.storage.trust.lock import AesPersonalLock, new_key
from crm_core.trust.personal import PersonalData
from tests.builders import T0, TENANT, a_customer

NUMBER = "11010519491231002X"
ANNA = Subject(SubjectKind.CUSTOMER, "anna")
POLICY = TrustPolicy(
    personal={
        "identity_number": PersonalFieldRule(
            shown_last=4, look_up=True, read_by=frozenset({Role.ADMIN, Role.MANAGER})
        ),
        "occupation": PersonalFieldRule(shown_last=0, look_up=False, read_by=frozenset({Role.ADMIN})),
    }
)


def personal_data(*keys):
    return PersonalData(
        AesPersonalLock(keys or (new_key(),)), SimpleNamespace(trust=POLICY), VirtualClock(T0)
    )


def test_a_field_is_stored_sealed_and_shown_by_role(uow_factory):
    data = personal_data()
    with uow_factory() as uow:
        data.put(uow, TENANT, ANNA, "identity_number", f" {NUMBER} ")
        data.put(uow, TENANT, ANNA, "occupation", "乐师")
        uow.commit()
    with uow_factory() as uow:
        stored = uow.trust.personal(TENANT, ANNA)
        assert [row.field for row in stored] == ["identity_number", "occupation"]
        assert all(NUMBER not in row.sealed and row.mark != NUMBER for row in stored)
        assert data.shown(uow, TENANT, ANNA) == {
            "identity_number": "**************002X",
            "occupation": "**",
        }
        assert data.shown(uow, TENANT, ANNA, Role.MANAGER) == {"identity_number": NUMBER, "occupation": "**"}
        assert data.shown(uow, TENANT, ANNA, Role.TECHNICIAN)["identity_number"].endswith("002X")


def test_an_exact_number_is_found_without_opening(uow_factory):
    data = personal_data()
    with uow_factory() as uow:
        data.put(uow, TENANT, ANNA, "identity_number", NUMBER)
        data.put(uow, TENANT, Subject(SubjectKind.CUSTOMER, "ben"), "identity_number", "110105194912310011")
        assert data.find(uow, TENANT, SubjectKind.CUSTOMER, "identity_number", "110105 19491231-002x") == (
            ANNA,
        )
        assert data.find(uow, TENANT, SubjectKind.CUSTOMER, "identity_number", "110105194912310") == ()
        assert data.find(uow, TENANT, SubjectKind.CONTACT, "identity_number", NUMBER) == ()
        with pytest.raises(InvalidValue, match="not kept for searches"):
            data.find(uow, TENANT, SubjectKind.CUSTOMER, "occupation", "乐师")


def test_new_keys_take_over_and_old_ones_can_go(uow_factory):
    old, new = new_key(), new_key()
    with uow_factory() as uow:
        personal_data(old).put(uow, TENANT, ANNA, "identity_number", NUMBER)
        uow.commit()
    both = personal_data(new, old)
    with uow_factory() as uow:
        assert both.find(uow, TENANT, SubjectKind.CUSTOMER, "identity_number", NUMBER) == (ANNA,)
        assert both.move_to_newest_key(uow) == 1
        assert both.move_to_newest_key(uow) == 0
        uow.commit()
    alone = personal_data(new)
    with uow_factory() as uow:
        assert alone.shown(uow, TENANT, ANNA, Role.ADMIN) == {"identity_number": NUMBER}
        assert alone.find(uow, TENANT, SubjectKind.CUSTOMER, "identity_number", NUMBER) == (ANNA,)
        with pytest.raises(InvalidConfiguration, match="not among the keys"):
            personal_data(old).shown(uow, TENANT, ANNA)


def test_a_sealed_text_opens_only_in_its_place(uow_factory):
    data = personal_data()
    with uow_factory() as uow:
        data.put(uow, TENANT, ANNA, "identity_number", NUMBER)
        (row,) = uow.trust.personal(TENANT, ANNA)
        uow.trust.save_personal(type(row)(**{**_fields(row), "subject_id": "ben"}))
        with pytest.raises(Conflict, match="changed or moved"):
            data.shown(uow, TENANT, Subject(SubjectKind.CUSTOMER, "ben"), Role.ADMIN)


def _fields(row):
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def test_reading_a_number_is_kept_in_the_chain(uow_factory):
    data = personal_data()
    with acting("user:u-1"), uow_factory() as uow:
        data.put(uow, TENANT, ANNA, "identity_number", NUMBER)
        assert data.reveal(uow, TENANT, ANNA, "identity_number", "court order 7") == NUMBER
        uow.commit()
        newest = uow.trust.newest_events(TENANT, limit=1)[0]
        with pytest.raises(NotFound):
            data.reveal(uow, TENANT, ANNA, "occupation", "curiosity")
    assert (newest.actor, newest.action, newest.object_id) == ("user:u-1", "personal.revealed", "anna")
    assert newest.changed == "identity_number: court order 7"


def test_erased_is_erased(uow_factory):
    data = personal_data()
    with uow_factory() as uow:
        data.put(uow, TENANT, ANNA, "identity_number", NUMBER)
        data.put(uow, TENANT, ANNA, "occupation", "乐师")
        data.put(uow, TENANT, ANNA, "occupation", "")
        assert data.remove(uow, TENANT, ANNA) == 1
        uow.commit()
        assert data.shown(uow, TENANT, ANNA) == {}
        assert uow.trust.personal_by_key() == {}


@pytest.mark.parametrize("value", ["x" * 401, "1\n2", "1\x002"])
def test_a_value_that_is_no_number_is_refused(uow_factory, value):
    with uow_factory() as uow, pytest.raises(InvalidValue):
        personal_data().put(uow, TENANT, ANNA, "identity_number", value)


def test_notes_are_chained_in_order(uow_factory):
    with uow_factory() as uow:
        for number in range(3):
            uow.trust.note(
                AuditNote(tenant=TENANT, action="policy.applied", kind="policy", object_id=str(number))
            )
        uow.commit()
    with uow_factory() as uow:
        uow.trust.note(AuditNote(tenant=TENANT, action="lost", kind="policy", object_id="9"))
    with uow_factory() as uow:
        events = uow.trust.events(TENANT, 0, 10)
        head = uow.trust.head(TENANT)
    assert [(each.number, each.object_id) for each in events] == [(1, "0"), (2, "1"), (3, "2")]
    assert all(each.chain == chain_hash(each) for each in events)
    assert [each.previous for each in events[1:]] == [each.chain for each in events[:-1]]
    assert (head.number, head.chain) == (3, events[-1].chain)


def test_every_change_of_a_customer_is_an_event(uow_factory, request):
    if "memory" in request.node.callspec.id:
        pytest.skip("by design: rows in memory are not watched: simulations have no auditor")
    with acting("user:u-7"), uow_factory() as uow:
        uow.customers.save(a_customer())
        uow.customers.save(a_customer())  # nothing changes: no event
        uow.commit()
        uow.customers.save(replace(a_customer(), name="Renamed", phone="021-1"))
        uow.commit()
    with uow_factory() as uow:
        uow.customers.save(replace(a_customer(), name="Rolled back"))
    with uow_factory() as uow:
        made, changed = uow.trust.events(TENANT, 0, 10)
    assert (made.action, made.kind, made.actor, made.before) == ("insert", "customers", "user:u-7", "")
    assert (changed.action, changed.changed, changed.before) == ("update", "name,phone", made.after)
    assert "Renamed" not in repr((made, changed))


def test_the_database_refuses_to_change_the_chain(uow_factory, request):
    if "memory" in request.node.callspec.id:
        pytest.skip("by design: memory has no tables")
    with uow_factory() as uow:
        uow.trust.note(AuditNote(tenant=TENANT, action="a", kind="b", object_id="c"))
        uow.commit()
    for statement in ("UPDATE audit_events SET actor = 'x'", "DELETE FROM audit_events"):
        with uow_factory() as uow, pytest.raises(DBAPIError, match="append-only"):
            uow._connection.exec_driver_sql(statement)
