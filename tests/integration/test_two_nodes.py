"""Two processes with one timer each on one database: each signal acts once, and a killed leader is replaced in time."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.service_cluster import TAKE_OVER_SECONDS, Cluster

LEASE_SECONDS = 4.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    running = Cluster(f"sqlite:///{tmp_path}/crm.db", LEASE_SECONDS, tmp_path)
    yield running
    running.stop()


@pytest.mark.heavy
def test_a_killed_leader_is_replaced_and_nothing_happens_twice(cluster):
    for _ in range(20):
        cluster.raise_one()
    cluster.wait_for_tickets(20, TAKE_OVER_SECONDS)
    first = cluster.leader()
    cluster.nodes[first].send_signal(signal.SIGKILL)
    for _ in range(20):
        cluster.raise_one()
    took = cluster.wait_for_tickets(40, TAKE_OVER_SECONDS)
    print(f"\ntake-over after kill -9: {took:.1f} s with a lease of {LEASE_SECONDS:g} s")
    assert cluster.leader() != first
    assert len(cluster.tickets()) == len(set(cluster.tickets())) == 40
