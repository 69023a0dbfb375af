"""Credit, recommendation, and requests to contracts, with the figures of 4-7, 11, 17-19, 48, 84, 113, 116 and story 9."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from config.catalogue_files import load_catalogue
from crm_core.agreements.contract_desk import ContractDesk
from crm_core.agreements.credit import CreditDesk, consequence_of, score_of
from crm_core.agreements.recommendation import Asked, recommend, warnings_for
from crm_core.agreements.requests import Choice, RequestDesk, Wish
from crm_core.billing.plans import PlanDesk
from crm_core.domain.billing import BillingPlan, PageTariff
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.contracts import ContractState
from crm_core.domain.credit import RequestState
from crm_core.domain.customer_files import CompanyFile, PersonFile
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.fleet import CustomerKind, CustomerTier
from crm_core.domain.identity import ContractId, ModelId
from crm_core.relations.money_facts import BillingMoney
from tests.builders import T0, TENANT, a_customer
from tests.care_policies import a_credit_policy, a_recommendation_policy
from tests.relations_firm import C1, Firm

CATALOGUE = load_catalogue()
CREDIT = a_credit_policy()
MODELS = a_recommendation_policy()


class Sales(Firm):
    """The firm with credit, requests and contracts; the real catalogue."""

    def __init__(self) -> None:
        super().__init__()
        self.save(replace(a_customer(), tier=CustomerTier.CORE))
        self.credit = CreditDesk(self.uow, self.clock, self.policy, BillingMoney(30))
        self.contracts = ContractDesk(self.uow, self.clock, self.policy)
        self.requests = RequestDesk(self.uow, self.clock, self.policy, CATALOGUE, self.contracts)
        PlanDesk(self.uow).publish(
            BillingPlan(
                tenant=TENANT,
                plan_id="office",
                edition=1,
                name="Office",
                monthly_rent=Decimal(600),
                mono=PageTariff(price=Decimal("0.1")),
                colour=PageTariff(price=Decimal("0.5")),
            )
        )


@pytest.fixture
def sales() -> Sales:
    return Sales()


WISH = Wish(customer_id=C1, pages_mono=3000, pages_colour=500, months=36, needs={"duplex": 2})
CHOICE = Choice(plan_id="office", plan_edition=1, starts_on=date(2026, 4, 1))


@pytest.mark.parametrize(
    ("score", "start_up", "share", "months", "name"),
    [
        (599, False, "0.50", 1, "risk"),
        (600, False, "0.30", 3, "normal"),
        (700, True, "0.50", 1, "risk"),
        (749, False, "0.30", 3, "normal"),
        (750, False, "0.20", 3, "good"),
    ],
)
def test_the_score_decides_deposit_and_payment(score, start_up, share, months, name):
    follows = consequence_of(score, start_up, CREDIT)
    assert (follows.deposit_share, follows.payment_months, follows.credit_class) == (
        Decimal(share),
        months,
        name,
    )


def test_policy_may_ask_for_the_deposit_or_for_monthly_payment_alone():
    only_deposit = replace(CREDIT, risk_asks_monthly_payment=False)
    only_monthly = replace(CREDIT, risk_asks_deposit=False)
    assert (
        consequence_of(590, True, only_deposit).deposit_share,
        consequence_of(590, True, only_deposit).payment_months,
    ) == (Decimal("0.50"), 3)
    assert (
        consequence_of(590, True, only_monthly).deposit_share,
        consequence_of(590, True, only_monthly).payment_months,
    ) == (Decimal("0.30"), 1)


def test_a_good_customer_never_pays_less_than_the_floor():
    generous = replace(CREDIT, good_deposit_share=Decimal(0))
    assert consequence_of(900, False, generous).deposit_share == Decimal("0.10")


def test_every_fact_of_the_file_is_a_factor_with_its_points():
    facts = {
        "years_in_business": Decimal(6),
        "registered_capital": Decimal(1_000_000),
        "no_defaults": Decimal(1),
    }
    score, factors = score_of(CustomerKind.COMPANY, facts, CREDIT)
    assert score == 500 + 90 + 70 + 60
    assert [(each.name, each.points) for each in factors] == [
        ("base", 500),
        ("years_in_business", 90),
        ("capital", 70),
        ("no_defaults", 60),
    ]


def test_an_assessment_keeps_who_when_and_why(sales):
    company = CompanyFile(founded_year=2010, registered_capital=5_000_000, past_defaults=1)
    sales.save(replace(sales.customer(), company=company))
    made = sales.credit.assess(TENANT, C1, assessor="anna")
    assert (made.score, made.credit_class, made.assessor, made.assessed_at) == (570, "risk", "anna", T0)
    assert made.valid_until == date(2027, 3, 2)
    assert made.reasons == ("score 570 < 600",)
    with pytest.raises(InvalidValue, match="source"):
        sales.credit.assess(TENANT, C1, assessor="anna", stated_score=590)


# --- recommendation ---


def ranking(industry: str | None = None, pages: int = 3000, colour: int = 0, **needs: int):
    return recommend(
        CATALOGUE, Asked(pages_mono=pages, pages_colour=colour, needs=needs, industry=industry), MODELS
    )


def test_a_school_is_shown_models_with_a_separate_drum_first():
    rows = [row for row in ranking("education", duplex=2) if not row.refused]
    separate = [CATALOGUE.find(row.model_id).capabilities.separate_drum for row in rows]
    assert separate[0]
    assert separate == sorted(separate, reverse=True)


def test_finance_is_warned_of_a_device_without_disk_encryption():
    plain = CATALOGUE.find(ModelId("hp-laserjet-m126nw"))
    assert warnings_for(plain, "finance", MODELS) == ("disk_encryption", "user_rights")
    assert not warnings_for(CATALOGUE.find(ModelId("canon-ir-adv-c3525i")), "finance", MODELS)
    assert not warnings_for(plain, "retail", MODELS)


def test_a_design_studio_is_refused_a_model_of_600_dpi_with_the_reason():
    rows = {row.model_id: row for row in ranking("design", pages=900)}
    coarse = rows[ModelId("hp-laserjet-m126nw")]
    assert coarse.refused
    assert [(each.feature, each.detail) for each in coarse.remarks if each.kind == "refuses"] == [
        ("dpi", "600 < 1200 (design)")
    ]
    assert "dpi" not in {each.feature for each in rows[ModelId("canon-ir-adv-c3525i")].remarks}


def test_design_prefers_pantone():
    best = next(row for row in ranking("design", pages=12_000, colour=4_000) if not row.refused)
    assert CATALOGUE.find(best.model_id).capabilities.pantone


def test_colour_pages_and_a_must_refuse_models_without():
    assert all(
        CATALOGUE.find(row.model_id).capabilities.staple and CATALOGUE.find(row.model_id).capabilities.colour
        for row in ranking(colour=100, staple=3)
        if not row.refused
    )


def test_the_volume_must_be_near_what_a_model_usually_does():
    best = [row.model_id for row in ranking(pages=25_000, colour=2_000) if not row.refused]
    assert "hp-laserjet-m126nw" not in best
    assert "fujixerox-apeosport-vii-c7773" in best


@pytest.mark.parametrize("needs", [{"scent": 1}, {"duplex": 0}, {"duplex": 4}])
def test_unknown_needs_are_refused(needs):
    with pytest.raises(InvalidValue):
        ranking(**needs)


# --- requests ---


def test_a_core_customers_request_at_nine_is_due_at_ten(sales):
    request = sales.requests.raise_request(TENANT, WISH, by="anna")
    assert request.clock.due_at == datetime(2026, 3, 2, 2, tzinfo=UTC)  # 10:00 in Shanghai


def test_the_way_to_a_draft_with_the_money_of_story_nine(sales):
    sales.save(replace(sales.customer(), company=CompanyFile(start_up=True)))
    request = sales.requests.raise_request(TENANT, replace(WISH, pages_mono=9000, quantity=3), by="anna")
    with pytest.raises(Conflict, match="assess"):
        sales.requests.propose(TENANT, request.request_id, CHOICE, by="anna", expected_version=1)
    assessment = sales.credit.assess(TENANT, C1, assessor="anna", stated_score=590, note="agency report 17")
    sales.requests = RequestDesk(sales.uow, sales.clock, sales.policy, _at_18000(), sales.contracts)
    sales.clock.advance(minutes=20)
    proposed = sales.requests.propose(TENANT, request.request_id, CHOICE, by="anna", expected_version=1)
    assert proposed.proposal.deposit == Decimal("27000.00")
    assert proposed.clock.met_at == sales.clock.now()
    accepted, agreement = sales.requests.accept(
        TENANT, request.request_id, ContractId("k9"), by="anna", expected_version=2
    )
    assert accepted.state is RequestState.ACCEPTED
    assert agreement.state is ContractState.DRAFT
    assert agreement.current.deposit == Decimal("27000.00")
    assert agreement.current.payment_cycle_months == 1
    assert agreement.assessment_id == str(assessment.assessment_id)
    assert agreement.current.ends_on == date(2029, 3, 31)
    assert [line.line_id for line in agreement.current.lines] == ["L1", "L2", "L3"]


def _at_18000():
    model = CATALOGUE.find(ModelId("canon-ir-adv-c3525i"))
    return Catalogue([replace(model, list_price="18000.00")])


def test_a_person_without_a_guarantor_keeps_a_draft(sales):
    sales.save(replace(sales.customer(), kind=CustomerKind.PERSON, person=PersonFile(proof_of_work=True)))
    made = sales.credit.assess(TENANT, C1, assessor="anna")
    assert made.missing == ("guarantor",)
    request = sales.requests.raise_request(TENANT, WISH, by="anna")
    sales.requests.propose(TENANT, request.request_id, CHOICE, by="anna", expected_version=1)
    sales.requests.accept(TENANT, request.request_id, ContractId("k9"), by="anna", expected_version=2)
    with pytest.raises(Conflict, match="guarantor"):
        sales.contracts.offer(TENANT, "k9", actor="anna")
    sales.contracts.settle_missing(TENANT, "k9", "guarantor", actor="anna")
    assert sales.contracts.offer(TENANT, "k9", actor="anna").state is ContractState.OFFERED


def test_a_draft_is_no_rental_yet(sales):
    sales.credit.assess(TENANT, C1, assessor="anna")
    request = sales.requests.raise_request(TENANT, WISH, by="anna")
    sales.requests.propose(TENANT, request.request_id, CHOICE, by="anna", expected_version=1)
    sales.requests.accept(TENANT, request.request_id, ContractId("k9"), by="anna", expected_version=2)
    sales.at(2026, 5, 1)
    sales.classifier.run(TENANT)
    assert sales.classes()["tier"] == "potential"


def test_a_refused_model_is_not_offered_and_a_no_needs_its_reason(sales):
    sales.credit.assess(TENANT, C1, assessor="anna")
    request = sales.requests.raise_request(TENANT, replace(WISH, industry="design"), by="anna")
    wrong = replace(CHOICE, model_id=ModelId("hp-laserjet-m126nw"))
    with pytest.raises(Conflict, match="colour"):
        sales.requests.propose(TENANT, request.request_id, wrong, by="anna", expected_version=1)
    with pytest.raises(InvalidValue):
        sales.requests.decline(TENANT, request.request_id, " ", expected_version=1)
    declined = sales.requests.decline(TENANT, request.request_id, "price", expected_version=1)
    assert declined.state is RequestState.DECLINED


def test_a_promised_need_is_remembered(sales):
    sales.requests.raise_request(TENANT, replace(WISH, agreed_on=date(2026, 12, 20)), by="anna")
    assert sales.tasks("unmet_need")[0].due_at == datetime(2026, 12, 17, 1, tzinfo=UTC)
