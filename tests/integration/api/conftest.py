"""The world of the API tests: built once a session, copied for each test, so that tests may change it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.access import SESSION_COOKIE
from tests.integration.api.world import World, build_world, copy_world, open_world

Client = Callable[..., TestClient]


@pytest.fixture(scope="session")
def world_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    build_world(folder)
    return folder


@pytest.fixture
def world(world_template: Path, tmp_path: Path) -> Iterator[World]:
    opened = open_world(copy_world(world_template, tmp_path / "world"))
    yield opened
    opened.close()


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    """Return a factory of clients: `client("manager")` carries a bearer token, `client()` nothing."""
    app = world.app()

    def make(user_id: str | None = None, *scopes: str, **options: object) -> TestClient:
        made = TestClient(app, base_url="http://testserver", follow_redirects=False, **options)
        if user_id:
            made.headers["Authorization"] = f"Bearer {world.token(user_id, *scopes)}"
        return stack.enter_context(made)  # one event loop a client instead of one a request

    with ExitStack() as stack:
        yield make


@pytest.fixture
def browser(client: Client, world: World) -> Callable[[str], TestClient]:
    """Return a factory of clients with the cookie of a session (signing in itself is tested in test_sign_in)."""

    def sign_in(name: str) -> TestClient:
        made = client()
        made.cookies.set(SESSION_COOKIE, world.token(name, purpose="session"))
        return made

    return sign_in
