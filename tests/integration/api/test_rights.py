"""The matrix of rights, generated from the OpenAPI document: every operation x role x own, foreign and absent object.

A leak is an answer about a foreign object that differs from the answer about an absent one.
"""

import re

import pytest
from fastapi.routing import iter_route_contexts

from api.access import Public, Rule
from api.openapi import rules_of
from tests.integration.api.telemetry import OTHER_TENANT

ROLES = {
    "admin": "admin", "manager": "manager", "dispatcher": "dispatcher", "technician": "tech-li",
}  # fmt: skip
#: What fills the path parameters: own = in the person's sight, foreign = exists but is not.
OBJECTS = {
    "device_id": {"own": "c3525-01", "foreign": "rival-01", "absent": "no-such"},
    "ticket_id": {"own": "1", "foreign": "4", "absent": "99999"},
    "work_order_id": {"own": "1", "foreign": "4", "absent": "99999"},
    "user_id": {"own": "manager", "foreign": "rival-user", "absent": "no-such"},
    "name": {"own": "forecasts", "foreign": "no.such", "absent": "no.such"},
    "list_name": {"own": "tickets", "foreign": "no-such", "absent": "nothing"},
    "token_id": {"own": "a" * 64, "foreign": "b" * 64, "absent": "c" * 64},
}
BODIES = {
    "NoteInput": {}, "ReasonInput": {"reason": "test"}, "AssignInput": {"technician_id": "li"}, "CompleteInput": {},
    "ReportInput": {"device_id": "c3525-02", "text": "streaks"}, "UserChange": {"language": "en"},
    "NewUser": {"name": "new-one", "password": "long enough", "role": "manager"},
    "NewToken": {"user_id": "manager", "name": "t", "scopes": ["read"]}, "SignInInput": {"name": "x", "password": "y"},
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


def call(machine, method, path, operation, kind):
    filled = re.sub(r"\{(\w+)\}", lambda found: OBJECTS[found[1]][kind], path)
    return machine.request(
        method, filled, json=body_for(operation), headers={"If-Match": "*"} if method != "get" else {}
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
        if context.path != "/openapi.json" and len(rules_of(context)) != 1
    ]
    assert undeclared == []


def test_public_routes_are_the_ones_that_are_meant_to_be(world):
    public = {
        context.path
        for context in iter_route_contexts(world.app().routes)
        if any(isinstance(rule, Public) for rule in rules_of(context))
    }
    assert public == {
        "/healthz", "/readyz", "/metrics", "/docs", "/sign-in", "/api/v1/sign-in", "/preferences", "/static/{name}", "/worker.js",
    }  # fmt: skip


def test_nobody_gets_in_without_a_token(world, client):
    visitor = client()
    for method, path, operation in operations(world.app()):
        if operation["security"]:
            answer = call(visitor, method, path, operation, "own")
            assert answer.status_code == 401, (method, path, answer.text)


@pytest.mark.parametrize("role", ROLES)
def test_roles_and_objects(world, client, role):
    """Allowed roles never get 403, others always; foreign objects answer like absent ones, byte by byte."""
    machine = client(ROLES[role])
    for method, path, operation in operations(world.app()):
        if not operation["security"] or path.endswith("/sign-out"):
            continue
        allowed = role in operation["x-roles"]
        kinds = ("absent", "foreign", "own") if "{" in path else ("own",)
        answers = {kind: call(machine, method, path, operation, kind) for kind in kinds}
        if not allowed:
            assert {answer.status_code for answer in answers.values()} == {403}, (role, method, path)
            continue
        assert answers["own"].status_code not in (401, 403, 500), (role, method, path, answers["own"].text)
        if "absent" in answers:
            values = [
                OBJECTS[name][kind]
                for name in re.findall(r"\{(\w+)\}", path)
                for kind in ("absent", "foreign")
            ]
            absent, foreign = answers["absent"], answers["foreign"]
            assert absent.status_code == foreign.status_code == 404, (role, method, path, foreign.status_code)
            assert comparable(absent, values) == comparable(foreign, values), (role, method, path)


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


def test_rules_in_the_document_are_the_rules_in_the_code(world):
    app = world.app()
    document = app.openapi()
    for context in iter_route_contexts(app.routes):
        for method in context.methods or ():
            operation = document["paths"].get(context.path, {}).get(method.lower())
            rule = next(iter(rules_of(context)), None)
            if operation and isinstance(rule, Rule):
                assert operation["x-roles"] == sorted(role.value for role in rule.roles)
