"""What only a real database promises: migrations, snapshots for readers, refusals of unusable addresses."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from crm_core.domain.errors import InvalidConfiguration
from crm_core.ports import TicketFilter
from crm_core.storage.schema import metadata
from crm_core.storage.sqlalchemy_uow import make_uow_factory, migrate
from tests.builders import TENANT, a_small_fleet, a_ticket


def test_migrations_build_exactly_the_declared_schema(tmp_path):
    url = f"sqlite:///{tmp_path}/crm.db"
    migrate(url)
    migrate(url)
    engine = create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_a_reader_sees_a_snapshot_and_cannot_write(tmp_path):
    url = f"sqlite:///{tmp_path}/crm.db"
    migrate(url)
    writer, reader = make_uow_factory(url), make_uow_factory(url, read_only=True)
    a_small_fleet(writer)
    with writer() as writing, reader() as reading:
        writing.tickets.open_unless_covered(a_ticket())
        assert reading.tickets.list(TENANT, TicketFilter()) == []
        with pytest.raises(OperationalError, match="readonly"):
            reading.tickets.open_unless_covered(a_ticket())
    writer.close()
    reader.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/db"])
def test_an_unusable_address_is_refused(url):
    with pytest.raises(InvalidConfiguration):
        make_uow_factory(url)
