"""Relations in memory, with the promises of the database."""

from crm_core.storage.memory_service import Journal


class MemoryRelationsRepository:
    """Customer axes and their history, contacts, tasks, complaints, surveys, loyalty (`ports.RelationsRepository`)."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
