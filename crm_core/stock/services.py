"""The services of stock put together, for whoever wires a process."""

from dataclasses import dataclass

from crm_core.conditions import FaultCodes
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.policy import PolicyBook
from crm_core.ports import Clock, TelemetryStore, UnitOfWorkFactory
from crm_core.stock.book import StockBook
from crm_core.stock.down_time import DownTimes
from crm_core.stock.loans import LoanDesk
from crm_core.stock.swap_watch import SwapWatch


@dataclass(frozen=True, slots=True, kw_only=True)
class StockServices:
    """The stock book, the watch over cartridges, stand-by machines and down time."""

    book: StockBook
    watch: SwapWatch
    loans: LoanDesk
    down_times: DownTimes


def build_stock(
    uow_factory: UnitOfWorkFactory,
    clock: Clock,
    store: TelemetryStore,
    policy: PolicyBook,
    catalogue: Catalogue,
    fault_codes: FaultCodes,
) -> StockServices:
    """Return the services over one CRM database and one telemetry store."""
    return StockServices(
        book=StockBook(uow_factory, clock),
        watch=SwapWatch(uow_factory, clock, store, policy, catalogue, fault_codes),
        loans=LoanDesk(uow_factory, clock, policy, catalogue),
        down_times=DownTimes(uow_factory, clock, store),
    )
