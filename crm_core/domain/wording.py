"""Words of the trade in the reader's language: titles of tickets and the arguments inside them."""

import re
from collections.abc import Mapping
from typing import Final

from crm_core.domain.messages import Messages

_HUMPS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_OTHERS: Final = re.compile(r"[^a-z0-9]+")


class Figure(float):
    """A figure of a text: one decimal at most, unless the text itself says how to format it."""

    def __format__(self, spec: str) -> str:
        return super().__format__(spec) if spec else f"{self:,.1f}".removesuffix(".0")


def worded_detail(
    detail: Mapping[str, str | int | float | None], messages: Messages, language: str
) -> dict[str, object]:
    """Return the arguments of a title with kinds, colours and components as words and empty ones as a dash.

    `label` is what people call a supply: colour and kind in the reader's language where both are known.
    """
    words = {name: worded(name, value, messages, language) for name, value in detail.items()}
    kind, colour = detail.get("kind"), detail.get("colour")
    if (
        isinstance(kind, str)
        and kind
        and messages.text(language, f"pages.term.kind.{kind}") != f"pages.term.kind.{kind}"
    ):
        words["label"] = (
            messages.text(language, "pages.supply.named", kind=words["kind"], colour=words["colour"])
            if isinstance(colour, str) and colour
            else words["kind"]
        )
    return words


def worded(name: str, value: str | float | None, messages: Messages, language: str) -> object:
    """Return one argument as people read it."""
    if value is None:
        return "–"
    if not isinstance(value, str):
        return Figure(value)
    if name in ("kind", "colour", "component", "category"):
        return term(name, value, messages, language)
    if name == "supply":  # known by its colour, else by its kind, else by its place in the device
        coloured = term("colour", value, messages, language)
        return coloured if coloured != value else term("kind", value, messages, language)
    return fault_name(value, messages, language) if name == "name" else value


def fault_name(name: str, messages: Messages, language: str) -> str:
    """Return the name of a fault code or error bit in words; a name without a text stays as it is."""
    slug = _OTHERS.sub("_", _HUMPS.sub("_", name).lower()).strip("_")
    for key in (f"pages.term.error.{name}", f"faults.name.{slug}"):
        text = messages.text(language, key)
        if text != key:
            return text
    return name


def term(family: str, value: str | None, messages: Messages, language: str) -> str:
    """Return a word of the trade (`pages.term.<family>.<value>`); a word without a text stays as it is."""
    if value is None:
        return ""
    key = f"pages.term.{family}.{value}"
    text = messages.text(language, key)
    return value.replace("_", " ") if text == key else text
