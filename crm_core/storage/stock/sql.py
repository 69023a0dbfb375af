"""Stock over the CRM database (`ports.StockRepository`)."""

from sqlalchemy import Connection


class SqlStockRepository:
    """The double-entry ledger of stock, cartridges in devices, stand-by machines and their loans (`ports.StockRepository`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
