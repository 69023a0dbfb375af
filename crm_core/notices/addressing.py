"""Addressing: from somebody who must hear of something to a notice with channel, address, language and hour.

People come first with what they asked for (`Receiver`), then with what the customer's file says. Who cannot be reached
over any channel that is set up finds the message on the own pages: it is recorded, not lost.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from crm_core.domain.identity import TenantId
from crm_core.domain.notices import Channel, Notice, NoticeState, NoticeValue, Receiver, ReceiverKind
from crm_core.domain.notices_policy import NoticesPolicy
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import Ticket
from crm_core.ports import UnitOfWork

Addressee = tuple[TenantId, ReceiverKind, str]


@dataclass(frozen=True, slots=True)
class Addressing:
    """Makes notices under one policy. `channels` are those that are set up; `time_zone` is the firm's own."""

    policy: PolicyBook
    channels: Collection[Channel] = ()
    time_zone: str = "Asia/Shanghai"

    def notice(
        self,
        uow: UnitOfWork,
        tenant: TenantId,
        kind: ReceiverKind,
        receiver_id: str,
        *,
        unique_key: str,
        topic: str,
        subject: str,
        text_key: str,
        arguments: Mapping[str, NoticeValue],
        now: datetime,
        known: dict[Addressee, Receiver] | None = None,
    ) -> Notice:
        """Return the notice for one receiver; nothing is stored. `known` keeps receivers for further notices."""
        addressee = (tenant, kind, receiver_id)
        receiver = known.get(addressee) if known is not None else None
        if receiver is None:
            receiver = self.receiver(uow, *addressee)
        if known is not None:
            known[addressee] = receiver
        channel, address = self._way(receiver, topic)
        sent = channel is not Channel.PORTAL
        return Notice(
            tenant=tenant,
            unique_key=unique_key,
            channel=channel,
            receiver_kind=kind,
            receiver_id=receiver_id,
            address=address,
            topic=topic,
            subject=subject,
            text_key=text_key,
            created_at=now,
            due_at=after_quiet(receiver, now) if sent else now,
            language=receiver.language,
            arguments=dict(arguments),
            ordering_key=subject if sent else "",
            state=NoticeState.WAITING if sent else NoticeState.RECORDED,
            done_at=None if sent else now,
        )

    def receiver(self, uow: UnitOfWork, tenant: TenantId, kind: ReceiverKind, receiver_id: str) -> Receiver:
        """Return how somebody wants to be told: the own wishes, or what the files know of them."""
        asked = uow.notices.receiver(tenant, kind, receiver_id)
        if asked is not None:
            return asked
        addresses: list[tuple[Channel, str]] = []
        language, quiet = "zh-CN", (0, 0)
        if kind is ReceiverKind.CUSTOMER:
            customer = uow.customers.get(tenant, receiver_id)
            language, quiet = (
                customer.language,
                (self.policy.notices.quiet_from, self.policy.notices.quiet_to),
            )
            addresses += [(Channel.MAIL, customer.email)] if customer.email else []
            addresses += [(Channel.SMS, customer.phone)] if customer.phone else []
        elif kind is ReceiverKind.TECHNICIAN:
            technician = uow.technicians.get(tenant, receiver_id)
            addresses += [(Channel.SMS, technician.phone)] if technician.phone else []
        elif kind is ReceiverKind.USER:
            language = uow.users.get(tenant, receiver_id).language
        return Receiver(
            tenant=tenant,
            kind=kind,
            receiver_id=receiver_id,
            addresses=tuple(addresses),
            language=language,
            time_zone=self.time_zone,
            quiet_from=quiet[0],
            quiet_to=quiet[1],
        )

    def _way(self, receiver: Receiver, topic: str) -> tuple[Channel, str]:
        """Return the first address whose channel is set up; the own pages when there is none, or the topic is muted."""
        if not any(topic == muted or topic.startswith(f"{muted}.") for muted in receiver.muted):
            for channel, address in receiver.addresses:
                if channel in self.channels:
                    return channel, address
        return Channel.PORTAL, ""

    def about(self, ticket: Ticket) -> dict[str, NoticeValue]:
        """Return what a text needs to name a ticket in any language."""
        return {
            "title_key": ticket.title_key,
            "detail": json.dumps(ticket.detail, ensure_ascii=False, sort_keys=True),
            "level": ticket.level.value,
            "device": ticket.device_id,
        }


def due_again(
    uow: UnitOfWork, notice: Notice, at: datetime, policy: NoticesPolicy, time_zone: str
) -> datetime:
    """Return when a notice that failed may be tried again: at `at`, or after its receiver's quiet hours."""
    asked = uow.notices.receiver(notice.tenant, notice.receiver_kind, notice.receiver_id)
    if asked is not None:
        return after_quiet(asked, at)
    if notice.receiver_kind is not ReceiverKind.CUSTOMER:
        return at
    usual = Receiver(
        tenant=notice.tenant,
        kind=notice.receiver_kind,
        receiver_id=notice.receiver_id,
        addresses=(),
        language=notice.language,
        time_zone=time_zone,
        quiet_from=policy.quiet_from,
        quiet_to=policy.quiet_to,
    )
    return after_quiet(usual, at)


def after_quiet(receiver: Receiver, now: datetime) -> datetime:
    """Return `now`, or the end of the receiver's quiet hours if it lies within them."""
    begin, end = receiver.quiet_from, receiver.quiet_to
    if begin == end:
        return now
    local = now.astimezone(ZoneInfo(receiver.time_zone))
    minute = local.hour * 60 + local.minute
    quiet = begin <= minute < end if begin < end else (minute >= begin or minute < end)
    if not quiet:
        return now
    day = local.date() if minute < end else local.date() + timedelta(days=1)
    until = datetime.combine(day, time(end // 60, end % 60), local.tzinfo)
    return until.astimezone(now.tzinfo)
