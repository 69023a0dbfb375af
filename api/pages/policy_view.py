"""Figures of the policy as people read them: their names in words, what differs from the first version, and who changed it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from api.pages.supply_view import Words
from crm_core.domain.identity import TenantId
from crm_core.domain.policy_figures import FigureValue, PolicyFigure, PolicyVersionInfo
from crm_core.domain.policy_replay import ReplayState
from crm_core.ports import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureRow:
    """One figure in words; `first` is its value in the first version where it differs."""

    key: str
    area: str
    name: str
    value: str
    unit: str
    requirement: int
    note: str
    since: str
    first: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """One version with its changes in words, and who wrote it when (empty for those that came as files)."""

    version: PolicyVersionInfo
    changes: Sequence[tuple[str, str, str]]
    by: str = ""
    at: datetime | None = None


def name_of(words: Words, key: str) -> str:
    """Return the name of a figure within its area, word by word of its key."""
    return " › ".join(_word(words, part) for part in key.split(".")[1:])


def area_of(words: Words, key: str) -> str:
    """Return the name of the area that a figure belongs to."""
    return _word(words, key.partition(".")[0])


def _word(words: Words, part: str) -> str:
    """Return one word of a key; words of the firm's own segments and classes stay as they are."""
    key = f"figures.word.{part}"
    text = words.text(key)
    return part.replace("_", " ") if text == key else text


def unit_of(words: Words, unit: str) -> str:
    """Return a unit in the language of the reader."""
    return _in_words(words, "figures.unit", unit)


def note_of(words: Words, note: str) -> str:
    """Return a note of the shipped policy in the language of the reader; one of the firm's own stays as it is."""
    return _in_words(words, "figure_notes", note)


def _in_words(words: Words, group: str, text: str) -> str:
    key = f"{group}.{re.sub(r'[^a-z0-9]+', '_', text.lower()).strip('_')}"
    told = words.text(key) if text else ""
    return text if told == key else told


def value_of(words: Words, value: FigureValue) -> str:
    """Return a value as people read it."""
    if isinstance(value, bool):
        return words.text("policy.yes" if value else "policy.no")
    return words.formats.number(value, 4) if isinstance(value, int | float) else value


def figure_rows(
    words: Words, figures: Iterable[PolicyFigure], versions: Sequence[PolicyVersionInfo]
) -> list[FigureRow]:
    """Return all figures in words, those of an area together."""
    firsts = first_values(versions)
    return [
        FigureRow(
            key=each.key,
            area=area_of(words, each.key),
            name=name_of(words, each.key),
            value=value_of(words, each.value),
            unit=unit_of(words, each.unit),
            requirement=each.requirement,
            note=note_of(words, each.note),
            since=each.since.isoformat(),
            first=value_of(words, firsts[each.key])
            if each.key in firsts and firsts[each.key] != each.value
            else "",
        )
        for each in figures
    ]


def first_values(versions: Sequence[PolicyVersionInfo]) -> dict[str, FigureValue]:
    """Return what figures were in the first version, of those that a version in force or before it changed."""
    known: dict[str, FigureValue] = {}
    current = next((at for at, each in enumerate(versions) if each.in_force), len(versions) - 1)
    for version in versions[: current + 1]:
        for key, (before, _) in version.changes.items():
            known.setdefault(key, before)
    return known


def found_in(rows: Sequence[FigureRow], question: str) -> list[FigureRow]:
    """Return the figures whose name, area, key or note holds every word of the question."""
    asked = question.lower().split()
    return [
        row
        for row in rows
        if all(word in f"{row.area} {row.name} {row.key} {row.note}".lower() for word in asked)
    ]


def by_area(rows: Sequence[FigureRow]) -> list[tuple[str, list[FigureRow]]]:
    """Return the figures of each area, in the order of their keys."""
    return [(area, list(found)) for area, found in groupby(rows, key=lambda row: row.area)]


def version_rows(
    words: Words, uow: UnitOfWork, tenant: TenantId, versions: Sequence[PolicyVersionInfo]
) -> list[VersionRow]:
    """Return the versions, the newest first, with who wrote each of them."""
    noted = uow.trust.newest_events(tenant, kind="policy", limit=500)
    authors = {event.object_id: event for event in noted if event.actor.startswith("user:")}
    rows = []
    for version in reversed(versions):
        event = authors.get(version.version)
        rows.append(
            VersionRow(
                version=version,
                changes=changes_of(words, version.changes),
                by=event.actor.rpartition(":")[2] if event else "",
                at=event.at if event else None,
            )
        )
    return rows


def changes_of(
    words: Words, changes: Mapping[str, tuple[FigureValue, FigureValue]]
) -> list[tuple[str, str, str]]:
    """Return name, old and new value of changed figures."""
    return [
        (
            f"{area_of(words, key)} › {name_of(words, key)}",
            value_of(words, pair[0]),
            value_of(words, pair[1]),
        )
        for key, pair in changes.items()
    ]


def answer_of(words: Words, state: ReplayState | None) -> list[str]:
    """Return what would have changed in sentences: only what is beyond chance, the largest change first."""
    told = []
    for row in state.report.figures if state is not None and state.report is not None else ():
        low, high = row.difference.p10, row.difference.p90
        if low <= 0 <= high or not row.present.p50:
            continue
        formats = words.formats
        said = words.text(
            "policy.said_more" if low > 0 else "policy.said_less",
            what=words.text(f"policy.outcome.{row.name}"),
            mid=formats.number(abs(row.difference.p50)),
            low=formats.number(min(abs(low), abs(high))),
            high=formats.number(max(abs(low), abs(high))),
            percent=formats.percent(abs(row.difference.p50) / row.present.p50),
        )
        told.append((abs(row.difference.p50) / row.present.p50, said))
    return [said for _, said in sorted(told, key=lambda each: -each[0])]
