"""Texts in the languages of the people: every key exists in each language (a test checks it).

`config` reads `config/locales/<language>/*.toml` and passes a `Messages` in; arguments are filled by name.
"""

from collections.abc import Mapping
from typing import Final

LANGUAGES: Final = ("zh-CN", "en")
FALLBACK: Final = "en"


class Messages:
    """All texts by language and key (`area.key`)."""

    def __init__(self, texts: Mapping[str, Mapping[str, str]]) -> None:
        self._texts = {language: dict(entries) for language, entries in texts.items()}

    def keys(self, language: str) -> frozenset[str]:
        """Return the keys that exist in a language."""
        return frozenset(self._texts.get(language, ()))

    def text(self, language: str, key: str, /, **arguments: object) -> str:
        """Return the text of `key`; a missing one falls back to English, then to the key itself.

        Placeholders `{name}` without an argument stay as they are: a text is never lost for a missing figure.
        """
        template = self._texts.get(language, {}).get(key) or self._texts.get(FALLBACK, {}).get(key)
        if template is None:
            return key
        return template.format_map(_Kept(arguments))


class _Kept(dict[str, object]):
    """Arguments by name; an unknown name stays visible in braces."""

    def __missing__(self, name: str) -> str:
        return "{" + name + "}"
