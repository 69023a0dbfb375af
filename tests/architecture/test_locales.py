"""Every text exists in both languages, with the same placeholders, and no text is empty."""

import string
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

LANGUAGES = ("en", "zh-CN")


def _flat(prefix: str, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        name = f"{prefix}.{key}"
        if isinstance(value, Mapping):
            yield from _flat(name, value)
        else:
            yield name, str(value)


def _texts(folder: Path) -> dict[str, str]:
    tables = {
        path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.toml"))
    }
    return {name: text for area, table in tables.items() for name, text in _flat(area, table)}


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def gaps(locales: Path) -> list[str]:
    """Return what one language has and the other lacks, and where placeholders differ."""
    english, chinese = (_texts(locales / language) for language in LANGUAGES)
    found = [f"{name}: only in en" for name in english.keys() - chinese.keys()]
    found += [f"{name}: only in zh-CN" for name in chinese.keys() - english.keys()]
    for name in english.keys() & chinese.keys():
        if not english[name].strip() or not chinese[name].strip():
            found.append(f"{name}: empty")
        if _placeholders(english[name]) != _placeholders(chinese[name]):
            found.append(f"{name}: placeholders differ")
    return sorted(found)


def test_both_languages_are_complete(project: Path) -> None:
    locales = project / "config" / "locales"
    assert _texts(locales / "en"), "no texts found"
    assert not gaps(locales)


def test_chinese_texts_are_chinese(project: Path) -> None:
    """A text copied from English would pass the test above."""
    english, chinese = (_texts(project / "config" / "locales" / language) for language in LANGUAGES)
    copied = [name for name, text in english.items() if chinese.get(name) == text and len(text.split()) > 3]
    assert not copied


def test_a_planted_gap_is_reported(tmp_path: Path) -> None:
    for language, text in (
        ("en", 'a = "{days} left"\nb = "only here"\n'),
        ("zh-CN", 'a = "还剩 {day} 天"\n'),
    ):
        (tmp_path / language).mkdir()
        (tmp_path / language / "area.toml").write_text(text, encoding="utf-8")
    assert gaps(tmp_path) == ["area.a: placeholders differ", "area.b: only in en"]
