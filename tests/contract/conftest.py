"""The stores of the CRM that contract tests run on: memory, SQLite, and a private PostgreSQL."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from crm_core.ports import UnitOfWorkFactory
from crm_core.storage.memory import make_memory_uow_factory
from crm_core.storage.schema import metadata
from crm_core.storage.sqlalchemy_uow import make_engine, make_uow_factory, migrate
from tests.conftest import requires_server
from tests.contract.postgres import private_cluster


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with private_cluster(requires_server("initdb"), requires_server("pg_ctl"), port) as url:
        migrate(url)
        yield url


def _emptied(url: str) -> None:
    engine = make_engine(url)
    with engine.begin() as connection:
        tables = ", ".join(table.name for table in metadata.sorted_tables)
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
    engine.dispose()


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def uow_factory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[UnitOfWorkFactory]:
    if request.param == "memory":
        yield make_memory_uow_factory()
        return
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/crm.db"
        migrate(url)
    else:
        url = request.getfixturevalue("postgres_url")
        _emptied(url)
    factory = make_uow_factory(url)
    yield factory
    factory.close()
