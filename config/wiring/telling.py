"""Telling people and programs: the outbox with its listeners, channels and jobs, and the escalation of promises."""

import socket
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from config.settings import Notices, Settings
from crm_core.domain.identity import TenantId
from crm_core.domain.messages import Messages
from crm_core.domain.notices import Channel
from crm_core.domain.policy import PolicyBook
from crm_core.escalation import Escalation, EscalationSchedule
from crm_core.fieldwork.costs import cost_so_far
from crm_core.notices.addressing import Addressing
from crm_core.notices.announcing import Announcer
from crm_core.notices.delivery import Deliverer
from crm_core.notices.hook_secrets import HookSecrets
from crm_core.notify.messages import AppriseSender
from crm_core.notify.webhooks import WebhookSender
from crm_core.ports import Clock, Sender, Timer, UnitOfWorkFactory
from crm_core.storage.sqlalchemy_uow import SqlUnitOfWorkFactory, make_uow_factory

_APPRISE: Final = (Channel.MAIL, Channel.SMS, Channel.WECHAT)


@dataclass(frozen=True, slots=True)
class Telling:
    """The telling side of a process. `channels` are those that the settings set up."""

    addressing: Addressing
    escalation: Escalation
    deliverer: Deliverer


def announce(factory: SqlUnitOfWorkFactory, settings: Settings, clock: Clock, policy: PolicyBook) -> None:
    """Let every transaction of the factory announce its changes and keep the schedule of escalations."""
    factory.on_commit(EscalationSchedule(policy))
    factory.on_commit(Announcer(addressing_of(settings, policy), clock, cost_so_far))


def addressing_of(settings: Settings, policy: PolicyBook) -> Addressing:
    """Return who is reached how under these settings."""
    return Addressing(policy, _configured(settings.notices), settings.schedule.time_zone)


def build_telling(
    settings: Settings,
    uow_factory: UnitOfWorkFactory,
    clock: Clock,
    policy: PolicyBook,
    messages: Messages,
    hook_secrets: HookSecrets,
    timer: Timer | None = None,
) -> Telling:
    """Return escalation and delivery; raise `InvalidConfiguration` for an address that cannot work."""
    addressing = addressing_of(settings, policy)
    return Telling(
        addressing=addressing,
        escalation=Escalation(uow_factory, clock, policy, addressing, timer),
        deliverer=Deliverer(
            uow_factory,
            clock,
            policy,
            messages,
            _senders(settings.notices, uow_factory, clock, hook_secrets),
            holder=f"{socket.gethostname()}:{uuid.uuid4().hex[:8]}",
            time_zone=settings.schedule.time_zone,
        ),
    )


def _configured(notices: Notices) -> frozenset[Channel]:
    return frozenset(channel for channel in _APPRISE if _service(notices, channel)) | {Channel.WEBHOOK}


def _service(notices: Notices, channel: Channel) -> str:
    services = {Channel.MAIL: notices.mail, Channel.SMS: notices.sms, Channel.WECHAT: notices.wechat}
    return services[channel]


def _senders(
    notices: Notices, uow_factory: UnitOfWorkFactory, clock: Clock, hook_secrets: HookSecrets
) -> Mapping[Channel, Sender]:
    senders: dict[Channel, Sender] = {
        channel: AppriseSender(channel, _service(notices, channel))
        for channel in _APPRISE
        if _service(notices, channel)
    }
    senders[Channel.WEBHOOK] = WebhookSender(
        uow_factory, clock, hook_secrets, private_allowed=notices.private_webhooks
    )
    return senders


def telling_figures(settings: Settings, clock: Clock) -> Collector:
    """Return the figures of the outbox for `/metrics`; they are read without making writers wait."""
    reading = make_uow_factory(settings.crm_url, read_only=True)
    return _TellingFigures(reading, clock, TenantId(settings.general.tenant))


class _TellingFigures(Collector):
    """What waits in the outbox of notices, how long, and what is dead (`/metrics`)."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, tenant: TenantId) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._tenant = tenant

    def collect(self) -> Iterable[Metric]:
        """Yield the figures as they are now."""
        with self._uow_factory() as uow:
            depth = uow.notices.depth(self._tenant)
        now = self._clock.now()
        late = 0.0 if depth.oldest_due_at is None else (now - depth.oldest_due_at).total_seconds()
        yield GaugeMetricFamily(
            "drumbeat_notices_waiting", "Notices that wait to be sent", value=depth.waiting
        )
        yield GaugeMetricFamily(
            "drumbeat_notices_late_seconds",
            "Seconds since the oldest waiting notice was due; 0 when none is",
            value=max(late, 0.0),
        )
        yield GaugeMetricFamily(
            "drumbeat_notices_dead", "Notices that were refused for good or tried too often", value=depth.dead
        )
