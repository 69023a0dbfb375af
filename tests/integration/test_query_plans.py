"""The questions that are asked for every signal are answered by an index, however many tickets there are.

SQLite uses a partial index only when the query words the condition as the index does; a plan that scans shows nothing in
a small test and makes a storm of alarms quadratic.
"""

import pytest
from sqlalchemy import event

from crm_core.dispatching import Dispatcher
from crm_core.escalation import EscalationSchedule
from crm_core.storage.sqlalchemy_uow import SqlUnitOfWorkFactory, make_engine, migrate
from crm_core.triage import Triage
from tests.builders import T0, TENANT, ManualClock, a_condition, a_signal, a_small_fleet
from tests.policies import L2, a_book, a_catalogue, a_policy

FULL_SEARCH = {
    "SCAN tickets", "SCAN work_orders", "SCAN work_order_tickets", "SCAN signals", "SCAN notices",
    "SCAN escalations", "SCAN escalation_due",
}  # fmt: skip


def only_by_tenant(step: str) -> bool:
    """Return True for an index that narrows nothing: a firm's own database has one tenant."""
    return step.startswith("SEARCH tickets") and step.endswith("(tenant=?)")


@pytest.fixture
def asked(tmp_path):
    """Give a factory over SQLite, and the statements with their arguments as they are sent."""
    url = f"sqlite:///{tmp_path}/crm.db"
    migrate(url)
    engine = make_engine(url)
    statements: dict[str, object] = {}

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, parameters, _context, many):
        statements[statement] = parameters[0] if many else parameters

    factory = SqlUnitOfWorkFactory(engine, audited=False)
    yield factory, engine, statements
    factory.close()


def test_no_question_of_a_signal_reads_all_tickets(asked):
    factory, engine, statements = asked
    policy, clock = a_policy(), ManualClock(T0)
    factory.on_commit(EscalationSchedule(policy))
    a_small_fleet(factory, devices=3)
    triage = Triage(factory, clock, policy, a_book(), a_catalogue())
    supply = {"supply_index": "1.1", "kind": "toner", "colour": "black", "label": "x"}
    for number, condition in enumerate(
        [a_condition("fault.a"), a_condition("supply.1.1", L2, detail=supply), a_condition("jam.any")]
    ):
        with factory() as uow:
            uow.signals.append([a_signal(condition, at=T0, device_id=f"d{number + 1}")])
            uow.commit()
    statements.clear()
    clock.advance(minutes=1)
    triage.run()
    Dispatcher(factory, clock, policy, a_catalogue(), a_book()).dispatch(TENANT)
    asked_of = {
        key: value for key, value in statements.items() if key.startswith(("SELECT", "UPDATE", "DELETE"))
    }
    assert any("tickets.dedup_key = ?" in each for each in asked_of)
    scans = []
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        for statement, parameters in asked_of.items():
            steps = [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            scans += [(step, statement) for step in steps if step in FULL_SEARCH or only_by_tenant(step)]
    assert scans == []
