"""Questions that are asked for every signal and ticket, built once and worded so that an index answers them.

`tests/integration/test_query_plans.py` looks at the plans.
"""

from functools import cache
from typing import Any

from sqlalchemy import Delete, Select, bindparam, func, text

from crm_core.storage import schema
from crm_core.storage.tables import where_equal


@cache
def number_of_model() -> Select[Any]:
    """Return the count of a model's devices."""
    of_model = where_equal(schema.devices, "tenant", "model_id")
    return of_model.with_only_columns(func.count(), maintain_column_froms=True)


@cache
def raised_between(*columns: str) -> Select[Any]:
    """Return the count of tickets raised from `since` until before `until`, with given values in `columns`."""
    raised_at = schema.tickets.c.raised_at
    rows = where_equal(schema.tickets, *columns).where(
        raised_at >= bindparam("since"), raised_at < bindparam("until")
    )
    return rows.with_only_columns(func.count(), maintain_column_froms=True)


@cache
def open_of_key() -> Select[Any]:
    """Return the query of a cause's open ticket; the condition is worded as in the partial index, or SQLite passes that by."""
    return where_equal(schema.tickets, "tenant", "dedup_key").where(text("tickets.is_open"))


@cache
def links_of() -> Delete:
    """Return the deletion of what a work order serves."""
    link = schema.work_order_tickets
    return link.delete().where(link.c.work_order_id == bindparam("wanted_order"))


@cache
def active_for_ticket() -> Select[Any]:
    """Return the query of the work order that serves a ticket now."""
    link, order = schema.work_order_tickets, schema.work_orders
    active = text("work_order_tickets.active")  # as in the partial index
    return (
        where_equal(order, "tenant")
        .join_from(order, link, link.c.work_order_id == order.c.work_order_id)
        .where(link.c.ticket_id == bindparam("wanted_ticket"), active)
    )
