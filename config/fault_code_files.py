"""Reads the fault code book from `config/catalogue/fault_codes.yaml`; a row that says less than it must is refused."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from config.catalogue_files import CATALOGUE, read_yaml
from crm_core.domain.catalogue import FaultCode
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.fault_codes import FaultCodeBook
from crm_core.domain.service import TicketLevel

FILE_NAME: Final = "fault_codes.yaml"
Model = TypeVar("Model", bound=BaseModel)
Text = Annotated[str, Field(min_length=1)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    scheme: Text
    vendor: str | None = None
    match: Literal["exact", "prefix", "pattern", "range", "regex", "text"] = "exact"
    code: str | int
    name: Text
    category: Text
    tier: Literal["L1", "L2", "L3", "none"]
    confidence: Literal["high", "medium", "low"] = "high"
    source: str | None = None
    component: str | None = None
    cleared_by: str | int | None = None
    title: dict[Literal["en", "zh-CN"], str] = {}
    guide: dict[Literal["en", "zh-CN"], list[str]] = {}
    note: str | None = None


class _Pattern(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    vendor: Text
    regex: Text


def load_fault_codes(folder: Path = CATALOGUE) -> FaultCodeBook:
    """Return the book in `folder`, or raise `InvalidConfiguration` naming the row."""
    path = folder / FILE_NAME
    content = read_yaml(path)
    rows = [_row(path, number, row) for number, row in enumerate(content.get("codes") or [], start=1)]
    patterns = [
        _checked(_Pattern, path, f"vendor_code_patterns {number}", row)
        for number, row in enumerate(content.get("vendor_code_patterns") or [], start=1)
    ]
    return FaultCodeBook(rows, [(pattern.vendor, pattern.regex) for pattern in patterns])


def _row(path: Path, number: int, row: Any) -> FaultCode:
    read = _checked(_Row, path, f"codes row {number}", row)
    return FaultCode(
        scheme=read.scheme,
        vendor=read.vendor,
        match=read.match,
        code=str(read.code),
        name=read.name,
        category=read.category,
        level=None if read.tier == "none" else TicketLevel(read.tier),
        source=read.source,
        confidence=read.confidence,
        component=read.component,
        cleared_by=None if read.cleared_by is None else str(read.cleared_by),
        title={str(language): text for language, text in read.title.items()},
        guide={str(language): tuple(steps) for language, steps in read.guide.items()},
        note=read.note,
    )


def _checked(model: type[Model], path: Path, where: str, row: Any) -> Model:
    try:
        return model.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = row.get("code", "") if isinstance(row, dict) else ""
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidConfiguration(f"{path}: {where} {name}: {field}: {first['msg']}") from None
