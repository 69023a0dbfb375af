"""Findings in the API's world: one in each tenant."""

from dataclasses import replace

from crm_core.domain.forecast import Reason
from crm_core.domain.identity import DEFAULT_TENANT, DeviceId
from crm_core.domain.quality import Finding, FindingKind
from crm_core.ports import UnitOfWorkFactory
from tests.integration.api.telemetry import NOW, OTHER_TENANT

FORESIGHT_OBJECTS = {"finding_id": {"own": "1", "foreign": "2", "absent": "99999"}}
FORESIGHT_BODIES = {"SeenInput": {"version": 1}}


def seed_findings(uow_factory: UnitOfWorkFactory) -> None:
    """Write a finding about a device into both tenants."""
    own = Finding(
        tenant=DEFAULT_TENANT, finding_id=0, kind=FindingKind.MOVED, subject="c3525-01", device_id=DeviceId("c3525-01"),
        customer_id=None, first_seen=NOW.date(), last_seen=NOW.date(), score=1.0,
        reasons=(Reason("reasons.found_other_serial", {"serial": "A", "expected": "B"}),),
    )  # fmt: skip
    with uow_factory() as uow:
        uow.quality.findings.add(own)
        uow.quality.findings.add(
            replace(own, tenant=OTHER_TENANT, subject="rival-01", device_id=DeviceId("rival-01"))
        )
        uow.commit()
