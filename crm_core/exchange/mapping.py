"""Mappings between our names and those of other systems: data under `config/exchange`, both ways with one definition."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crm_core.domain.errors import InvalidValue
from crm_core.exchange.sheets import Cell, Sheet


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedColumn:
    """One column of a foreign table: our field, or a fixed text; `values` translate codes, ours to theirs."""

    name: str
    field: str | None = None
    fixed: str | None = None
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportMapping:
    """One object of a foreign system: which of our lists it is made of, and its columns in order."""

    system: str
    object_name: str
    list_name: str
    columns: tuple[MappedColumn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportMapping:
    """How a foreign table is read: for each of our fields the column names under which it may come; `units` scale them.

    `constants` are fields that every row gets; `values` translate texts, theirs (lower case) to ours.
    """

    system: str
    kind: str  # customers, sites, contracts, devices, readings, print_totals
    columns: Mapping[str, tuple[str, ...]]
    constants: Mapping[str, str] = dataclasses.field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    note: str = ""


def export_rows(mapping: ExportMapping, rows: Sequence[Mapping[str, Cell]]) -> list[list[Cell]]:
    """Return our rows as those of the foreign object."""
    return [[_theirs(column, row) for column in mapping.columns] for row in rows]


def ours_again(mapping: ExportMapping, sheet: Sheet) -> list[dict[str, str]]:
    """Return the rows of an exported file in our names: what the foreign system sends back can be compared."""
    by_name = {column.name: column for column in mapping.columns}
    missing = sorted(by_name.keys() - set(sheet.columns))
    if missing:
        raise InvalidValue(f"{mapping.object_name} lacks the columns {', '.join(missing)}")
    made = []
    for row in sheet.as_dicts():
        found: dict[str, str] = {}
        for column in mapping.columns:
            if column.field is not None:
                back = {theirs: ours for ours, theirs in column.values.items()}
                found[column.field] = back.get(row[column.name], row[column.name])
        made.append(found)
    return made


def chosen_columns(
    mapping: ImportMapping, sheet: Sheet, named: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return for each of our fields the column of the sheet that holds it; `named` says it for some fields.

    Raises `InvalidValue` for a field or a column that is not there.
    """
    unknown = sorted(set(named or {}) - mapping.columns.keys())
    if unknown:
        raise InvalidValue(f"no field {', '.join(unknown)}; there are: {', '.join(mapping.columns)}")
    chosen: dict[str, str] = {}
    folded = {_folded(column): column for column in sheet.columns}
    for our_field, names in mapping.columns.items():
        told = (named or {}).get(our_field)
        if told is not None and told not in sheet.columns:
            raise InvalidValue(f"there is no column {told!r}; the file has: {', '.join(sheet.columns)[:500]}")
        hit = told or next((folded[_folded(name)] for name in names if _folded(name) in folded), None)
        if hit is not None:
            chosen[our_field] = hit
    return chosen


def read_columns(
    mapping: ImportMapping, sheet: Sheet, named: Mapping[str, str] | None = None
) -> list[dict[str, str]]:
    """Return the rows of a sheet in our field names; `named` says for some fields which column holds them."""
    chosen = chosen_columns(mapping, sheet, named)
    if not chosen:
        raise InvalidValue(
            f"no column is known for {mapping.kind}; the file has: {', '.join(sheet.columns)[:500]}"
        )
    return [
        dict(mapping.constants) | {name: _ours(mapping, name, row[column]) for name, column in chosen.items()}
        for row in sheet.as_dicts()
    ]


def _theirs(column: MappedColumn, row: Mapping[str, Cell]) -> Cell:
    if column.field is None:
        return column.fixed
    value = row.get(column.field)
    return column.values.get(str(value), value) if value is not None else None


def _ours(mapping: ImportMapping, name: str, text: str) -> str:
    return mapping.values.get(name, {}).get(text.strip().lower(), text.strip())


def _folded(name: str) -> str:
    return "".join(one for one in name.lower() if one.isalnum())
