"""The roster in the API's world: in each tenant an absence that is over, and somebody whom only the other tenant knows."""

from datetime import timedelta

from crm_core.domain.identity import DEFAULT_TENANT, TechnicianId
from crm_core.domain.roster import Absence, AbsenceKind
from crm_core.domain.service import Technician
from crm_core.ports import UnitOfWorkFactory
from tests.integration.api.telemetry import NOW, OTHER_TENANT

ROSTER_OBJECTS = {
    "technician_id": {"own": "li", "foreign": "rival-tech", "absent": "no-such"},
    "absence_id": {"own": "1", "foreign": "2", "absent": "99999"},
}
ROSTER_BODIES = {
    "AbsenceInput": {"starts": "2030-05-01T00:00:00Z", "ends": "2030-05-02T00:00:00Z", "kind": "leave"},
    "HoursInput": {"starts_minutes": None, "ends_minutes": None},
    "AbsenceDecision": {"granted": True},
    "VisitOrder": {"device_id": "c3525-01", "kind": "inspection"},
}


def seed_roster(uow_factory: UnitOfWorkFactory) -> None:
    """Write an absence into each tenant."""
    with uow_factory() as uow:
        uow.technicians.save(
            Technician(
                tenant=OTHER_TENANT, technician_id=TechnicianId("rival-tech"), name="Rival", regions=("east",), skills=("*",)
            )
        )  # fmt: skip
        for tenant, person in ((DEFAULT_TENANT, "li"), (OTHER_TENANT, "rival-tech")):
            uow.fieldwork.absences.add(
                Absence(
                    tenant=tenant, technician_id=TechnicianId(person), kind=AbsenceKind.LEAVE, noted_by="dispatcher",
                    starts=NOW - timedelta(days=3), ends=NOW - timedelta(days=2), noted_at=NOW - timedelta(days=9),
                )
            )  # fmt: skip
        uow.commit()
