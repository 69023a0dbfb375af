"""Delivery: notices leave the outbox one claim at a time, however many processes deliver and whoever is killed.

A claim is durable before anything is sent and ends with the outcome in one statement; who lost the claim meanwhile
(a pause longer than the lease) writes nothing. What cannot be sent now waits twice as long each time; what never can be,
or was tried too often, is dead: kept, listed, and sent again when a person says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from crm_core.domain.errors import Conflict, DrumbeatError, InvalidValue
from crm_core.domain.identity import TenantId
from crm_core.domain.messages import Messages
from crm_core.domain.notices import Channel, Notice, NoticeState
from crm_core.domain.notices_policy import NoticesPolicy
from crm_core.domain.policy import PolicyBook
from crm_core.notices.addressing import due_again
from crm_core.notices.texts import composed
from crm_core.ports import Clock, Sender, UnitOfWorkFactory

_AT_ONCE: Final = 8
_MOST_IN_A_RUN: Final = 2_000
_ERROR_LENGTH: Final = 300


@dataclass(slots=True)
class DeliveryReport:
    """What one run did."""

    sent: int = 0
    again: int = 0
    dead: int = 0
    lost: int = 0  # claims that ran out while sending


class Deliverer:
    """Sends what is due. `holder` names this process in its claims; `time_zone` is that of texts."""

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        clock: Clock,
        policy: PolicyBook,
        messages: Messages,
        senders: Mapping[Channel, Sender],
        *,
        holder: str,
        time_zone: str,
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._messages = messages
        self._senders = senders
        self._holder = holder
        self._time_zone = time_zone

    def run(self) -> DeliveryReport:
        """Send all that is due now, oldest first; a receiver that fails holds back only its own."""
        report = DeliveryReport()
        while report.sent + report.again + report.dead + report.lost < _MOST_IN_A_RUN:
            taken = self._claim()
            if not taken:
                break
            for notice in taken:
                self._deliver(notice, report)
        return report

    def _claim(self) -> tuple[Notice, ...]:
        with self._uow_factory() as uow:
            taken = uow.notices.claim(self._holder, self._clock.now(), self._policy.notices.claim, _AT_ONCE)
            if taken:
                uow.commit()
        return tuple(taken)

    def _deliver(self, notice: Notice, report: DeliveryReport) -> None:
        if notice.claimed_until is not None and notice.claimed_until <= self._clock.now():
            report.lost += 1  # the notices before took so long that another process may have this one
            return
        outcome = self._outcome(notice)
        with self._uow_factory() as uow:
            if outcome.state is NoticeState.WAITING:
                due_at = due_again(uow, outcome, outcome.due_at, self._policy.notices, self._time_zone)
                outcome = replace(outcome, due_at=due_at)
            kept = uow.notices.settle(outcome, self._holder)
            uow.commit()
        report.lost += not kept
        report.sent += kept and outcome.state is NoticeState.SENT
        report.dead += kept and outcome.state is NoticeState.DEAD
        report.again += kept and outcome.state is NoticeState.WAITING

    def _outcome(self, notice: Notice) -> Notice:
        """Send, and return the notice as it is to be stored."""
        sender = self._senders.get(notice.channel)
        if sender is None:
            unset = InvalidValue(f"the channel {notice.channel} is not set up; see the section [notices]")
            return self._failed(notice, unset, final=True)
        try:
            sender.send(notice, *composed(notice, self._messages, self._time_zone))
        except InvalidValue as error:
            return self._failed(notice, error, final=True)
        except DrumbeatError as error:
            return self._failed(notice, error, final=notice.attempts >= self._policy.notices.attempts)
        return replace(notice, state=NoticeState.SENT, done_at=self._clock.now(), last_error="")

    def _failed(self, notice: Notice, error: DrumbeatError, *, final: bool) -> Notice:
        now, reason = self._clock.now(), str(error)[:_ERROR_LENGTH]
        if final:
            return replace(notice, state=NoticeState.DEAD, done_at=now, last_error=reason)
        return replace(
            notice, due_at=now + pause_after(notice.attempts, self._policy.notices), last_error=reason
        )


def pause_after(attempts: int, policy: NoticesPolicy) -> timedelta:
    """Return how long to wait after so many attempts (>= 1)."""
    pause = policy.first_retry
    for _ in range(min(attempts - 1, 30)):
        pause = min(2 * pause, policy.last_retry)
    return pause


def send_again(uow_factory: UnitOfWorkFactory, tenant: TenantId, notice_id: int, now: datetime) -> Notice:
    """Put a notice back into the outbox by a person's decision, as if it were new; `Conflict` if it still waits."""
    with uow_factory() as uow:
        notice = uow.notices.get(tenant, notice_id)
        if notice.state is NoticeState.WAITING:
            raise Conflict(f"notice {notice_id} waits to be sent already")
        if notice.state is NoticeState.RECORDED:
            raise Conflict(f"notice {notice_id} was never to be sent; it is a record")
        again = replace(
            notice, state=NoticeState.WAITING, attempts=0, due_at=now, done_at=None, last_error=""
        )
        uow.notices.save(again)
        uow.commit()
    return again
