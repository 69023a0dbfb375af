"""Texts in the languages of the people: every key exists in each language (a test checks it).

`config` reads `config/locales/<language>/*.toml` and passes a `Messages` in; arguments are filled by name.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode

LANGUAGES: Final = ("zh-CN", "en")
FALLBACK: Final = "en"
_KEY: Final = "@"


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

    def unpacked(self, language: str, line: str) -> str:
        """Return the text of a line made by `packed`; a line that people wrote is returned as it is."""
        key, _, arguments = line.partition("?")
        if key not in self._texts.get(FALLBACK, {}):
            return line
        told = dict(parse_qsl(arguments, keep_blank_values=True))
        return self.text(language, key, **{name: self._word(language, value) for name, value in told.items()})

    def _word(self, language: str, value: str) -> str:
        """Return an argument made by `named` in the reader's language; any other stays as it is."""
        known = value.startswith(_KEY) and value[1:] in self._texts.get(FALLBACK, {})
        return self.text(language, value[1:]) if known else value


def packed(key: str, **arguments: object) -> str:
    """Return one line that can be stored now and read in any language later: the key with its arguments."""
    return f"{key}?{urlencode(arguments)}" if arguments else key


def named(key: str) -> str:
    """Return an argument of `packed` that is itself a text: it is read in the reader's language."""
    return f"{_KEY}{key}"


class _Kept(dict[str, object]):
    """Arguments by name; an unknown name stays visible in braces."""

    def __missing__(self, name: str) -> str:
        return "{" + name + "}"
