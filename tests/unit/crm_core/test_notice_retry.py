"""A notice that failed is tried again, but nobody's telephone rings at night for it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from config.locale_files import load_messages
from crm_core.domain.errors import DrumbeatError
from crm_core.domain.notices import Channel, Notice, NoticeState, Receiver, ReceiverKind
from crm_core.notices.delivery import Deliverer
from tests.builders import TENANT
from tests.policies import a_policy
from tests.unit.crm_core.desk import Desk

EVENING = datetime(
    2026, 3, 2, 12, 59, 50, tzinfo=UTC
)  # 20:59:50 in Shanghai; the policy's quiet hours begin at 21:00
MORNING = datetime(2026, 3, 3, 0, 0, tzinfo=UTC)
CUSTOMER, TECHNICIAN = ReceiverKind.CUSTOMER, ReceiverKind.TECHNICIAN


class BadLine:
    """A channel that is down."""

    def send(self, notice: Notice, title: str, text: str) -> None:
        raise DrumbeatError("the line is busy")


def tried_again(at: datetime, kind: ReceiverKind, quiet: tuple[int, int] | None) -> datetime:
    """Return when a notice that fails at `at` is due again."""
    desk = Desk()
    desk.clock.move_to(at)
    with desk.uow_factory() as uow:
        if quiet is not None:
            asked = Receiver(
                tenant=TENANT, kind=kind, receiver_id="r1", quiet_from=quiet[0], quiet_to=quiet[1]
            )
            uow.notices.save_receiver(asked)
        made = Notice(
            tenant=TENANT, unique_key="n1", channel=Channel.SMS, receiver_kind=kind, receiver_id="r1", address="1",
            topic="ticket.raised", subject="ticket:1", text_key="notices.ticket.raised", created_at=at, due_at=at,
        )  # fmt: skip
        uow.notices.add([made])
        uow.commit()
    senders: Mapping[Channel, BadLine] = {Channel.SMS: BadLine()}
    deliverer = Deliverer(
        desk.uow_factory,
        desk.clock,
        a_policy(),
        load_messages(),
        senders,
        holder="h",
        time_zone="Asia/Shanghai",
    )
    assert deliverer.run().again == 1
    with desk.uow_factory() as uow:
        (kept,) = uow.notices.list(TENANT)
    assert kept.state is NoticeState.WAITING
    return kept.due_at


@pytest.mark.parametrize(
    ("at", "kind", "quiet", "due"),
    [
        (EVENING, CUSTOMER, None, MORNING),
        (EVENING, CUSTOMER, (0, 0), None),
        (EVENING, TECHNICIAN, None, None),
        (EVENING, TECHNICIAN, (1260, 420), MORNING - timedelta(hours=1)),
        (EVENING - timedelta(hours=6), CUSTOMER, None, None),
    ],
)
def test_a_second_try_waits_for_the_end_of_the_night(
    at: datetime, kind: ReceiverKind, quiet: tuple[int, int] | None, due: datetime | None
) -> None:
    assert tried_again(at, kind, quiet) == (due or at + a_policy().notices.first_retry)
