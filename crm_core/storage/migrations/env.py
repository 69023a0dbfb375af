"""Alembic's entry: runs the versions on the connection that `sqlalchemy_uow.migrate` hands over."""

from alembic import context

from crm_core.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes columns by copying the table
)
with context.begin_transaction():
    context.run_migrations()
