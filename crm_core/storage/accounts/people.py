"""People who sign in and their tokens, over the CRM database (`ports.UserRepository`)."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, bindparam, select

from crm_core.domain.identity import TenantId
from crm_core.domain.service import AccessToken, User
from crm_core.storage.accounts.tables import access_tokens, users
from crm_core.storage.rows import entity_from, entity_of, row_of
from crm_core.storage.tables import TableRepository, upsert

_TOKEN_FIELDS: Final = tuple(str(column.name) for column in access_tokens.columns)
_USER_FIELDS: Final = tuple(str(column.name) for column in users.columns)


class SqlUserRepository(TableRepository[User]):
    """People who sign in, and their tokens (`ports.UserRepository`)."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, users, User, "user_id")

    def find_by_name(self, tenant: TenantId, name: str) -> User | None:
        return self._one(self._of_tenant(tenant).where(users.c.name == name))

    def save_token(self, token: AccessToken) -> None:
        upsert(self._connection, access_tokens, row_of(token))

    def tokens(self, tenant: TenantId, purpose: str) -> Sequence[AccessToken]:
        table = access_tokens
        query = select(table).where(table.c.tenant == tenant, table.c.purpose == purpose)
        rows = self._connection.execute(query.order_by(table.c.created_at, table.c.token_hash)).mappings()
        return [entity_of(row, AccessToken) for row in rows]

    def find_token(self, token_hash: str) -> AccessToken | None:
        table = access_tokens
        row = (
            self._connection.execute(select(table).where(table.c.token_hash == token_hash)).mappings().first()
        )
        return None if row is None else entity_of(row, AccessToken)

    def bearer(self, token_hash: str) -> tuple[AccessToken, User] | None:
        row = self._connection.execute(_bearer(), {"wanted_hash": token_hash}).first()
        if row is None:
            return None
        split = len(_TOKEN_FIELDS)
        return entity_from(row[:split], _TOKEN_FIELDS, AccessToken), entity_from(
            row[split:], _USER_FIELDS, User
        )

    def revoke_token(self, token_hash: str) -> None:
        table = access_tokens
        self._connection.execute(table.delete().where(table.c.token_hash == token_hash))

    def revoke_tokens_of(self, tenant: TenantId, user_id: str) -> None:
        table = access_tokens
        self._connection.execute(table.delete().where(table.c.tenant == tenant, table.c.user_id == user_id))


@cache
def _bearer() -> Select[Any]:
    """Return the query of a token with its user; built once, because it runs before every request."""
    token, user = access_tokens, users
    same = and_(user.c.tenant == token.c.tenant, user.c.user_id == token.c.user_id)
    columns = [column.label(f"token_{column.name}") for column in token.columns]
    columns += [column.label(f"user_{column.name}") for column in user.columns]
    query = select(*columns).select_from(token.join(user, same))
    return query.where(token.c.token_hash == bindparam("wanted_hash"))
