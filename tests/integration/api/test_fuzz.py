"""Hostile and lawful requests over every operation and role, generated from the OpenAPI document.

Holds for each: no answer of 500 or more, no status that the document does not name, errors are problems, and bodies fit
the schema that the document states. The seed is printed with a failure; the number of cases grows with the mark.
"""

import json
import random
import re

import jsonschema
import pytest

ROLES = ("admin", "manager", "manager-east", "dispatcher", "tech-li", None)
IDS = ("c3525-01", "rival-01", "1", "2", "4", "99999", "manager", "forecasts", "tickets", "a" * 64, "no-such")
HOSTILE = (
    "", "0", "-1", "1e999", "NaN", "null", "true", "'", "' OR 1=1 --", "%00", "\x7f", "../../etc/passwd", "..%2f", "{{7*7}}", "${jndi}",
    "<script>", "\u202e中文", "𝔘", "x" * 5000, "9" * 400, "2026-02-30", "2026-01-01", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00", "open", "all", "L2", "csv", "xlsx", "14", "200", "zh-CN", "=1+1",
)  # fmt: skip
VALUES = (
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    "",
    "ok",
    "x" * 3000,
    "a\u0000b",
    [],
    {},
    [["deep"] * 3],
    {"a": {"b": 1}},
    "fixed",
    "li",
    "L1",
)


def quoted(text):
    return (
        "".join(c if c.isalnum() or c in "-._" else "".join(f"%{b:02X}" for b in c.encode()) for c in text)
        or "%20"
    )


def request_of(choose, method, path, operation, schemas):
    """Return (url, keyword arguments) of one random request; about half of the parts are lawful."""
    url = re.sub(r"\{\w+\}", lambda _: quoted(choose.choice(IDS if choose.random() < 0.7 else HOSTILE)), path)
    query = {
        parameter["name"]: choose.choice(HOSTILE)
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query" and choose.random() < 0.4
    }
    headers = {"Accept-Language": choose.choice(("zh", "en", "x;q=y", ""))}
    if choose.random() < 0.5:
        headers["If-Match"] = choose.choice(("*", '"v1"', '"v2"', "nonsense", 'W/"v1"', ","))
    if choose.random() < 0.2:
        headers["Idempotency-Key"] = choose.choice(("k1", "k2", "x" * 200))
    if "requestBody" not in operation:
        return url, {"params": query, "headers": headers}
    content = operation["requestBody"]["content"]
    if "application/json" not in content:  # files: photos, spreadsheets
        sent = choose.choice((b"", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", b"a,b\n1,2\n", b"\xff" * 2000))
        headers["Content-Type"] = choose.choice((*content, "text/plain"))
        return url, {"params": query, "headers": headers, "content": sent}
    name = content["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
    fields = list(schemas[name].get("properties", {}))
    body = {field: choose.choice(VALUES) for field in fields if choose.random() < 0.6}
    if choose.random() < 0.2:
        body[choose.choice(("extra", "role", "__proto__", "version"))] = choose.choice(VALUES)
    content = (
        json.dumps(body).encode()
        if choose.random() < 0.9
        else choose.choice((b"{", b"\xff", b"[1]", b'{"a": NaN}', b""))
    )
    headers["Content-Type"] = choose.choice(("application/json", "application/json", "text/plain"))
    return url, {"params": query, "headers": headers, "content": content}


def check(answer, operation, schemas, context):
    status = str(answer.status_code)
    assert answer.status_code < 500, (context, answer.text[:300])
    assert status in operation["responses"], (context, status, answer.text[:300])
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json", context
        assert answer.json()["status"] == answer.status_code
    elif "application/json" in answer.headers.get("Content-Type", ""):
        schema = (
            operation["responses"][status].get("content", {}).get("application/json", {}).get("schema", {})
        )
        jsonschema.validate(answer.json(), {**schema, "components": {"schemas": schemas}})


def run(world, client, cases, seed):
    document = world.app().openapi()
    schemas = document["components"]["schemas"]
    operations = [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if not path.endswith(
            ("/sign-out", "/sign-in", "/events")
        )  # the first ends the test's own token, the second is throttled, the third never ends
    ]
    machines = {role: client(role) for role in ROLES}
    choose = random.Random(seed)
    for number in range(cases):
        method, path, operation = choose.choice(operations)
        role = choose.choice(ROLES)
        url, arguments = request_of(choose, method, path, operation, schemas)
        answer = machines[role].request(method, url, **arguments)
        if (
            answer.status_code == 401 and role is not None
        ):  # a change of rights ended the token: that is the rule
            machines[role] = client(None)
            continue
        if answer.status_code in (404, 405) and "/" in url.removeprefix(path.split("{")[0]).split("?")[0]:
            continue  # the value led to another address
        check(
            answer,
            operation,
            schemas,
            f"seed {seed} case {number}: {role} {method} {url} {str(arguments)[:300]}",
        )


def test_some_requests_of_all_kinds(world, client):
    run(world, client, 250, seed=1)


@pytest.mark.heavy
def test_a_thousand_requests(world, client):
    run(world, client, 1000, seed=2)


@pytest.mark.soak
def test_twenty_thousand_requests(world, client):
    for seed in range(20):
        run(world, client, 1000, seed=100 + seed)
