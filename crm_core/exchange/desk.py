"""Files in and out as people ask for them: a file of some system and kind comes in, an object of some system goes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import TenantId
from crm_core.exchange.importing import Importer, ImportReport
from crm_core.exchange.lists import LISTS
from crm_core.exchange.mapping import ExportMapping, ImportMapping, chosen_columns, export_rows, read_columns
from crm_core.exchange.sheets import read_sheet, write_csv, write_xlsx
from crm_core.ports import UnitOfWorkFactory

CSV_TYPE: Final = "text/csv; charset=utf-8"
XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class Mappings(Protocol):
    """Mappings by system (`config.exchange_files`); unknown ones raise `NotFound`."""

    @property
    def imports(self) -> Mapping[tuple[str, str], ImportMapping]: ...

    @property
    def exports(self) -> Mapping[tuple[str, str], ExportMapping]: ...

    def importing(self, system: str, kind: str) -> ImportMapping: ...

    def exporting(self, system: str, object_name: str) -> ExportMapping: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """A finished file."""

    name: str
    media_type: str
    body: bytes
    rows: int


class ExchangeDesk:
    """Imports and exports of one installation."""

    def __init__(self, importer: Importer, mappings: Mappings, uow_factory: UnitOfWorkFactory) -> None:
        self._importer = importer
        self._mappings = mappings
        self._uow_factory = uow_factory

    def imports(self) -> Sequence[ImportMapping]:
        """Return what can come in, by system and kind."""
        return [mapping for _, mapping in sorted(self._mappings.imports.items())]

    def exports(self) -> Sequence[ExportMapping]:
        """Return what can go out, by system and object."""
        return [mapping for _, mapping in sorted(self._mappings.exports.items())]

    def look(
        self, system: str, kind: str, body: bytes, columns: Mapping[str, str] | None = None
    ) -> tuple[Sequence[str], Mapping[str, str | None]]:
        """Return the columns of a file, and for each of our fields the column that would be read (None = none).

        Raises as `take_in` does.
        """
        mapping, sheet = self._mappings.importing(system, kind), read_sheet(body)
        chosen = chosen_columns(mapping, sheet, columns)
        return sheet.columns, {name: chosen.get(name) for name in mapping.columns}

    def take_in(
        self,
        tenant: TenantId,
        system: str,
        kind: str,
        body: bytes,
        *,
        dry_run: bool,
        skip_bad_rows: bool = False,
        columns: Mapping[str, str] | None = None,
    ) -> ImportReport:
        """Import a CSV or XLSX file; `columns` names for a field the column that holds it.

        Raises `NotFound` for an unknown system or kind, `InvalidValue` for a file that cannot be read.
        """
        mapping = self._mappings.importing(system, kind)
        rows = read_columns(mapping, read_sheet(body), columns)
        return self._importer.run(tenant, kind, rows, dry_run=dry_run, skip_bad_rows=skip_bad_rows)

    def give_out(self, tenant: TenantId, system: str, object_name: str, form: str) -> ExportedFile:
        """Return an object of a system as `csv` or `xlsx`; formulas in texts are defused."""
        mapping = self._mappings.exporting(system, object_name)
        if form not in ("csv", "xlsx"):
            raise InvalidValue("the format must be csv or xlsx")
        with self._uow_factory() as uow:
            ours = LISTS[mapping.list_name](uow, tenant)
        rows = export_rows(mapping, ours)
        columns = [column.name for column in mapping.columns]
        body = write_csv(columns, rows) if form == "csv" else write_xlsx(columns, rows, object_name)
        return ExportedFile(
            name=f"{system}-{mapping.list_name}.{form}",
            media_type=CSV_TYPE if form == "csv" else XLSX_TYPE,
            body=body,
            rows=len(rows),
        )
