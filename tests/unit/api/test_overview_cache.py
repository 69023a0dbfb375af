"""Fleet health from memory: small fleets are always looked at, large ones are told at once and looked at behind."""

import threading

from api.overview_cache import OverviewCache
from crm_core.domain.identity import DEFAULT_TENANT, TenantId


class SlowHealth:
    """A fleet whose look takes `seconds` of the test's clock."""

    def __init__(self, seconds):
        self.seconds, self.now, self.looks = seconds, 0.0, []
        self.go_on = threading.Event()
        self.go_on.set()

    def overview(self, tenant, regions):
        assert self.go_on.wait(60)
        self.now += self.seconds
        self.looks.append((tenant, tuple(regions)))
        return len(self.looks)


def cache_over(health):
    return OverviewCache(health, lambda: health.now)


def test_a_small_fleet_is_looked_at_each_time():
    health = SlowHealth(0.01)
    cache = cache_over(health)
    assert [cache.overview(DEFAULT_TENANT) for _ in range(3)] == [1, 2, 3]


def test_a_large_fleet_is_told_at_once_and_looked_at_behind():
    health = SlowHealth(2.0)
    cache = cache_over(health)
    assert [cache.overview(DEFAULT_TENANT) for _ in range(3)] == [1, 1, 1]
    health.now += 21.0
    health.go_on.clear()  # a look takes its time; nobody waits for it
    assert [cache.overview(DEFAULT_TENANT) for _ in range(3)] == [1, 1, 1]
    health.go_on.set()
    cache.wait()
    assert len(health.looks) == 2
    assert cache.overview(DEFAULT_TENANT) == 2


def test_looks_are_never_older_than_two_minutes_and_kept_apart():
    health = SlowHealth(60.0)
    cache = cache_over(health)
    cache.overview(DEFAULT_TENANT, ["east"])
    cache.overview(DEFAULT_TENANT)
    cache.overview(TenantId("rival"))
    assert health.looks == [(DEFAULT_TENANT, ("east",)), (DEFAULT_TENANT, ()), ("rival", ())]
    health.now += 121.0
    cache.overview(DEFAULT_TENANT, ["east"])
    cache.wait()
    assert health.looks[3:] == [(DEFAULT_TENANT, ("east",))]


def test_the_first_who_asks_after_a_start_is_told_what_was_seen_before_it():
    health = SlowHealth(2.0)
    cache = cache_over(health)
    cache.prepare(DEFAULT_TENANT)
    assert [cache.overview(DEFAULT_TENANT) for _ in range(3)] == [1, 1, 1]
    assert len(health.looks) == 1
