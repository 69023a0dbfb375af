"""Migrations run up and down on every database, and what comes up again is the declared schema."""

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

import crm_core.storage
from crm_core.storage.schema import metadata
from crm_core.storage.sqlalchemy_uow import make_engine, make_uow_factory, migrate
from tests.builders import a_small_fleet

MIGRATIONS = Path(crm_core.storage.__file__).parent / "migrations"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def url(request, tmp_path):
    """Return an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/crm.db"
    own = request.getfixturevalue("postgres_url").rpartition("/")[0] + "/updown"
    engine = make_engine(request.getfixturevalue("postgres_url")).execution_options(
        isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS updown"))
        connection.execute(text("CREATE DATABASE updown"))
    engine.dispose()
    return own


def to(url, revision):
    """Move the schema to a revision."""
    engine = make_engine(url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision) if revision == "head" else command.downgrade(config, revision)
    engine.dispose()


def tables(url):
    engine = make_engine(url)
    names = set(inspect(engine).get_table_names()) - {"alembic_version"}
    engine.dispose()
    return names


def test_up_down_and_up_again(url):
    migrate(url)
    declared = {table.name for table in metadata.sorted_tables}
    assert tables(url) == declared
    to(url, "base")
    assert tables(url) == set()
    migrate(url)
    assert tables(url) == declared
    engine = make_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
    factory = make_uow_factory(url)
    a_small_fleet(factory)
    factory.close()


def test_each_step_goes_down_and_up_with_data_in_the_first_tables(url):
    migrate(url)
    factory = make_uow_factory(url)
    a_small_fleet(factory)
    factory.close()
    for _ in range(len(list((MIGRATIONS / "versions").glob("v0*.py"))) - 1):
        to(url, "-1")
    migrate(url)
    factory = make_uow_factory(url)
    with factory() as uow:
        assert uow.customers.all("default")
    factory.close()
