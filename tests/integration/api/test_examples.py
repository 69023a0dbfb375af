"""The examples of the OpenAPI document fit their schemas, and every example of a body is understood."""

import re

import jsonschema
import pytest

from tests.integration.api.test_rights import OBJECTS, operations

#: Bodies whose fields hang together in ways that a schema does not say; their own tests send real ones.
TOGETHER = {"/api/v1/users/{user_id}"}


def json_contents(operation):
    for part in (operation.get("requestBody", {}), *operation["responses"].values()):
        content = part.get("content", {}).get("application/json")
        if content is not None:
            yield content


def test_every_operation_has_examples_that_fit_their_schema(world):
    document = world.app().openapi()
    schemas = document["components"]["schemas"]
    for method, path, operation in operations(world.app()):
        answers = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
        assert answers, (method, path)
        for content in json_contents({**operation, "responses": dict(enumerate(answers))}):
            assert "example" in content, (method, path)
            schema = {**content["schema"], "components": {"schemas": schemas}}
            try:
                jsonschema.validate(content["example"], schema)
            except jsonschema.ValidationError as error:
                pytest.fail(f"{method} {path}: {error.message} at {list(error.absolute_path)}")


def test_every_example_of_a_body_is_read_without_complaint(world, client):
    """Nobody is signed in as the right person for each: what counts is that the body is no bad request."""
    admin = client("admin")
    refused = []
    for method, path, operation in operations(world.app()):
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body is None or path.endswith(("/sign-in", "/sign-out")) or path in TOGETHER:
            continue
        filled = re.sub(r"\{(\w+)\}", lambda found: OBJECTS[found[1]]["absent"], path)
        answer = admin.request(method, filled, json=body["example"], headers={"If-Match": "*"})
        told = answer.json() if answer.status_code in (400, 422) else {}
        if answer.status_code >= 500 or answer.status_code == 400 or told.get("errors"):
            refused.append((method, path, told.get("errors")))
    assert refused == []
