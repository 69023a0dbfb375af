"""All versions of the policy on one shelf: which book is in force by the clock, what changed, what shall change.

Versions lie as `from-YYYY-MM-DD` folders beside the policy files, and in `policy` of the data folder, where the switch
of the command line and of the API puts them. A running product sees a new folder within a minute.
"""

import contextlib
import itertools
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import yaml

from config.policy_files import POLICY, PolicyVersion, load_policies, make_version, policy_on
from config.policy_taker import Figure
from config.settings import Settings
from crm_core.domain.errors import Conflict, InvalidConfiguration, InvalidValue
from crm_core.domain.identity import checked_identifier
from crm_core.domain.policy import PolicyBook
from crm_core.domain.policy_figures import FigureValue, PolicyChange, PolicyFigure, PolicyVersionInfo
from crm_core.ports import Clock

OWN: Final = "policy"  # in the data folder


@dataclass(frozen=True, slots=True)
class _Known:
    versions: tuple[PolicyVersion, ...]
    signature: tuple[object, ...]


class PolicyShelf:
    """The versions of one installation (`ports.PolicyDesk`); days are those of the firm's time zone."""

    def __init__(self, folder: Path, own: Path, clock: Clock, time_zone: str) -> None:
        self._folder = folder
        self._own = own
        self._clock = clock
        self._zone = ZoneInfo(time_zone)
        self._lock = threading.Lock()
        self._known = self._read()
        self._until: datetime | None = None
        self._since: datetime | None = None
        self._book = self._known.versions[0].book

    def book(self) -> PolicyBook:
        """Return the book in force now; asked for every figure, so it looks at the calendar only when a day is over."""
        now = self._clock.now()
        since, until = self._since, self._until
        if since is None or until is None or not since <= now < until:
            with self._lock:
                self._choose(now)
        return self._book

    def refresh(self) -> bool:
        """Read the folders again when anything in them changed; return True then. A bad folder changes nothing."""
        if self._signature() == self._known.signature:
            return False
        known = self._read()
        with self._lock:
            self._known = known
            self._choose(self._clock.now())
        return True

    def figures(self, day: date | None = None) -> Sequence[PolicyFigure]:
        versions = self._known.versions
        shown = policy_on(versions, day or self._today())
        return [
            _as_seen(figure, *_origin(versions, shown, figure)) for _, figure in sorted(shown.figures.items())
        ]

    def versions(self) -> Sequence[PolicyVersionInfo]:
        versions = self._known.versions
        now = policy_on(versions, self._today())
        before: Sequence[PolicyVersion | None] = (None, *versions)
        return [_info(old, new, in_force=new is now) for old, new in zip(before, versions, strict=False)]

    def book_with(self, figures: Mapping[str, FigureValue]) -> PolicyBook:
        today = self._today()
        present = policy_on(self._known.versions, today)
        return self._draft("look-ahead", today, figures, over=present).book

    def apply(self, change: PolicyChange, *, dry_run: bool = False) -> PolicyVersionInfo:
        checked_identifier(change.version, "version")
        if change.effective_from < self._today():
            raise InvalidValue(f"a change cannot come into force in the past ({change.effective_from})")
        if not change.figures:
            raise InvalidValue("name at least one figure that changes")
        versions = self._known.versions
        if any(version.book.version == change.version for version in versions):
            raise Conflict(f"version {change.version} exists; choose another name")
        if any(version.book.effective_from >= change.effective_from for version in versions):
            latest = versions[-1].book
            raise Conflict(
                f"version {latest.version} begins on {latest.effective_from}; a later change must begin after it"
            )
        drafted = self._draft(
            change.version, change.effective_from, change.figures, over=versions[-1], note=change.note
        )
        if not dry_run:
            self._write(change, drafted)
            self.refresh()
        in_force = not dry_run and change.effective_from <= self._today()
        return _info(versions[-1], drafted, in_force=in_force)

    def _draft(
        self,
        version: str,
        since: date,
        figures: Mapping[str, FigureValue],
        *,
        over: PolicyVersion,
        note: str = "",
    ) -> PolicyVersion:
        """Return the version that the changed figures would make, checked as a whole."""
        unknown = sorted(figures.keys() - over.figures.keys())
        if unknown:
            raise InvalidValue(
                f"there is no figure {', '.join(unknown)[:200]}; `drumbeat policy list` shows all of them"
            )
        changed = {
            key: replace(over.figures[key], value=value, note=note or over.figures[key].note)
            for key, value in figures.items()
        }
        try:
            return make_version(self._folder, version, since, {**over.figures, **changed})
        except InvalidConfiguration as error:  # the reason without the file: the value came from a person
            raise InvalidValue(str(error).partition(": ")[2] or str(error)) from error

    def _write(self, change: PolicyChange, drafted: PolicyVersion) -> None:
        """Put the version folder in its place at once: nobody ever reads half of it."""
        self._own.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = self._own / f"from-{change.effective_from.isoformat()}"
        with tempfile.TemporaryDirectory(dir=self._own, prefix=".draft-") as place:
            folder = Path(place) / target.name
            folder.mkdir(mode=0o700)
            _write_version(folder, change, drafted.figures)
            folder.replace(target)

    def _other_folders(self) -> tuple[Path, ...]:
        return (self._own,) if self._own.is_dir() else ()

    def _choose(self, now: datetime) -> None:
        day = now.astimezone(self._zone).date()
        self._book = policy_on(self._known.versions, day).book
        self._since = datetime(day.year, day.month, day.day, tzinfo=self._zone)
        self._until = datetime.fromordinal(day.toordinal() + 1).replace(tzinfo=self._zone)

    def _today(self) -> date:
        return self._clock.now().astimezone(self._zone).date()

    def _read(self) -> _Known:
        signature = self._signature()
        return _Known(load_policies(self._folder, *self._other_folders()), signature)

    def _signature(self) -> tuple[object, ...]:
        """Return what changes whenever a file of the policy is written, added or removed."""
        found: list[object] = []
        for root in (self._folder, self._own):
            for path in sorted(root.rglob("*.yaml")) if root.is_dir() else ():
                if any(part.startswith(".draft-") for part in path.parts):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    stat = path.stat()
                    found.append((str(path), stat.st_mtime_ns, stat.st_size))
        return tuple(found)


def open_shelf(settings: Settings, clock: Clock) -> PolicyShelf:
    """Return the shelf of an installation; raises `InvalidConfiguration` naming file and key."""
    return PolicyShelf(
        Path(settings.policy.folder or POLICY),
        settings.general.folder / OWN,
        clock,
        settings.schedule.time_zone,
    )


def _write_version(folder: Path, change: PolicyChange, known: Mapping[str, Figure]) -> None:
    files: dict[str, dict[str, Any]] = {}
    for key, value in change.figures.items():
        figure = known[key]
        stem, *tables, name = key.split(".")
        table = files.setdefault(stem, {})
        for part in tables:
            table = table.setdefault(part, {})
        leaf: dict[str, Any] = {"value": value, "unit": figure.unit, "requirement": figure.requirement}
        table[name] = leaf | {"note": change.note or figure.note}
    head = {"version": change.version, "effective_from": change.effective_from}
    for stem, table in (("book", head), *files.items()):
        text = yaml.safe_dump(table, allow_unicode=True, sort_keys=False)
        handle = os.open(folder / f"{stem}.yaml", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())


def _origin(versions: tuple[PolicyVersion, ...], shown: PolicyVersion, figure: Figure) -> tuple[str, date]:
    """Return the version that brought the value of a figure in the shown version, and its date."""
    origin = versions[0]
    for old, new in itertools.pairwise(versions):
        if old is shown:
            break
        if old.figures[figure.key].value != new.figures[figure.key].value:
            origin = new
    return origin.book.version, origin.book.effective_from


def _as_seen(figure: Figure, version: str, since: date) -> PolicyFigure:
    return PolicyFigure(
        key=figure.key,
        value=figure.value,
        unit=figure.unit,
        requirement=figure.requirement,
        note=figure.note,
        version=version,
        since=since,
    )


def _info(old: PolicyVersion | None, new: PolicyVersion, *, in_force: bool) -> PolicyVersionInfo:
    changes = (
        {}
        if old is None
        else {
            key: (old.figures[key].value, figure.value)
            for key, figure in new.figures.items()
            if old.figures[key].value != figure.value
        }
    )
    return PolicyVersionInfo(
        version=new.book.version,
        effective_from=new.book.effective_from,
        in_force=in_force,
        changes=changes,
    )
