"""Limits on requests: known callers have their own, strangers and made-up tokens share that of their address."""

from starlette.testclient import TestClient

from api.services import ApiSettings, RateLimits
from tests.integration.api.world import copy_world, open_world


def test_strangers_are_slowed_down_and_known_callers_are_not(world_template, tmp_path):
    limits = RateLimits(per_caller=6000, per_address=60)  # 60 at once, then one a second
    world = open_world(copy_world(world_template, tmp_path / "world"), ApiSettings(rate_limits=limits))
    good = {"Authorization": f"Bearer {world.token('manager')}"}
    with TestClient(world.app()) as visitor:
        assert visitor.get("/api/v1/me", headers=good).status_code == 200  # known from here on
        made_up = [visitor.get("/api/v1/me", headers={"Authorization": f"Bearer no-{n}"}) for n in range(75)]
        statuses = [answer.status_code for answer in made_up]
        assert statuses[:50] == [401] * 50
        refused = made_up[-1]
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) >= 1
        assert refused.json()["code"] == "too_many_requests"
        assert visitor.get("/api/v1/me", headers=good).status_code == 200
        assert visitor.get("/healthz").status_code == 200
    world.close()
