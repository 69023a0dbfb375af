"""schemathesis over the OpenAPI document: lawful and unlawful requests for every operation, as every role.

0 answers of 500 or more, no answer that breaks the document. It knows the schemas better than the own fuzz beside it
(`test_fuzz`), which in turn knows the objects of the world; both stay.
"""

import logging

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.services import ApiSettings, RateLimits
from tests.integration.api.world import copy_world, open_world

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
ROLES = (
    "admin", "manager", "supervisor", "dispatcher", "specialist", "tech-li", "customer", "integrator", None,
)  # fmt: skip
#: Ends the test's own token, is throttled by design, streams without end.
LEFT_OUT = ("/api/v1/sign-out", "/api/v1/sign-in", "/api/v1/events")


@pytest.fixture
def unlimited(world_template, tmp_path):
    limits = RateLimits(per_caller=0, per_address=0)
    opened = open_world(copy_world(world_template, tmp_path / "world"), ApiSettings(rate_limits=limits))
    yield opened
    opened.close()


def run(world, cases, seed):
    """Make about `cases` requests, the same number for each operation and role; return how many were made."""
    logging.getLogger("drumbeat.api").setLevel(logging.CRITICAL)
    schema = schemathesis.openapi.from_asgi("/openapi.json", world.app())
    operations = [found.ok() for found in schema.get_all_operations() if found.ok().path not in LEFT_OUT]
    each = max(1, round(cases / len(operations) / len(ROLES)))
    made, failures = 0, []
    for role in ROLES:
        for operation in operations:
            try:
                made += _ask(world, operation, role, each, seed)
            except FailureGroup as group:  # the others are asked all the same
                failures.append(f"{role}: {group}\n{[str(each)[:500] for each in group.exceptions]}")
    assert not failures, "\n\n".join(failures)
    return made


def _ask(world, operation, role, count, seed):
    """Make `count` requests of one operation as one role."""
    made = 0
    headers = {} if role is None else {"Authorization": f"Bearer {world.token(role)}"}

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(case=operation.as_strategy())
    def ask(case):
        nonlocal made
        made += 1
        # a change of rights may have ended the token: then 401 is the answer, which every operation documents
        case.call_and_validate(headers=headers, checks=list(CHECKS))

    ask()
    return made


@pytest.mark.heavy
@pytest.mark.timeout(600)
def test_a_thousand_requests_of_schemathesis(unlimited, capsys):
    made = run(unlimited, 1000, seed=3)
    with capsys.disabled():
        print(f"\nschemathesis: {made} requests, all operations and roles, no failure")
    assert made >= 1000


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_twenty_thousand_requests_of_schemathesis(unlimited, capsys):
    made, seed = 0, 40
    while made < 20_000:
        made += run(unlimited, 4000, seed)
        seed += 1
    with capsys.disabled():
        print(
            f"\nschemathesis: {made} requests, all operations and roles, seeds 40 to {seed - 1}, no failure"
        )
