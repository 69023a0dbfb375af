"""Reads the catalogue of device models from YAML into the domain's frozen types, refusing what cannot be right."""

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from crm_core.domain.catalogue import Capabilities, Catalogue, CataloguePart, CatalogueSupply, DeviceModel
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.identity import IDENTIFIER_PATTERN, ModelId

CATALOGUE: Final = Path(__file__).parent / "catalogue"
Pages = Annotated[int, Field(gt=0, le=100_000_000)]
Price = Annotated[Decimal, Field(gt=0, decimal_places=2)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Supply(_Row):
    kind: Literal["toner", "ink", "drum", "developer", "fuser", "transfer", "waste", "staples", "maintenance"]
    colour: Literal["black", "cyan", "magenta", "yellow", "light_cyan", "light_magenta", "grey"] | None = None
    part_number: str | None = None
    yield_pages: Pages | None = Field(default=None, alias="yield")
    price: Price | None = None


class _Part(_Row):
    component: str
    life: Pages


class _Capabilities(_Row):
    colour: bool = False
    dpi: Annotated[int, Field(ge=150, le=9600)] | None = None
    duplex: bool = False
    staple: bool = False
    mobile_print: bool = False
    disk_encryption: bool = False
    user_rights: bool = False
    separate_drum: bool = False
    pantone: bool = False


class _Model(_Row):
    id: Annotated[str, Field(pattern=IDENTIFIER_PATTERN)]
    vendor: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)]
    patterns: Annotated[list[str], Field(min_length=1)]
    technology: Literal["laser", "ink", "thermal", "solid_ink"]
    design_life: Pages
    pages_a_month: Pages
    list_price: Price | None = None
    supplies: list[_Supply] = []
    parts: list[_Part] = []
    capabilities: _Capabilities = _Capabilities()
    estimates: list[str] = []
    source: Annotated[str, Field(min_length=1)]

    @field_validator("patterns")
    @classmethod
    def _compiles(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
        return patterns


def load_catalogue(folder: Path = CATALOGUE) -> Catalogue:
    """Return the models of `models.yaml` in `folder`, or raise `InvalidConfiguration` naming the row and field."""
    path = folder / "models.yaml"
    rows = read_yaml(path).get("models")
    if not isinstance(rows, list) or not rows:
        raise InvalidConfiguration(f"{path}: needs a list `models`")
    models = [_model(path, row) for row in rows]
    ids = [model.model_id for model in models]
    doubles = sorted({model_id for model_id in ids if ids.count(model_id) > 1})
    if doubles:
        raise InvalidConfiguration(f"{path}: model ids appear twice: {', '.join(doubles)}")
    return Catalogue(models)


def read_yaml(path: Path) -> Mapping[str, Any]:
    """Return the mapping in a YAML file; repeated keys and anything but a mapping are refused."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise InvalidConfiguration(f"{path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InvalidConfiguration(f"{path}: must hold keys with values")
    return content


class _StrictLoader(yaml.CSafeLoader):
    """A safe loader that refuses a key written twice, which YAML would silently let the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} appears twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def _model(path: Path, row: Any) -> DeviceModel:
    try:
        read = _Model.model_validate(row)
    except ValidationError as error:
        name = row.get("id", "?") if isinstance(row, dict) else "?"
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidConfiguration(f"{path}: model {name}: {where}: {first['msg']}") from None
    note = f"; estimated: {', '.join(read.estimates)}" if read.estimates else ""
    return DeviceModel(
        model_id=ModelId(read.id),
        vendor=read.vendor,
        name=read.name,
        name_patterns=tuple(read.patterns),
        technology=read.technology,
        design_life_pages=read.design_life,
        typical_pages_a_month=read.pages_a_month,
        supplies=tuple(_supply(supply) for supply in read.supplies),
        parts=tuple(
            CataloguePart(component=part.component, design_life_pages=part.life) for part in read.parts
        ),
        capabilities=Capabilities(**read.capabilities.model_dump()),
        list_price=None if read.list_price is None else str(read.list_price),
        source=read.source + note,
    )


def _supply(read: _Supply) -> CatalogueSupply:
    return CatalogueSupply(
        kind=read.kind,
        colour=read.colour,
        part_number=read.part_number,
        yield_pages=read.yield_pages,
        price=None if read.price is None else str(read.price),
    )
