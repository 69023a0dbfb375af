"""What to ask a printer, and how much at once: groups of columns for the first contact, GETs of known OIDs afterwards.

A group is asked table by table, so that a device that falls silent half-way still gives a reading that names the missing
parts. The number of OIDs in one message is learnt per model: it starts at 45 and is halved when a device cannot cope.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from collector.snmp import host_resources, oids, printer_mib
from collector.snmp.engine import (
    Allowance,
    AllowanceSpent,
    AuthenticationFailed,
    RequestTimedOut,
    SnmpEngine,
    SnmpTarget,
    TooBig,
    Value,
)
from crm_core.domain.errors import DeviceMisbehaved

MAX_OIDS: Final = 45
MIN_OIDS: Final = 1
#: A device that timed out on more OIDs than this is asked once more for half of them.
_SMALL: Final = 8


@dataclass(frozen=True, slots=True)
class Group:
    """Columns that are walked together, and the parts of a reading that they feed."""

    parts: tuple[str, ...]
    columns: tuple[str, ...]


def _columns(*tables: tuple[str, tuple[int, ...]]) -> tuple[str, ...]:
    return tuple(f"{table}.{column}" for table, numbers in tables for column in numbers)


_TABLES: Final = dict(printer_mib.COLUMNS)
_COLORANTS: Final = f"{oids.PRINTER_MIB}.12.1.1"


def _group(parts: tuple[str, ...], *tables: str) -> Group:
    return Group(parts, _columns(*((table, _TABLES[table]) for table in tables)))


#: In order of importance: when time runs out, the last ones are missing.
GROUPS: Final[tuple[Group, ...]] = (
    Group(("status", "identity"), _columns(*host_resources.COLUMNS)),
    _group(("supplies", "counters"), oids.PRT_SUPPLIES, oids.PRT_MARKER),
    _group(("alerts", "console"), oids.PRT_ALERT, oids.CONSOLE_TABLE),
    _group(("identity", "covers", "colorants"), oids.PRT_GENERAL, oids.PRT_COVER, _COLORANTS),
    _group(("trays", "outputs"), oids.PRT_INPUT, oids.PRT_OUTPUT),
)
#: What some devices show in a context only.
HIDDEN_GROUP: Final = _group(("supplies", "colorants"), oids.PRT_SUPPLIES, _COLORANTS)
ALERT_COLUMNS: Final = _columns((oids.PRT_ALERT, _TABLES[oids.PRT_ALERT]))

#: Severity and code: when these rows are as before, the alert table is.
ALERT_MARKS: Final = _columns((oids.PRT_ALERT, (2, 7)))

#: What changes from poll to poll; everything else is read again only now and then.
VOLATILE_COLUMNS: Final = frozenset(
    _columns(
        (oids.HR_DEVICE, (5,)),
        (oids.HR_PRINTER, (1, 2)),
        (oids.PRT_GENERAL, (18, 19)),
        (oids.PRT_SUPPLIES, (8, 9)),
        (oids.PRT_MARKER, (4, 5)),
        (oids.PRT_INPUT, (10, 11)),
        (oids.PRT_OUTPUT, (5, 6)),
        (oids.PRT_COVER, (3,)),
        (oids.CONSOLE_TABLE, (2,)),
    )
)
_PARTS_OF_TABLES: Final = {
    oids.HR_DEVICE: "status", oids.HR_PRINTER: "status", oids.PRT_GENERAL: "identity",
    oids.PRT_SUPPLIES: "supplies", oids.PRT_MARKER: "counters", oids.PRT_INPUT: "trays", oids.PRT_OUTPUT: "outputs",
    oids.PRT_COVER: "covers", oids.CONSOLE_TABLE: "console", oids.PRT_ALERT: "alerts",
}  # fmt: skip


def part_of(oid: str) -> str:
    """Return the part of a reading that an OID feeds; vendor OIDs feed `vendor`."""
    if oid.startswith(oids.SYSTEM):
        return "identity"
    table = ".".join(oid.split(".")[:10])
    return _PARTS_OF_TABLES.get(table, "vendor")


def chunks(wanted: Sequence[str], size: int) -> Iterable[tuple[str, ...]]:
    """Yield the OIDs in runs of at most `size`."""
    for start in range(0, len(wanted), size):
        yield tuple(wanted[start : start + size])


class Asker:
    """Asks one device for many OIDs within one allowance; remembers what failed and how many OIDs it bears."""

    def __init__(
        self, engine: SnmpEngine, target: SnmpTarget, allowance: Allowance, size: int = MAX_OIDS
    ) -> None:
        self._engine = engine
        self.target = target
        self.allowance = allowance
        self.size = max(MIN_OIDS, min(MAX_OIDS, size))
        self.found: dict[str, Value] = {}
        self.missed: set[str] = set()
        self.answered = False

    async def get(self, wanted: Sequence[str]) -> None:
        """Fill `found` with the values that exist; parts that got no answer go to `missed`.

        Raises `RequestTimedOut` only while the device has not answered at all, and `AuthenticationFailed` always.
        """
        waiting = list(chunks(tuple(dict.fromkeys(wanted)), self.size))
        while waiting:
            chunk = waiting.pop(0)
            try:
                self.found.update(await self._engine.get(self.target, chunk, self.allowance))
                self.answered = True
            except (AuthenticationFailed, AllowanceSpent):
                if not self.answered:
                    raise
                self._miss(chunk, *waiting)
                return
            except TooBig:
                waiting = self._smaller(chunk, waiting)
            except RequestTimedOut:
                if not self.answered:
                    raise
                if len(chunk) <= _SMALL:
                    self._miss(chunk)
                else:
                    waiting = self._smaller(chunk, waiting)
            except DeviceMisbehaved:  # an error status, or OIDs that were not asked for
                self.answered = True
                waiting = self._split(chunk, waiting)

    async def answers(self, oid: str) -> bool:
        """Tell whether the target, as it is addressed now, answers one question, asked twice at most."""
        repeats, self.allowance.repeats = self.allowance.repeats, min(self.allowance.repeats, 1)
        try:
            await self._engine.get(self.target, (oid,), self.allowance)
        except (RequestTimedOut, DeviceMisbehaved):
            return False
        finally:
            self.allowance.repeats = repeats
        return True

    def _smaller(self, chunk: tuple[str, ...], waiting: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """Halve the size for good and put everything back in smaller runs."""
        if len(chunk) == MIN_OIDS:
            self._miss(chunk)
            return waiting
        self.size = max(MIN_OIDS, len(chunk) // 2)
        rest = [oid for run in (chunk, *waiting) for oid in run]
        return list(chunks(rest, self.size))

    def _split(self, chunk: tuple[str, ...], waiting: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """Find by halving the one OID whose general error spoils the message; no smaller size is learnt."""
        if len(chunk) == 1:
            self._miss(chunk)
            return waiting
        middle = len(chunk) // 2
        return [chunk[:middle], chunk[middle:], *waiting]

    async def walk(self, group: Group, per_reply: int | None = None) -> None:
        """Fill `found` with everything below the group's columns; a failure is noted in `missed` and goes no further."""
        try:
            await self._engine.walk_into(
                self.found,
                self.target,
                group.columns,
                self.allowance,
                per_reply=min(per_reply or self.size, self.size),
            )
            self.answered = True
        except AuthenticationFailed:
            raise
        except TooBig:
            self.size = MIN_OIDS
            self.missed.update(group.parts)
        except (RequestTimedOut, DeviceMisbehaved):
            if not self.answered and not self.found:
                raise
            self.missed.update(group.parts)

    def _miss(self, *runs: tuple[str, ...]) -> None:
        self.missed.update(part_of(oid) for run in runs for oid in run)
