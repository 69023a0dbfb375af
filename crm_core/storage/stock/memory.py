"""Stock in memory, with the promises of the database."""

from crm_core.storage.memory_service import Journal


class MemoryStockRepository:
    """The double-entry ledger of stock, cartridges in devices, stand-by machines and their loans (`ports.StockRepository`)."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
