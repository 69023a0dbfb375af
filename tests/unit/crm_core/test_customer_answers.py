"""A customer's answers to proposals: a no rests through every night, a yes is answered once, the desk hears of both."""

from decimal import Decimal

import pytest

from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.money import Money
from crm_core.domain.notices import ReceiverKind
from crm_core.domain.service import Role, TicketState, User, WorkOrderState
from crm_core.fieldwork.proposals import Proposals, may_answer
from crm_core.notices.addressing import Addressing
from crm_core.notices.announcing import Announcer
from crm_core.ticket_states import Move
from tests.builders import TENANT, a_life_forecast
from tests.unit.crm_core.desk import Desk


class Asked(Desk):
    """A desk whose only machine has used 85 % of its design life."""

    def __init__(self) -> None:
        super().__init__()
        self.uow_factory.on_commit(
            Announcer(Addressing(self.policy), self.clock, lambda _uow, _ticket: Money(Decimal(0)))
        )
        self.proposals = Proposals(self.uow_factory, self.clock, self.policy)
        self.night()

    def night(self) -> None:
        with self.uow_factory() as uow:
            uow.forecasts.save_all([a_life_forecast(0.85, made_at=self.clock.now())])
            uow.commit()
        self.triage.consider_forecasts(TENANT)
        self.servicedesk.close_settled(TENANT)

    def told(self, topic):
        with self.uow_factory() as uow:
            return [row for row in uow.notices.list(TENANT) if row.topic == topic]


def test_a_no_is_not_asked_again_before_the_rest_is_over():
    desk = Asked()
    desk.proposals.decline(TENANT, desk.ticket().ticket_id, actor="wang", note="works well")
    for _ in range(89):
        desk.later(days=1)
        desk.night()
    assert len(desk.tickets()) == 1
    assert not desk.ticket().is_open
    desk.later(days=2)
    desk.night()
    assert [each.is_open for each in desk.tickets()] == [False, True]


@pytest.mark.parametrize(
    "moves", [(), (Move.ACKNOWLEDGE,), (Move.WAIT_CUSTOMER,), (Move.ACKNOWLEDGE, Move.PROPOSE)]
)
def test_a_no_ends_the_talk_wherever_it_stands(moves):
    desk = Asked()
    for move in moves:
        desk.servicedesk.move(TENANT, desk.ticket().ticket_id, move, actor="li")
    declined = desk.proposals.decline(TENANT, desk.ticket().ticket_id, actor="wang", note="no")
    assert declined.state is TicketState.RESOLVED
    assert not may_answer(declined)


def test_a_planned_talk_is_taken_off_and_one_that_has_begun_is_not():
    desk = Asked()
    desk.dispatcher.dispatch(TENANT)
    (order,) = desk.orders()
    desk.proposals.decline(TENANT, desk.ticket().ticket_id, actor="wang", note="no")
    assert desk.orders()[-1].state is WorkOrderState.CANCELLED
    begun = Asked()
    begun.dispatcher.dispatch(TENANT)
    begun.servicedesk.depart(TENANT, begun.orders()[-1].work_order_id, actor="t1")
    with pytest.raises(Conflict, match="begun"):
        begun.proposals.decline(TENANT, begun.ticket().ticket_id, actor="wang", note="no")
    assert order.work_order_id


def test_a_yes_is_told_to_the_desk_and_stands():
    desk = Asked()
    with desk.uow_factory() as uow:
        for name, role in (("dora", Role.DISPATCHER), ("max", Role.MANAGER)):
            uow.users.save(User(tenant=TENANT, user_id=name, name=name, role=role, password_hash=""))
        uow.commit()
    asked = desk.ticket()
    with pytest.raises(Conflict, match="meanwhile"):
        desk.proposals.accept(TENANT, asked.ticket_id, actor="wang", expected_version=asked.version + 1)
    desk.proposals.accept(TENANT, asked.ticket_id, actor="wang", note="A3 please")
    told = desk.told("ticket.replacement_wanted")
    assert [
        (row.receiver_kind, row.receiver_id) for row in told if row.receiver_kind is ReceiverKind.USER
    ] == [(ReceiverKind.USER, "dora")]
    assert told[0].arguments["note"] == "A3 please"
    with pytest.raises(Conflict, match="no proposal"):
        desk.proposals.decline(TENANT, asked.ticket_id, actor="wang", note="rather not")


def test_a_no_needs_its_reason():
    desk = Asked()
    with pytest.raises(InvalidValue, match="why"):
        desk.proposals.decline(TENANT, desk.ticket().ticket_id, actor="wang", note=" ")
    assert desk.ticket().is_open
