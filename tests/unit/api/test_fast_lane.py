"""The fast lane finds what the framework would find, and leaves to it what it does not know."""

from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.testclient import TestClient

from api.access import Public
from api.direct_route import DirectRoute
from api.fast_lane import FastLane
from api.schemas.base import Output

OPEN = Annotated[None, Depends(Public("a test"))]


class Told(Output):
    """What a route of this test says."""

    told: str


def application(*, lane: bool) -> FastAPI:
    things = APIRouter(route_class=DirectRoute)
    things.add_api_route("/things/{name}", lambda name: f"thing {name}", methods=["GET"])

    @things.get("/shelves/{name}")
    def shelf(name: str, _rule: OPEN) -> Told:
        return Told(told=name)

    catch_all = APIRouter()
    catch_all.add_api_route("/{anything}", lambda anything: f"any {anything}", methods=["GET"])
    catch_all.add_api_route("/things", lambda: "posted", methods=["POST"])
    app = FastAPI()
    front = FastLane("/api")
    if lane:
        app.router.routes.insert(0, front)
    for router, prefix in ((things, "/api"), (catch_all, "")):
        app.include_router(router, prefix=prefix)
        front.add(app.router.routes[-1], router, prefix)
    return app


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/things/a"),
        ("GET", "/api/shelves/b?fields=told"),
        ("GET", "/api/shelves/b?fields=nothing"),
        ("DELETE", "/api/shelves/b"),
        ("GET", "/api/absent/a"),
        ("GET", "/somewhere"),
        ("POST", "/things"),
        ("GET", "/"),
        ("GET", "/api/"),
        ("GET", "/a/b/c"),
        ("HEAD", "/api/shelves/b"),
    ],
)
def test_same_answer_with_and_without_the_lane(method, path):
    answers = []
    for lane in (True, False):
        with TestClient(application(lane=lane), raise_server_exceptions=False) as client:
            answer = client.request(method, path)
        answers.append((answer.status_code, answer.content))
    assert answers[0] == answers[1]


def test_lane_asks_only_the_modules_with_that_beginning():
    lane = FastLane("/api")
    app = FastAPI()
    for name in ("things", "shelves"):
        router = APIRouter()
        router.add_api_route(f"/{name}", lambda: "there")
        app.include_router(router, prefix="/api")
        lane.add(app.router.routes[-1], router, "/api")
    assert list(lane._candidates("/api/shelves/7")) == [app.router.routes[-1]]
    assert list(lane._candidates("/shelves")) == []


def test_dependency_that_is_no_rule_is_left_to_the_framework():
    router = APIRouter(route_class=DirectRoute)

    def one() -> int:
        return 1

    @router.get("/late")
    def late(number: Annotated[int, Depends(one)]) -> Told:
        return Told(told=f"waited for {number}")

    app = FastAPI()
    app.include_router(router)
    with TestClient(app) as client:
        assert client.get("/late").json() == {"told": "waited for 1"}
