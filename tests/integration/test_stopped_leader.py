"""A leader that is stopped (SIGSTOP) is replaced in time, and when it goes on (SIGCONT) nothing happens twice.

On PostgreSQL it is stopped at the worst moment: within a transaction that holds the signals, the tickets and the lease.
SQLite has no server that could end such a transaction: there the leader is stopped between two of them.
"""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.wiring.analysing import LEASE_SECONDS as PRODUCT_LEASE_SECONDS
from tests.conftest import requires_server
from tests.contract.postgres import private_cluster
from tests.integration.service_cluster import TAKE_OVER_SECONDS, Cluster

PATIENCE_SECONDS = 60.0
SHORT_LEASE_SECONDS = 4.0


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Cluster]:
    running = Cluster(f"sqlite:///{tmp_path}/crm.db", SHORT_LEASE_SECONDS, tmp_path)
    yield running
    running.stop()


@pytest.fixture
def on_postgresql(tmp_path: Path) -> Iterator[Cluster]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with private_cluster(requires_server("initdb"), requires_server("pg_ctl"), port) as url:
        running = Cluster(url, PRODUCT_LEASE_SECONDS, tmp_path)
        yield running
        running.stop()


def wait_until_stopped(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < deadline, "the leader did not stop"
        time.sleep(0.01)


def raise_some(cluster: Cluster, number: int) -> None:
    for _ in range(number):
        cluster.raise_one()


def others_take_over_and_the_sleeper_wakes(cluster: Cluster, sleeper: str, tickets: int) -> None:
    """Measure the take-over, wake the old leader, let it lead again, and see that all happened once."""
    took = cluster.wait_for_tickets(tickets, TAKE_OVER_SECONDS)
    print(f"\ntake-over of a stopped leader: {took:.1f} s with a lease of {cluster.lease_seconds:g} s")
    other = cluster.leader()
    assert other != sleeper
    os.kill(cluster.nodes[sleeper].pid, signal.SIGCONT)
    raise_some(cluster, 10)
    cluster.wait_for_tickets(tickets + 10, PATIENCE_SECONDS)
    assert cluster.leader() == other
    cluster.nodes[other].kill()
    raise_some(cluster, 10)
    cluster.wait_for_tickets(tickets + 20, PATIENCE_SECONDS)  # its connections are whole again
    cluster.wait_for_orders(tickets + 20, PATIENCE_SECONDS)
    assert cluster.leader() == sleeper
    assert len(cluster.tickets()) == len(set(cluster.tickets())) == tickets + 20
    assert len(cluster.orders()) == len(set(cluster.orders())) == tickets + 20


@pytest.mark.heavy
@pytest.mark.server
def test_stopped_with_all_its_locks_on_postgresql(on_postgresql):
    raise_some(on_postgresql, 10)
    on_postgresql.wait_for_orders(10, PATIENCE_SECONDS)
    sleeper = on_postgresql.leader()
    (on_postgresql.folder / sleeper).touch()
    raise_some(on_postgresql, 1)
    wait_until_stopped(on_postgresql.nodes[sleeper].pid)
    raise_some(on_postgresql, 9)
    others_take_over_and_the_sleeper_wakes(on_postgresql, sleeper, 20)


@pytest.mark.heavy
def test_stopped_between_two_transactions_on_sqlite(on_sqlite):
    raise_some(on_sqlite, 10)
    on_sqlite.wait_for_orders(10, PATIENCE_SECONDS)
    sleeper = on_sqlite.leader()
    with on_sqlite.uow_factory():  # who holds the only write transaction knows that nobody else is within one
        os.kill(on_sqlite.nodes[sleeper].pid, signal.SIGSTOP)
        wait_until_stopped(on_sqlite.nodes[sleeper].pid)
    raise_some(on_sqlite, 10)
    others_take_over_and_the_sleeper_wakes(on_sqlite, sleeper, 20)
