"""Contracts and billing of a process: the services of money, and the nightly round of the month end."""

from collections.abc import Callable
from functools import partial

import structlog

from config.supervision import Supervisor
from config.wiring.core import Core
from crm_core.billing.services import MoneyServices, build_money
from crm_core.domain.errors import StoreUnavailable
from crm_core.ports import TelemetryStore

_log = structlog.get_logger("drumbeat.billing")


def money_of(core: Core, store: TelemetryStore) -> MoneyServices:
    """Return contracts and billing over one CRM and one telemetry store."""
    return build_money(core.uow_factory, core.uow_factory, store, core.clock, core.policy)


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
    supervisor: Supervisor,
    job: Callable[[Callable[[], object]], Callable[[], object]],
) -> None:
    """Register the round; `job` lets only the leader do it."""
    supervisor.daily("billing", core.settings.schedule.billing_at, job(partial(billing_round, core, money)))
