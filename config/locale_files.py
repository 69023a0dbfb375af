"""Reads the texts of the product from `config/locales/<language>/<area>.toml` into `Messages`."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.messages import LANGUAGES, Messages

LOCALES: Final = Path(__file__).parent / "locales"


def load_messages(folder: Path = LOCALES) -> Messages:
    """Return all texts; a key is `<area>.<key>`, tables inside a file add dots. Raises `InvalidConfiguration`."""
    return Messages({language: dict(_entries(folder / language)) for language in LANGUAGES})


def missing_keys(messages: Messages) -> dict[str, frozenset[str]]:
    """Return for each language the keys that another language has and it lacks (empty when complete)."""
    everything = frozenset().union(*(messages.keys(language) for language in LANGUAGES))
    gaps = {language: everything - messages.keys(language) for language in LANGUAGES}
    return {language: keys for language, keys in gaps.items() if keys}


def _entries(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.glob("*.toml")):
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InvalidConfiguration(f"{path}: not TOML: {error}") from error
        yield from _flat(path, path.stem, tables)


def _flat(path: Path, prefix: str, table: dict[str, object]) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        name = f"{prefix}.{key}"
        if isinstance(value, dict):
            yield from _flat(path, name, value)
        elif isinstance(value, str):
            yield name, value
        else:
            raise InvalidConfiguration(f"{path}: {name} must be a text, not {type(value).__name__}")
