"""Fieldwork in memory, with the promises of the database."""

from crm_core.storage.memory_service import Journal


class MemoryFieldworkRepository:
    """Maintenance plans, evidence of visits, repair reports, estimates (`ports.FieldworkRepository`)."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
