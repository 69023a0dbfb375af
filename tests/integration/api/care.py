"""Customers' care in the API's world: in each tenant a contact, a complaint, a proposal of a change and a request.

Numbers count over all tenants: those of the default tenant are 1, those of the other one 2.
"""

from dataclasses import replace

from crm_core.agreements.requests import Wish
from crm_core.domain.customer_files import Channel, Contact
from crm_core.domain.identity import DEFAULT_TENANT, CustomerId
from crm_core.ports import UnitOfWorkFactory
from crm_core.relations.services import CustomerServices
from tests.integration.api.telemetry import OTHER_TENANT

RIVAL = CustomerId("rival-cust")
#: What fills the path parameters of routes of customers (test_rights.py).
CARE_OBJECTS = {
    name: {"own": "1", "foreign": "2", "absent": "99999"}
    for name in ("contact_id", "change_id", "complaint_id", "task_id", "request_id")
} | {"segment": {"own": "leads", "foreign": "no_such", "absent": "nothing"}}
_FILE = {"name": "New name", "contact_name": "Wang"}
CARE_BODIES = {
    "NewCustomer": {"customer_id": "cust-rights", **_FILE}, "CustomerInput": _FILE, "ContactInput": {"name": "Li"},
    "FileChangeInput": {"phone": "021-1"}, "DecisionInput": {"accept": True},
    "InteractionInput": {
        "channel": "phone", "at": "2026-03-01T01:00:00Z", "content": "a", "needs": "b", "feedback": "c",
    },
    "FinishInput": {}, "ComplaintInput": {"subject": "late", "text": "again"},
    "MyComplaintInput": {"subject": "late", "text": "again"},
    "ActionInput": {"action": "another route", "action_owner": "li", "action_due": "2026-04-01"},
    "ClosingInput": {"closing_call": "content"}, "EmptiesInput": {"codes": ["E-1"], "visit": "W-000001"},
    "DryRunInput": {"thresholds": {"repair.frequent.device_tickets_90d": 2}},
    "TrainingInput": {"person": "li", "subject": "fuser", "held_on": "2026-03-01", "minutes": 60},
    "AssessmentInput": {}, "RequestInput": {"pages_mono": 3000}, "AcceptanceInput": {"contract_id": "k-accepted"},
    "ProposalInput": {"plan_id": "basic", "plan_edition": 1, "starts_on": "2026-04-01"},
}  # fmt: skip
#: Query parameters that must be there.
CARE_QUERIES = {"month": "2026-02", "baseline": "2026-01"}


def seed_care(customers: CustomerServices, uow_factory: UnitOfWorkFactory) -> None:
    """Classify both firms and leave a record of each kind."""
    with uow_factory() as uow:
        known = uow.customers.get(OTHER_TENANT, "cust-1")
        uow.customers.save(replace(known, customer_id=RIVAL, name="Rival"))
        uow.commit()
    for tenant, customer_id in ((DEFAULT_TENANT, CustomerId("cust-1")), (OTHER_TENANT, RIVAL)):
        contact = Contact(tenant=tenant, contact_id=0, customer_id=customer_id, name="王芳")
        customers.files.add_contact(contact)
        customers.files.propose(tenant, customer_id, {"phone": "021-2"}, by="customer")
        customers.care.complain(
            tenant, customer_id, subject="打印机总是卡纸", text="三次了", channel=Channel.PHONE
        )
        wish = Wish(customer_id=customer_id, pages_mono=3000, needs={"duplex": 2})
        customers.requests.raise_request(tenant, wish, by="specialist")
