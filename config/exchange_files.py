"""Reads the mappings of `config/exchange/*.yaml`: which columns other systems know, and what they are to us."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from config.catalogue_files import read_yaml
from crm_core.domain.errors import InvalidConfiguration, NotFound
from crm_core.exchange.fields import FIELDS
from crm_core.exchange.lists import COLUMNS
from crm_core.exchange.mapping import ExportMapping, ImportMapping, MappedColumn

EXCHANGE: Final = Path(__file__).parent / "exchange"


@dataclass(frozen=True, slots=True)
class Mappings:
    """All mappings by system."""

    imports: Mapping[tuple[str, str], ImportMapping]
    exports: Mapping[tuple[str, str], ExportMapping]

    def importing(self, system: str, kind: str) -> ImportMapping:
        """Return how a kind of table of a system is read, or raise `NotFound` with what there is."""
        found = self.imports.get((system, kind))
        if found is None:
            known = ", ".join(f"{one} {other}" for one, other in sorted(self.imports))
            raise NotFound(f"no mapping for {kind} of {system}; there are: {known}")
        return found

    def exporting(self, system: str, object_name: str) -> ExportMapping:
        """Return an object of a system (`drumbeat` with the name of a list: our own names), or raise `NotFound`."""
        found = self.exports.get((system, object_name))
        if found is None:
            known = ", ".join(f"{one} {other}" for one, other in sorted(self.exports))
            raise NotFound(f"no object {object_name} of {system}; there are: {known}")
        return found


def load_mappings(folder: Path = EXCHANGE) -> Mappings:
    """Return all mappings; raises `InvalidConfiguration` naming file and key."""
    imports: dict[tuple[str, str], ImportMapping] = {}
    exports: dict[tuple[str, str], ExportMapping] = {
        ("drumbeat", name): ExportMapping(
            system="drumbeat",
            object_name=name,
            list_name=name,
            columns=tuple(MappedColumn(name=column, field=column) for column in columns),
        )
        for name, columns in COLUMNS.items()
    }
    for path in sorted(folder.glob("*.yaml")):
        told = read_yaml(path)
        extra = sorted(told.keys() - {"system", "exports", "imports"})
        if extra or told.get("system") != path.stem:
            raise InvalidConfiguration(f"{path}: must hold system ({path.stem}), exports and imports only")
        for kind, table in (told.get("imports") or {}).items():
            imports[path.stem, kind] = _import(path, kind, table)
        for name, table in (told.get("exports") or {}).items():
            exports[path.stem, name] = _export(path, name, table)
    return Mappings(imports, exports)


def _import(path: Path, kind: str, table: Any) -> ImportMapping:
    if kind not in FIELDS or not isinstance(table, Mapping) or not isinstance(table.get("columns"), Mapping):
        raise InvalidConfiguration(f"{path}: imports.{kind}: columns of a known kind are needed")
    unknown = sorted((table["columns"].keys() | (table.get("values") or {}).keys()) - FIELDS[kind].keys())
    extra = sorted(table.keys() - {"columns", "values", "constants"})
    if unknown or extra:
        raise InvalidConfiguration(f"{path}: imports.{kind}: unknown: {', '.join([*unknown, *extra])}")
    values = {
        name: {str(theirs).lower(): str(ours) for theirs, ours in pairs.items()}
        for name, pairs in (table.get("values") or {}).items()
    }
    return ImportMapping(
        system=path.stem,
        kind=kind,
        columns={name: tuple(map(str, names)) for name, names in table["columns"].items()},
        constants={name: str(text) for name, text in (table.get("constants") or {}).items()},
        values=values,
    )


def _export(path: Path, name: str, table: Any) -> ExportMapping:
    list_name = table.get("list") if isinstance(table, Mapping) else None
    if not isinstance(list_name, str) or list_name not in COLUMNS:
        raise InvalidConfiguration(f"{path}: exports.{name}: list must be one of {', '.join(COLUMNS)}")
    columns = tuple(_column(path, name, key, told) for key, told in table["columns"].items())
    unknown = sorted({each.field for each in columns if each.field} - set(COLUMNS[list_name]))
    if unknown:
        raise InvalidConfiguration(f"{path}: exports.{name}: {list_name} has no {', '.join(unknown)}")
    return ExportMapping(system=path.stem, object_name=name, list_name=list_name, columns=columns)


def _column(path: Path, name: str, key: str, told: Any) -> MappedColumn:
    if isinstance(told, str):
        return MappedColumn(name=key, field=told)
    if not isinstance(told, Mapping) or told.keys() - {"field", "fixed", "values"}:
        raise InvalidConfiguration(
            f"{path}: exports.{name}.{key}: a field, or {{field, values}}, or {{fixed}}"
        )
    values = {str(ours): str(theirs) for ours, theirs in (told.get("values") or {}).items()}
    if len(set(values.values())) != len(values):
        raise InvalidConfiguration(f"{path}: exports.{name}.{key}: two of our values become the same")
    return MappedColumn(
        name=key,
        field=None if told.get("field") is None else str(told["field"]),
        fixed=None if told.get("fixed") is None else str(told["fixed"]),
        values=values,
    )
