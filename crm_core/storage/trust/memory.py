"""Trust in memory, with the promises of the database."""

from crm_core.storage.memory_service import Journal


class MemoryTrustRepository:
    """The audit chain, encrypted personal fields and their keys (`ports.TrustRepository`)."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
