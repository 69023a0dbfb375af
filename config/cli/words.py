"""The words of the terminal in the reader's language: an option says which, else the environment does, as POSIX has it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from config.locale_files import load_messages
from crm_core.domain.errors import InvalidValue
from crm_core.domain.messages import Messages

LANGUAGES: Final = ("en", "zh-CN")
_VARIABLES: Final = ("LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set decides (POSIX, 8.2)

LanguageOption = Annotated[
    str | None, typer.Option("--language", help="zh-CN or en; the terminal's own unless told.")
]


@dataclass(frozen=True, slots=True)
class TerminalWords:
    """Texts of one area in one language."""

    messages: Messages
    language: str
    area: str

    def __call__(self, key: str, /, **arguments: object) -> str:
        """Return a text of the area."""
        return self.messages.text(self.language, f"{self.area}.{key}", **arguments)


def terminal_words(area: str, wanted: str | None) -> TerminalWords:
    """Return the words of an area; raises `InvalidValue` for a language that there is not."""
    if wanted is not None and wanted not in LANGUAGES:
        raise InvalidValue(f"--language must be {' or '.join(reversed(LANGUAGES))}")
    return TerminalWords(load_messages(), wanted or language_of_terminal(os.environ), area)


def language_of_terminal(environment: Mapping[str, str]) -> str:
    """Return zh-CN where the environment speaks Chinese, else English."""
    spoken = next((value for name in _VARIABLES if (value := environment.get(name))), "")
    return "zh-CN" if spoken.lower().startswith("zh") else "en"
