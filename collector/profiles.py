"""Vendor knowledge as data: which OID tells the model, which counts colour pages - read from TOML files.

A new vendor is a new file in `device_profiles/` (see docs/device-profiles.md); no code changes. Each row names its source.
Files are decoded strictly: an unknown key or a wrong type is an `InvalidConfiguration` that names file and place.
"""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from collector.snmp import oids
from collector.snmp.oids import Varbinds, enterprise_of
from collector.snmp.text import decode_text, fold_blanks
from crm_core.domain.errors import InvalidConfiguration

BUILT_IN: Final = Path(__file__).parent / "device_profiles"
GENERIC: Final = "generic"
PRINTER: Final = "{printer}"
_KEPT: Final = 8192

Field = Literal["model", "serial", "firmware"]


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Common settings: immutable, named, and strict about unknown keys."""


class IdentitySource(_Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place where a device may say its model, serial or firmware; the first that gives a value wins.

    `match` must be found in the text (its group 1, or all of it, is the value); a text that fits `reject` is skipped;
    every pattern of `strip` is removed from the value.
    """

    field: Field
    oid: str
    match: str | None = None
    reject: str | None = None
    strip: tuple[str, ...] = ()
    source: str


class CounterSource(_Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One vendor counter: the sum of those of `oids` that exist (any, or all when `need` says so)."""

    name: str
    oids: tuple[str, ...]
    need: Literal["any", "all"] = "any"
    unit: str | None = None  # only when prtMarkerCounterUnit of the printer's marker is this
    source: str


class CounterTable(_Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Counters in a table: `key_oid`.i says what `value_oid`.i counts.

    `names` maps a key (number or text) to a counter; several keys may share one, they add up. Without `names` the
    counter `into` becomes a mapping key -> count over the rows that are not zero.
    """

    key_oid: str
    value_oid: str
    names: dict[str, str] = {}
    into: str | None = None
    total: str | None = None  # `into` is dropped unless it sums up to this counter
    source: str


class PackedTag(_Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The meaning of one tag in a packed string: name, or names by technology; percent tags come as hundredths."""

    name: str | None = None
    toner: str | None = None
    ink: str | None = None
    percent: bool = False


class PackedString(_Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vendor string of records tag, 01, length, value, closed by 0xFF (Brother)."""

    oid: str
    tags: dict[str, PackedTag]
    source: str


class TechnologySign(_Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text that tells whether the device prints with toner or with ink; the first sign that fits decides."""

    oid: str
    match: str
    technology: Literal["toner", "ink"]
    source: str


class StatusText(_Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vendor text that goes to vendor_status in lower case."""

    name: str
    oid: str
    source: str


class StatusFallback(_Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A standard counter that stands in for a vendor_status value which the packed strings left out."""

    name: str
    oid: str
    source: str


class SupplyFromStatus(_Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vendor_status percentage that tells the level of supplies of a kind (and colour) where the MIB is silent."""

    status: str
    kind: str
    colour: str | None = None


class ColourMarker(_Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the end of a bare part number tells the colour (Kyocera: TK-8527K)."""

    match: str
    letters: dict[str, str]
    source: str


class DeviceProfile(_Row, frozen=True, kw_only=True, forbid_unknown_fields=True, eq=False):
    """All that is known of one vendor family."""

    id: str
    vendor: str
    enterprises: tuple[int, ...] = ()
    sys_descr: str | None = None  # recognises the family by sysDescr or hrDeviceDescr
    brands: dict[str, str] = {}  # brand -> pattern on sysDescr or hrDeviceDescr; the vendor when none fits
    default_charset: int | None = None
    contexts: tuple[
        str, ...
    ] = ()  # SNMPv3 contexts (or community@context) to try when the plain one has no supplies
    probe: tuple[str, ...] = ()  # OIDs that exist on this vendor's devices even without a system group
    technology: tuple[TechnologySign, ...] = ()
    identity: tuple[IdentitySource, ...] = ()
    counters: tuple[CounterSource, ...] = ()
    counter_tables: tuple[CounterTable, ...] = ()
    packed: tuple[PackedString, ...] = ()
    status_texts: tuple[StatusText, ...] = ()
    status_fallbacks: tuple[StatusFallback, ...] = ()
    supply_levels: tuple[SupplyFromStatus, ...] = ()
    part_number_colours: tuple[ColourMarker, ...] = ()

    def scalar_oids(self, printer: str) -> tuple[str, ...]:
        """Return every single OID of this profile outside the standard tables, for GET requests."""
        wanted = [source.oid for source in self.identity] + [sign.oid for sign in self.technology]
        wanted += [oid for counter in self.counters for oid in counter.oids]
        wanted += [packed.oid for packed in self.packed] + [text.oid for text in self.status_texts]
        wanted += [fallback.oid for fallback in self.status_fallbacks]
        wanted += self.probe
        return tuple(dict.fromkeys(oid.replace(PRINTER, printer) for oid in wanted))

    def changing_oids(self, printer: str) -> tuple[str, ...]:
        """Return the single OIDs whose values change from poll to poll: counters, packed strings, status texts."""
        wanted = [oid for counter in self.counters for oid in counter.oids]
        wanted += [packed.oid for packed in self.packed] + [text.oid for text in self.status_texts]
        wanted += [fallback.oid for fallback in self.status_fallbacks]
        return tuple(dict.fromkeys(oid.replace(PRINTER, printer) for oid in wanted))

    def table_columns(self) -> tuple[str, ...]:
        """Return the vendor columns to walk."""
        return tuple(
            dict.fromkeys(oid for table in self.counter_tables for oid in (table.key_oid, table.value_oid))
        )


@dataclass(frozen=True, slots=True)
class _Recogniser:
    profile: DeviceProfile
    pattern: re.Pattern[str] | None


class Profiles:
    """All device profiles; finds the one for a device from what it says."""

    def __init__(self, profiles: Iterable[DeviceProfile]) -> None:
        self._all = tuple(profiles)
        self._recognisers = tuple(
            _Recogniser(profile, re.compile(profile.sys_descr, re.IGNORECASE) if profile.sys_descr else None)
            for profile in self._all
            if profile.id != GENERIC
        )
        self.generic = next(
            (profile for profile in self._all if profile.id == GENERIC), DeviceProfile(id=GENERIC, vendor="")
        )

        self._probes = tuple((oid, row.profile) for row in self._recognisers for oid in row.profile.probe)
        self._said: dict[tuple[int | None, tuple[str, ...]], DeviceProfile] = {}

    @property
    def all(self) -> tuple[DeviceProfile, ...]:
        return self._all

    def probes(self) -> tuple[str, ...]:
        """Return the OIDs that recognise devices which hide their system group."""
        return tuple(dict.fromkeys(oid for oid, _ in self._probes))

    def recognise(self, varbinds: Varbinds) -> DeviceProfile:
        """Return the profile of a device; the generic one when nothing is recognised.

        Order: enterprise number of sysObjectID (with the text pattern deciding between families that share one), then
        the texts, then vendor OIDs that the device answered.
        """
        texts = tuple(describing_texts(varbinds))
        enterprise = enterprise_of(str(varbinds.get(oids.SYS_OBJECT_ID, "")))
        found = self._said.get((enterprise, texts))
        if found is None:
            if len(self._said) >= _KEPT:
                self._said.clear()
            found = self._said[enterprise, texts] = self._by_word(enterprise, texts)
        return self._by_vendor_oids(varbinds) if found is self.generic else found

    def _by_word(self, enterprise: int | None, texts: tuple[str, ...]) -> DeviceProfile:
        """Return the profile by enterprise number and texts; the generic one when neither tells."""
        owners = [row for row in self._recognisers if enterprise in row.profile.enterprises]
        by_text = [row for row in self._recognisers if row.pattern and any(map(row.pattern.search, texts))]
        both = [row for row in owners if row in by_text]
        hits = both or owners or by_text
        return hits[0].profile if hits else self.generic

    def _by_vendor_oids(self, varbinds: Varbinds) -> DeviceProfile:
        for oid, profile in self._probes:
            if oid in varbinds:
                return profile
        return self.generic


def describing_texts(varbinds: Varbinds) -> list[str]:
    """Return sysDescr and the printer's hrDeviceDescr as text, as far as the device gave them."""
    candidates = (varbinds.get(oids.SYS_DESCR), varbinds.get(f"{oids.HR_DEVICE_DESCR}.1"))
    return [fold_blanks(decode_text(value)) for value in candidates if isinstance(value, bytes)]


def load_profiles(*directories: Path) -> Profiles:
    """Read every `*.toml` of the directories (later ones replace profiles of the same id); default: the built-in ones.

    Raises `InvalidConfiguration` with file and reason when a file cannot be used.
    """
    found: dict[str, DeviceProfile] = {}
    for directory in directories or (BUILT_IN,):
        for path in sorted(directory.glob("*.toml")):
            profile = _read(path)
            found[profile.id] = profile
    return Profiles(found.values())


def _read(path: Path) -> DeviceProfile:
    try:
        profile = msgspec.convert(tomllib.loads(path.read_text("utf-8")), DeviceProfile)
        _check(profile)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError, re.error, ValueError) as error:
        raise InvalidConfiguration(f"device profile {path.name} cannot be used: {error}") from error
    return profile


def _check(profile: DeviceProfile) -> None:
    """Compile every pattern and check every OID, so that a typing mistake shows at start and not at a poll."""
    for row in profile.identity:
        for pattern in (row.match, row.reject, *row.strip):
            re.compile(pattern or "")
    signs = (sign.match for sign in profile.technology)
    marks = (mark.match for mark in profile.part_number_colours)
    for pattern in (profile.sys_descr, *profile.brands.values(), *signs, *marks):
        re.compile(pattern or "")
    for oid in (*profile.scalar_oids("1"), *profile.table_columns()):
        if not re.fullmatch(r"[0-2](\.\d+)+", oid):
            raise ValueError(f"{oid!r} is not a dotted OID without leading dot")
