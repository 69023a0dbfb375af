"""Imports and exports of a process, put together: mappings from files, readings through ingest."""

from collections.abc import Callable, Sequence

from config.exchange_files import load_mappings
from config.wiring.core import Core
from config.wiring.telemetry import Telemetry, open_telemetry
from crm_core.agreements.contract_desk import ContractDesk
from crm_core.domain.telemetry import DeviceReading
from crm_core.exchange.desk import ExchangeDesk
from crm_core.exchange.importing import Importer
from crm_core.relations.customers import CustomerDesk


def build_exchange(core: Core, land: Callable[[Sequence[DeviceReading]], int]) -> ExchangeDesk:
    """Return the desk; `land` takes readings in and returns how many were new."""
    importer = Importer(
        core.uow_factory,
        core.personal,
        core.catalogue,
        core.clock,
        land,
        lambda: (core.policy.billing.page_mono, core.policy.billing.page_colour),
        CustomerDesk(core.uow_factory, core.clock, core.policy),
        ContractDesk(core.uow_factory, core.clock, core.policy),
    )
    return ExchangeDesk(importer, load_mappings(), core.uow_factory)


def land_through_ingest(core: Core) -> Callable[[Sequence[DeviceReading]], int]:
    """Return how the command line takes readings in: through ingest, with events and signals, and closes after it."""

    def land(readings: Sequence[DeviceReading]) -> int:
        telemetry: Telemetry = open_telemetry(core)
        try:
            stored = telemetry.ingest.land(readings).stored
            telemetry.deliver()
        finally:
            telemetry.close()
        return stored

    return land
