"""The services of field work as one value, put together once for API, jobs and tests."""

from dataclasses import dataclass

from crm_core.billing.repair_desk import RepairDesk
from crm_core.domain.policy import PolicyBook
from crm_core.fieldwork.closing import VisitClosing
from crm_core.fieldwork.estimates import Estimates
from crm_core.fieldwork.evidence import Evidence
from crm_core.fieldwork.jobs import Jobs
from crm_core.fieldwork.plans import CarePlans
from crm_core.fieldwork.proposals import Proposals
from crm_core.fieldwork.roster import Roster
from crm_core.ports import AttachmentStore, Clock, TelemetryStore, UnitOfWorkFactory


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldworkServices:
    """Evidence of visits, the rules of their end, estimates, talks about replacement, plans of regular care, and who is away."""

    evidence: Evidence
    closing: VisitClosing
    estimates: Estimates
    proposals: Proposals
    plans: CarePlans
    roster: Roster
    jobs: Jobs


def build_fieldwork(
    uow_factory: UnitOfWorkFactory,
    clock: Clock,
    policy: PolicyBook,
    store: TelemetryStore,
    files: AttachmentStore,
) -> FieldworkServices:
    """Return the services over one CRM, one telemetry store and one place for files."""
    evidence = Evidence(uow_factory, clock, policy, files, store)
    repairs = RepairDesk(uow_factory, clock, policy)
    return FieldworkServices(
        evidence=evidence,
        closing=VisitClosing(policy, evidence, repairs),
        estimates=Estimates(uow_factory, clock, policy, repairs),
        proposals=Proposals(uow_factory, clock, policy),
        plans=CarePlans(uow_factory, clock, policy, store),
        roster=Roster(uow_factory, clock, policy),
        jobs=Jobs(uow_factory, clock, policy),
    )
