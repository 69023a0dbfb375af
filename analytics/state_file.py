"""What the nightly run remembers of a fleet, kept over a restart: one file beside the models.

Without it the first night after a restart would walk through the whole history again, which takes minutes and gigabytes
for a large fleet. The file is only a short cut and never a source: what it says must still be in the telemetry store, its
checksum must hold, and it must have been made by this very code with this catalogue; otherwise it is refused, with the
reason, and the history is walked. It is written aside and moved into place, so a crash leaves the old one or the new one.
"""

import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import fields
from io import BufferedReader
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from analytics.failures import FailureState
from analytics.features import CounterFall, EndedLife, FleetState, SupplyKey
from analytics.priors import SupplyPriorBook
from analytics.recent import CodeBook, DayCodes, RecentDays
from analytics.supply_state import SupplyState
from analytics.usage import UsageState
from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.ports import TelemetryStore

_NAME: Final = "state.bin"
_MAGIC: Final = b"drumbeat fleet state\n"
_DIGEST_BYTES: Final = 32
_LENGTH_BYTES: Final = 8
_LOOKED_AT: Final = 50  # devices whose last day is compared with the store
Array = npt.NDArray[Any]


class _Layout(msgspec.Struct):
    """Where an array of the file belongs, and its shape."""

    name: str
    dtype: str
    shape: list[int]


class _Header(msgspec.Struct):
    """Everything but the arrays, in the order of rows."""

    fits: str
    mark: int
    last_day: int
    device_ids: list[str]
    described: list[tuple[str, ...]]
    keys: list[SupplyKey]
    last_statement: dict[int, str | None]
    ended: list[EndedLife]
    falls: list[CounterFall]
    codes: dict[str, int]
    components: list[int]
    sites: dict[str, int]
    models: dict[str, int]
    arrays: list[_Layout]


class StateFile:
    """The kept state of one tenant in a folder."""

    def __init__(self, folder: Path, priors: SupplyPriorBook, holidays: frozenset[int]) -> None:
        self._path = folder / _NAME
        self._priors = priors
        self._holidays = holidays

    def save(self, state: FleetState, mark: int) -> None:
        """Keep the state at the end of its last day; `mark` is how far late days of the store were taken in."""
        if state.last_day is None:
            return
        arrays = dict(_arrays(state))
        layouts = [_Layout(name, table.dtype.str, list(table.shape)) for name, table in arrays.items()]
        header = msgspec.msgpack.encode(
            _Header(
                self._fits(state.last_day), mark, state.last_day, state.device_ids, state.described, state.keys,
                state.last_statement, state.ended, state.falls, state.recent.book.numbers, state.recent.book.component,
                state.sites, state.models, layouts,
            )
        )  # fmt: skip
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(f"{_NAME}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            with fresh.open("xb") as file:
                digest = hashlib.sha256()
                length = len(header).to_bytes(_LENGTH_BYTES, "big")
                head = memoryview(_MAGIC + length + header)
                for part in (head, *(_bytes_of(table) for table in arrays.values())):
                    digest.update(part)
                    file.write(part)
                file.write(digest.digest())
            fresh.replace(self._path)
        finally:
            fresh.unlink(missing_ok=True)

    def load(self, tenant: TenantId, store: TelemetryStore) -> tuple[FleetState, int] | None:
        """Return the kept state and its mark, or None when none was kept. Raise `InvalidValue` when it does not fit."""
        try:
            with self._path.open("rb") as file:
                header, arrays = _read(file)
        except FileNotFoundError:
            return None
        if header.fits != self._fits(header.last_day):
            raise InvalidValue("it was made by another version, catalogue or calendar")
        state = _state_of(header, arrays, tenant, self._priors, self._holidays)
        _refuse_other_store(state, store, header.mark)
        return state, header.mark

    def _fits(self, last_day: int) -> str:
        """Return what a state depends on besides telemetry and devices: code, catalogue, holidays so far."""
        digest = hashlib.sha256(self._priors.fingerprint())
        for module in sorted(Path(__file__).parent.glob("*.py")):
            digest.update(module.read_bytes())
        digest.update(repr(sorted(day for day in self._holidays if day <= last_day)).encode())
        return digest.hexdigest()


def _parts(state: FleetState) -> Mapping[str, Any]:
    return {"usage": state.usage, "supply": state.supply, "failures": state.failures}


def _arrays(state: FleetState) -> Iterator[tuple[str, Array]]:
    """Yield every array of a state by name."""
    for part, its in _parts(state).items():
        for item in fields(its):
            yield f"{part}.{item.name}", np.ascontiguousarray(getattr(its, item.name))
    for name in ("pages", "jams"):
        yield f"recent.{name}", np.ascontiguousarray(getattr(state.recent, name))
    days = sorted(state.recent.codes)
    yield "codes.day", np.repeat(days, [len(state.recent.codes[day].row) for day in days]).astype(np.int64)
    for name, dtype in (("row", np.int32), ("code", np.int32), ("severe", np.bool_)):
        tables = [getattr(state.recent.codes[day], name) for day in days]
        yield f"codes.{name}", np.concatenate([np.zeros(0, dtype), *tables]).astype(dtype)


def _bytes_of(table: Array) -> memoryview:
    """Return the bytes of a contiguous array, without a copy."""
    return table.reshape(-1).view(np.uint8).data


def _read(file: BufferedReader) -> tuple[_Header, dict[str, Array]]:
    """Return what the file holds, after its checksum was found right."""
    _check(file)
    file.seek(len(_MAGIC))
    length = int.from_bytes(file.read(_LENGTH_BYTES), "big")
    header = msgspec.msgpack.decode(file.read(length), type=_Header)
    arrays: dict[str, Array] = {}
    for layout in header.arrays:
        table = np.empty(layout.shape, np.dtype(layout.dtype))
        file.readinto(_bytes_of(table))
        arrays[layout.name] = table
    return header, arrays


def _check(file: BufferedReader) -> None:
    """Raise `InvalidValue` unless the file is whole and as it was written."""
    size = file.seek(0, os.SEEK_END) - _DIGEST_BYTES
    file.seek(0)
    if size < len(_MAGIC) + _LENGTH_BYTES or file.read(len(_MAGIC)) != _MAGIC:
        raise InvalidValue("it is no state file or was cut off")
    digest, left = hashlib.sha256(_MAGIC), size - len(_MAGIC)
    while left > 0 and (part := file.read(min(left, 1 << 20))):
        digest.update(part)
        left -= len(part)
    if digest.digest() != file.read(_DIGEST_BYTES):
        raise InvalidValue("its SHA-256 is not the one that was written")


def _state_of(
    header: _Header, arrays: Mapping[str, Array], tenant: TenantId, priors: SupplyPriorBook, holidays: frozenset[int]
) -> FleetState:  # fmt: skip
    def part(name: str) -> dict[str, Any]:
        return {key.partition(".")[2]: table for key, table in arrays.items() if key.startswith(f"{name}.")}

    codes = part("codes")
    edges = [*np.flatnonzero(np.diff(codes["day"], prepend=-1)).tolist(), len(codes["day"])]
    by_day = {
        int(codes["day"][first]): DayCodes(*(codes[name][first:last] for name in ("row", "code", "severe")))
        for first, last in pairwise(edges)
    }
    return FleetState(
        tenant, priors, usage=UsageState(**part("usage")), supply=SupplyState(**part("supply")),
        failures=FailureState(**part("failures")),
        recent=RecentDays(**part("recent"), codes=by_day, book=CodeBook(header.codes, header.components)),
        device_ids=header.device_ids, described=header.described, keys=header.keys, last_statement=header.last_statement,
        ended=header.ended, falls=header.falls, last_day=header.last_day, holidays=holidays, sites=header.sites,
        models=header.models, device_rows={name: row for row, name in enumerate(header.device_ids)},
        supply_rows={(header.device_ids[key.device_row], key.index): row for row, key in enumerate(header.keys)},
    )  # fmt: skip


def _refuse_other_store(state: FleetState, store: TelemetryStore, mark: int) -> None:
    """Raise `InvalidValue` if the store is not the one, or not as far, as when the state was kept (a restored copy)."""
    late = store.changed_days(state.tenant, mark)
    if late.mark < mark:
        raise InvalidValue("the telemetry store knows less than it does: another or a restored one")
    changed = {(str(name), day) for name, day in late.days}
    answered = np.flatnonzero(~np.isnan(state.usage.answered_day))
    for row in answered[:: max(1, len(answered) // _LOOKED_AT)].tolist():
        name, day = state.device_ids[row], int(state.usage.answered_day[row])
        told = [each.last_count for each in store.daily_meters(state.tenant, day, day, DeviceId(name))]
        if (name, day) not in changed and told != [state.usage.count[row]]:
            raise InvalidValue(
                f"the telemetry store says something else about {name}: another or a restored one"
            )
