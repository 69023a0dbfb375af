"""The matrix of rights, generated from the OpenAPI document: every operation x role x own, foreign and absent object.

A leak is an answer about a foreign object that differs from the answer about an absent one. `foreign` belongs to
another tenant; `neighbour` to another customer of the same tenant, for accounts that are bound to one customer.
"""

import re

import pytest
from fastapi.routing import iter_route_contexts

from api.access import Public, Rule
from api.openapi import rules_of
from crm_core.domain.identity import DEFAULT_TENANT
from crm_core.ports import TicketFilter, WorkOrderFilter
from tests.integration.api.care import CARE_BODIES, CARE_OBJECTS
from tests.integration.api.foresight import FORESIGHT_BODIES, FORESIGHT_OBJECTS
from tests.integration.api.roster import ROSTER_BODIES, ROSTER_OBJECTS
from tests.integration.api.stock import STOCK_BODIES, STOCK_OBJECTS
from tests.integration.api.telemetry import OTHER_TENANT

#: account -> role; the last is an integrator whose account is bound to a customer.
ACCOUNTS = {
    "admin": "admin", "manager": "manager", "supervisor": "supervisor", "dispatcher": "dispatcher",
    "specialist": "customer_specialist", "tech-li": "technician", "customer": "customer", "integrator": "integrator",
    "integrator-west": "integrator", "manager-east": "manager",
}  # fmt: skip
SCHOOL = {
    "contract_id": "k-2",
    "invoice_number": "INV-2026-000002",
    "charge_id": "2",
    "payment_id": "2",
    "statement_id": "2",
}
#: What belongs to the customer of a bound account, and what to another one.
BOUND = {
    "customer": {
        "own": {"customer_id": "cust-1", "device_id": "c3525-01", "site_id": "hq"},
        "neighbour": {"customer_id": "cust-2", "device_id": "c7773-02", "site_id": "school", **SCHOOL},
    },
    "integrator-west": {
        "own": {"customer_id": "cust-2", "device_id": "c7773-02", "site_id": "school", **SCHOOL},
        "neighbour": {"customer_id": "cust-1", "device_id": "c3525-01", "site_id": "hq"},
    },
}
#: The same for an account that sees one region; nothing of the whole firm is for it.
REGIONAL = {"manager-east": BOUND["customer"]}
#: What fills the path parameters: own = in the person's sight, foreign = exists but is not.
OBJECTS = {
    "customer_id": {"own": "cust-1", "foreign": "rival-cust", "absent": "no-such"},
    "device_id": {"own": "c3525-01", "foreign": "rival-01", "absent": "no-such"},
    "contract_id": {"own": "k-1", "foreign": "k-rival", "absent": "no-such"},
    "invoice_number": {"own": "INV-2026-000001", "foreign": "INV-2026-000011", "absent": "INV-2026-999999"},
    "charge_id": {"own": "1", "foreign": "3", "absent": "99999"},
    "payment_id": {"own": "1", "foreign": "13", "absent": "99999"},
    "statement_id": {"own": "1", "foreign": "3", "absent": "99999"},
    "line_id": {"own": "1", "foreign": "1", "absent": "1"},
    "ticket_id": {"own": "1", "foreign": "4", "absent": "99999"},
    "work_order_id": {"own": "1", "foreign": "4", "absent": "99999"},
    "user_id": {"own": "manager", "foreign": "rival-user", "absent": "no-such"},
    "name": {"own": "forecasts", "foreign": "no.such", "absent": "no.such"},
    "list_name": {"own": "tickets", "foreign": "no-such", "absent": "nothing"},
    "system": {"own": "drumbeat", "foreign": "no_such", "absent": "nothing"},
    "table": {"own": "sites", "foreign": "nothing", "absent": "none"},
    "object_name": {"own": "devices", "foreign": "nothing", "absent": "none"},
    "replay_id": {"own": "r-" + "0" * 16, "foreign": "r-" + "0" * 16, "absent": "r-" + "0" * 16},
    "key": {"own": "sla.calendar", "foreign": "no.such", "absent": "no.such"},
    "field": {"own": "occupation", "foreign": "occupation", "absent": "occupation"},
    "notice_id": {"own": "1", "foreign": "2", "absent": "99999"},
    "webhook_id": {"own": "1", "foreign": "2", "absent": "99999"},
    "receiver_id": {"own": "cust-1", "foreign": "rival-cust", "absent": "no-such"},
    "kind": {"own": "customer", "foreign": "customer", "absent": "customer"},
    "incident_id": {"own": "1", "foreign": "2", "absent": "99999"},
    "letter_id": {"own": "1", "foreign": "99998", "absent": "99999"},
    "attachment_id": {"own": "1", "foreign": "2", "absent": "99999"},
    "estimate_id": {"own": "1", "foreign": "2", "absent": "99999"},
    "plan_id": {"own": "1", "foreign": "2", "absent": "99999"},
    "token_id": {"own": "a" * 64, "foreign": "b" * 64, "absent": "c" * 64},
    **CARE_OBJECTS,
    **STOCK_OBJECTS,
    **ROSTER_OBJECTS,
    **FORESIGHT_OBJECTS,
}
_LINE = {"line_id": "1", "plan_id": "basic", "monthly_rent": "600", "device_value": "18000"}
_TARIFF = {"price": "0.08", "free_pages": 1000}
BODIES = CARE_BODIES | STOCK_BODIES | FORESIGHT_BODIES | ROSTER_BODIES | {
    "RunInput": {"month": "2026-02"}, "PaymentInput": {"amount": "1.00", "channel": "cash"},
    "InstalmentsInput": {"number": 1}, "RedeemInput": {"points": 1}, "MoneyReason": {"reason": "test"}, "ExplainInput": {"note": "by phone"},
    "ChargeInput": {"item": "jam", "hours": "0.5", "cause": "user_damage"},
    "ConfirmInput": {"agreed_by": "Wang", "payment_method": "alipay"},
    "PlanInput": {
        "plan_id": "rights", "name": "Rights", "monthly_rent": "1", "mono": _TARIFF, "colour": _TARIFF,
    },
    "ContractInput": {
        "contract_id": "k-rights", "customer_id": "cust-1", "starts_on": "2026-04-01", "ends_on": "2027-03-31",
        "lines": [_LINE], "deposit_share": "0.30",
    },
    "ConsentInput": {"given_by": "Wang", "document": "scan.pdf"},
    "TermsInput": {"effective_on": "2026-05-01", "lines": [_LINE]},
    "PlaceInput": {"device_id": "c3525-01"}, "TakeAwayInput": {}, "LostInput": {"device_id": "c3525-01"}, "SettleInput": {"what": "guarantor"},
    "PayOutInput": {"channel": "transfer", "external_number": "T-1"}, "TerminateInput": {"last_day": "2026-12-31", "reason": "test"},
    "MeterStatementInput": {"device_id": "c3525-01", "total": 1}, "MeterDecisionInput": {"accept": True},
    "SuccessorInput": {"successor_id": "k-2"},
    "NoteInput": {}, "ReasonInput": {"reason": "test"}, "AssignInput": {"technician_id": "li"}, "CompleteInput": {},
    "ReportInput": {"device_id": "c3525-02", "text": "streaks"}, "UserChange": {"language": "en"},
    "NewUser": {"name": "new-one", "password": "long enough", "role": "manager"},
    "LettersInput": {"letter_ids": [1]}, "AcknowledgeRows": {"rows": [{"ticket_id": 1}]},
    "AssignRows": {"rows": [{"work_order_id": 1, "technician_id": "li"}]},
    "NewToken": {"user_id": "manager", "name": "t", "scopes": ["read"]}, "SignInInput": {"name": "x", "password": "y"},
    "PersonalValue": {"value": "painter"}, "TrustReason": {"reason": "test"},
    "PolicyReplayInput": {"replicates": 1},
    "PolicyChangeInput": {
        "version": "rights", "effective_from": "2099-01-01", "figures": {"forecasts.life.replacement_share": 0.85},
    },
    "MoveInput": {"move": "propose"}, "MergeInput": {"into": 1, "reason": "same"}, "LinkInput": {"ticket_id": 1},
    "SpokenInput": {"channel": "phone", "text": "we come at nine"}, "ReceiverInput": {"addresses": []},
    "WebhookInput": {"url": "https://example.org/hook", "events": ["ticket.*"]},
    "VisitInput": {}, "EstimateInput": {"item": "fuser"}, "EstimateDecision": {"accepted": False, "note": "no"},
    "MoveDeviceInput": {"site_id": "no-such-site"}, "ReplacementAnswer": {"accepted": False, "note": "no"},
    "CarePlanInput": {"device_id": "c3525-01", "name": "rights"}, "CareSwitch": {"active": True},
    "ReplayInput": {"since": "2026-01-01T00:00:00Z"},
    "PersonalSearch": {"field": "identity_number", "value": "11010519491231002X"},
}  # fmt: skip


@pytest.fixture(autouse=True)
def foreign_objects_exist(world):
    """Make sure of the foreign objects: a matrix over absent ones would prove nothing."""
    with world.services.read_uow_factory() as uow:
        assert uow.tickets.get(OTHER_TENANT, 4).device_id == "rival-01"
        assert uow.work_orders.get(OTHER_TENANT, 4).device_id == "rival-01"
        assert uow.users.get(OTHER_TENANT, "rival-user")


def operations(app):
    for path, item in app.openapi()["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def body_for(operation):
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return BODIES[schema["$ref"].rsplit("/", 1)[-1]] if schema else None


def objects_of(world, account):
    """Return name -> kind -> value of the path parameters for an account, with what is a neighbour's if it is bound."""
    found = {name: dict(kinds) for name, kinds in OBJECTS.items()}
    for kind, values in (BOUND | REGIONAL).get(account, {}).items():
        device = values["device_id"]
        with world.services.read_uow_factory() as uow:
            ticket = uow.tickets.list(DEFAULT_TENANT, TicketFilter(device_id=device))[0].ticket_id
            order = uow.work_orders.list(DEFAULT_TENANT, WorkOrderFilter(device_id=device))[0].work_order_id
        for name, value in {**values, "ticket_id": ticket, "work_order_id": order}.items():
            found.setdefault(name, {})[kind] = str(value)
    return found


def call(machine, method, path, operation, kind, objects=OBJECTS):
    filled = re.sub(r"\{(\w+)\}", lambda found: objects[found[1]][kind], path)
    return machine.request(
        method,
        filled + ("?wait_seconds=0" if path.endswith("/events") else ""),
        json=body_for(operation),
        headers={"If-Match": "*"} if method != "get" else {},
    )


def comparable(answer, path_values):
    text = answer.text
    for value in path_values:
        text = text.replace(value, "OBJECT")
    return re.sub(r'"request_id":"[^"]*"', "", text)


def test_every_route_declares_exactly_one_rule(world):
    """A new route without a rule fails here, pages included."""
    undeclared = [
        f"{sorted(context.methods or ())} {context.path}"
        for context in iter_route_contexts(world.app().routes)
        # the fast lane has no path of its own: it leads to the others
        if context.path not in {None, "/openapi.json"} and len(rules_of(context)) != 1
    ]
    assert undeclared == []


def test_public_routes_are_the_ones_that_are_meant_to_be(world):
    public = {
        context.path
        for context in iter_route_contexts(world.app().routes)
        if any(isinstance(rule, Public) for rule in rules_of(context))
    }
    assert public == {
        "/healthz", "/readyz", "/metrics", "/docs", "/prices", "/sign-in", "/sign-in/oidc", "/sign-in/oidc/back", "/go/{token}", "/survey/{token}", "/api/v1/sign-in", "/preferences", "/static/{name}", "/worker.js", "/calendar/{token}.ics", "/api/v1/price-list", "/api/v1/short-rentals/price", "/api/v1/price-list/pdf", "/i/{token}", "/i/{token}/invoice.pdf",
    }  # fmt: skip


def test_nobody_gets_in_without_a_token(world, client):
    visitor = client()
    for method, path, operation in operations(world.app()):
        if operation["security"]:
            answer = call(visitor, method, path, operation, "own")
            assert answer.status_code == 401, (method, path, answer.text)


def kinds_of(path, objects):
    """Return the kinds of objects to ask for: what the path names decides which there are."""
    names = re.findall(r"\{(\w+)\}", path)
    if not names:
        return ("own",)
    kinds = ("absent", "foreign", "neighbour", "own")
    return tuple(kind for kind in kinds if all(kind in objects[name] for name in names))


@pytest.mark.parametrize("account", ACCOUNTS)
def test_roles_and_objects(world, client, account):
    """Allowed roles never get 403, others always; what is out of sight answers like absent, byte by byte."""
    machine, objects = client(account), objects_of(world, account)
    for method, path, operation in operations(world.app()):
        if not operation["security"] or path.endswith("/sign-out"):
            continue
        where = (account, method, path)
        allowed = (
            ACCOUNTS[account] in operation["x-roles"]
            and (account not in BOUND or operation["x-customers-own"])
            and (account not in REGIONAL or not operation["x-whole-firm"])
        )
        kinds = kinds_of(path, objects)
        answers = {kind: call(machine, method, path, operation, kind, objects) for kind in kinds}
        if not allowed:
            assert {answer.status_code for answer in answers.values()} == {403}, where
            continue
        assert answers["own"].status_code not in (401, 403, 500), (*where, answers["own"].text)
        values = [objects[name][kind] for name in re.findall(r"\{(\w+)\}", path) for kind in kinds]
        for kind in kinds[1:-1]:
            absent, hidden = answers["absent"], answers[kind]
            assert absent.status_code == hidden.status_code == 404, (*where, kind, hidden.status_code)
            assert comparable(absent, values) == comparable(hidden, values), (*where, kind)


@pytest.mark.parametrize(
    ("user", "device", "seen"),
    [
        ("manager-east", "c3525-01", True),
        ("manager-east", "m126-02", False),
        ("dispatcher-west", "m126-02", True),
        ("dispatcher-west", "c3525-01", False),
        ("tech-li", "c3525-01", True),
        ("tech-zhao", "c3525-01", False),
        ("admin", "m126-02", True),
    ],
)  # fmt: skip
def test_regions_limit_everything_about_a_device(world, client, user, device, seen):
    machine = client(user)
    expected = 200 if seen else 404
    for tail in ("", "/reading", "/readings", "/series", "/forecasts"):
        assert machine.get(f"/api/v1/devices/{device}{tail}").status_code == expected, tail
    listed = {row["device_id"] for row in machine.get("/api/v1/devices").json()["items"]}
    assert (device in listed) is seen
    page = machine.get(f"/devices/{device}", headers={"Accept": "text/html"})
    assert page.status_code == expected
    running = machine.get("/api/v1/forecasts/running-out", params={"within_days": 365}).json()["items"]
    assert any(row["device_id"] == device for row in running) is seen


def test_regions_limit_tickets_orders_and_fleet_health(client):
    east, west, everything = client("manager-east"), client("dispatcher-west"), client("manager")
    tickets = {
        name: {row["device_id"] for row in who.get("/api/v1/tickets").json()["items"]}
        for name, who in (("east", east), ("west", west), ("all", everything))
    }
    assert tickets["east"]
    assert tickets["west"]
    assert not tickets["east"] & tickets["west"]
    assert tickets["all"] == tickets["east"] | tickets["west"]
    orders = {
        name: {row["device_id"] for row in who.get("/api/v1/work-orders").json()["items"]}
        for name, who in (("east", east), ("west", west))
    }
    assert not orders["east"] & orders["west"]
    assert (
        east.get("/api/v1/fleet/health").json()["devices"]
        + west.get("/api/v1/fleet/health").json()["devices"]
        == 7
    )


def test_technician_sees_and_moves_only_own_work_orders(client, world):
    boss = client("dispatcher")
    orders = boss.get("/api/v1/work-orders").json()["items"]
    for name in ("li", "zhao"):
        mine = {
            row["work_order_id"] for row in client(f"tech-{name}").get("/api/v1/work-orders").json()["items"]
        }
        assert mine == {row["work_order_id"] for row in orders if row["technician_id"] == name}
    foreign = next(row for row in orders if row["technician_id"] == "zhao")
    li = client("tech-li")
    for step in ("start", "arrive", "complete"):
        answer = li.post(
            f"/api/v1/work-orders/{foreign['work_order_id']}/{step}", json={}, headers={"If-Match": "*"}
        )
        assert answer.status_code == 404
    assert boss.get(f"/api/v1/work-orders/{foreign['work_order_id']}").json()["version"] == foreign["version"]


def test_tenants_never_meet(world, client):
    rival = client()
    rival.headers["Authorization"] = f"Bearer {world.token('admin', tenant=OTHER_TENANT)}"
    listed = [row["device_id"] for row in rival.get("/api/v1/devices").json()["items"]]
    assert listed == ["rival-01"]
    for path in ("/devices/c3525-01", "/tickets/1", "/work-orders/1"):
        assert rival.get(f"/api/v1{path}").status_code == 404
    ours = client("admin")
    assert ours.get("/api/v1/devices/rival-01").status_code == 404


@pytest.mark.parametrize(
    ("account", "own", "other"),
    [
        ("customer", "cust-1", "cust-2"),
        ("customer-west", "cust-2", "cust-1"),
        ("integrator-west", "cust-2", "cust-1"),
    ],
)
def test_a_bound_account_lists_only_what_is_its_customers(client, account, own, other):
    machine, office = client(account), client("manager")
    for path in ("/devices", "/tickets", "/work-orders"):
        listed = machine.get(f"/api/v1{path}").json()["items"]
        assert {row["customer_id"] for row in listed} == {own}, path
        everything = office.get(f"/api/v1{path}").json()["items"]
        assert len(listed) == sum(row["customer_id"] == own for row in everything), path
    assert machine.get("/api/v1/tickets", params={"customer_id": other}).json()["items"] == []
    assert machine.get("/api/v1/devices", params={"customer_id": other}).json()["items"] == []
    assert machine.get("/api/v1/fleet/health").status_code == 403


def test_customers_do_not_read_remarks_among_staff(client):
    staff, customer = client("dispatcher"), client("customer")
    key = customer.get("/api/v1/tickets").json()["items"][0]["ticket_id"]
    etag = staff.get(f"/api/v1/tickets/{key}").headers["ETag"]
    staff.post(f"/api/v1/tickets/{key}/acknowledge", json={"note": "bill them"}, headers={"If-Match": etag})
    assert "bill them" in staff.get(f"/api/v1/tickets/{key}").text
    seen = customer.get(f"/api/v1/tickets/{key}").json()
    assert "bill them" not in str(seen)
    assert seen["evidence"] == []
    assert seen["clocks"]


def test_integrators_only_read_and_only_with_tokens(client, browser):
    assert client("integrator").get("/api/v1/fleet/health").status_code == 200
    report = {"device_id": "c3525-02", "text": "streaks"}
    assert client("integrator").post("/api/v1/tickets", json=report).status_code == 403
    assert browser("integrator").get("/api/v1/me").status_code == 401


def test_a_customer_lands_on_a_page_of_own_devices_and_promises(browser):
    visitor = browser("customer")
    start = visitor.get("/", headers={"Accept": "text/html"})
    assert (start.status_code, start.headers["Location"]) == (303, "/my")
    page = visitor.get("/my", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "SN00001" in page.text
    assert "SN00004" not in page.text
    assert "Promised by" in page.text
    for elsewhere in ("/devices", "/tickets", "/customers", "/work-orders", "/work"):
        assert visitor.get(elsewhere, headers={"Accept": "text/html"}).status_code == 403


def test_rules_in_the_document_are_the_rules_in_the_code(world):
    app = world.app()
    document = app.openapi()
    for context in iter_route_contexts(app.routes):
        for method in context.methods or ():
            operation = document["paths"].get(context.path, {}).get(method.lower())
            rule = next(iter(rules_of(context)), None)
            if operation and isinstance(rule, Rule):
                assert operation["x-roles"] == sorted(role.value for role in rule.roles)
