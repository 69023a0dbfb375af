"""Contracts and billing of a process: the services of money, and the nightly round of the month end."""

from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from typing import Final

import structlog

from config.supervision import Supervisor
from config.wiring.core import Core
from config.wiring.telling import addressing_of
from crm_core.billing.meter_reminders import AsksForMeters, MeterReminders
from crm_core.billing.services import MoneyServices, build_money
from crm_core.domain.errors import StoreUnavailable
from crm_core.domain.fleet import Device
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.notices import ReceiverKind
from crm_core.notices.addressing import Addressing
from crm_core.ports import AttachmentStore, Clock, TelemetryStore, UnitOfWork
from crm_core.storage.attachment_files import FileAttachmentStore

_NAMED: Final = 10  # devices by serial in a message
_log = structlog.get_logger("drumbeat.billing")


def money_of(core: Core, store: TelemetryStore) -> MoneyServices:
    """Return contracts and billing over one CRM and one telemetry store."""
    files = attachments_of(core)
    addressing = addressing_of(core.settings, core.policy)
    return build_money(core.uow_factory, core.uow_factory, store, core.clock, core.policy, files, addressing)


def billing_round(core: Core, money: MoneyServices) -> None:
    """Bill the month that ended last, mark contracts whose end is near, note what is overdue.

    Run every night: what is written already stays, so a night without the store is made up in the next one.
    """
    for contract_id in money.contracts.expire_due(core.tenant):
        _log.info("contract expires soon", contract=contract_id)
    for step in money.payments.dun(core.tenant):
        _log.info("invoice overdue", invoice=step.invoice_number, level=step.level)
    try:
        report = money.billing.run(core.tenant, money.billing.last_month())
    except StoreUnavailable as error:
        _log.warning("month end waits for the telemetry store", reason=str(error))
        return
    if report.written:
        _log.info("month end", month=f"{report.month:%Y-%m}", written=report.written, total=str(report.total))
    for contract_id, text in report.problems:
        _log.warning("to look at in the month end", contract=contract_id, problem=text)


def schedule_billing(
    core: Core,
    money: MoneyServices,
    store: TelemetryStore,
    supervisor: Supervisor,
    job: Callable[[Callable[[], object]], Callable[[], object]],
) -> None:
    """Register the round and the reminders of meters; `job` lets only the leader do it."""
    at = core.settings.schedule
    supervisor.daily("billing", at.billing_at, job(partial(billing_round, core, money)))
    asks = ask_for_meters(addressing_of(core.settings, core.policy), core.clock, core.settings.public_url)
    reminders = MeterReminders(core.uow_factory, store, core.clock, core.policy, asks)
    supervisor.daily("meter-reminders", at.surveys_at, job(partial(reminders.run, core.tenant)))


def attachments_of(core: Core) -> AttachmentStore:
    """Return where the photos of this process lie."""
    return FileAttachmentStore(core.settings.attachments_folder)


def ask_for_meters(addressing: Addressing, clock: Clock, public_url: str) -> AsksForMeters:
    """Return how a customer is asked for the meters of devices that no network reads: one message a month."""

    def ask(
        uow: UnitOfWork, tenant: TenantId, customer_id: CustomerId, devices: Sequence[Device], last: date
    ) -> bool:
        notice = addressing.notice(
            uow,
            tenant,
            ReceiverKind.CUSTOMER,
            customer_id,
            unique_key=f"meter_due:{customer_id}:{last:%Y-%m}",
            topic="meter.due",
            subject=f"customer:{customer_id}",
            text_key="notices.meter_due",
            arguments={
                "count": str(len(devices)),
                "devices": ", ".join(row.serial or row.device_id for row in devices[:_NAMED]),
                "day": last.isoformat(),
                "link": f"{public_url}/my/meters",
            },
            now=clock.now(),
        )
        return uow.notices.add([notice]) > 0

    return ask
