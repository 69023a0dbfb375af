"""Recordings of real printers (.snmprec files) as agents: one loopback address each, byte for byte as recorded.

A line is `OID|type|value`; types are SNMP tags, `4x` marks hexadecimal octets (the format of snmpsim's data files).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Self

from crm_core.ports import Clock
from simulators import ber
from simulators.snmp_agent import SnmpAgent
from simulators.snmp_fleet import SnmpFleetServer
from simulators.snmp_view import Layout, Layouts
from simulators.usm import UsmUser


@dataclass(frozen=True, slots=True)
class Recording:
    """The rows of one file: (OID, tag, content octets), ordered by OID."""

    name: str
    rows: tuple[tuple[str, int, bytes], ...]


def _content(tag: int, value: str, *, is_hex: bool) -> bytes:
    """Return the content octets of a value of the recording."""
    if is_hex:
        return bytes.fromhex(value)
    if tag in {ber.OCTETS, ber.OPAQUE}:
        return value.encode()
    if tag == ber.OID:
        return ber.oid_body(ber.oid_numbers(value))
    if tag == ber.IP_ADDRESS:
        return IPv4Address(value).packed
    if tag == ber.NULL:
        return b""
    number = int(value)
    return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)


def read_recording(path: Path) -> Recording:
    """Return the rows of a .snmprec file. Raises `ValueError` naming the line that is not one."""
    rows: dict[tuple[int, ...], tuple[str, int, bytes]] = {}
    for number, line in enumerate(path.read_bytes().decode("utf-8", "surrogateescape").split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition("|")
        kind, _, value = rest.partition("|")
        is_hex = kind.endswith("x")
        try:
            tag = int(kind.removesuffix("x"))
            rows[ber.oid_numbers(name)] = (
                name.strip("."),
                tag,
                _content(tag, value.rstrip("\r"), is_hex=is_hex),
            )
        except ValueError as error:
            raise ValueError(f"{path.name}, line {number}: not OID|type|value ({error})") from error
    return Recording(path.stem, tuple(rows[key] for key in sorted(rows)))


def recording_agent(recording: Recording, *, community: bytes | None = None) -> SnmpAgent:
    """Return an agent that shows a recording; it answers to every community unless one is given."""
    agent = SnmpAgent(lambda _: {}, Layouts(), refresh=None, community=community)
    layout = Layout({name: tag for name, tag, _ in recording.rows})
    body = {name: ber.tlv(tag, content) for name, tag, content in recording.rows}
    values = [
        ber.tlv(ber.SEQUENCE, oid + body[name]) for name, oid in zip(layout.order, layout.names, strict=True)
    ]
    agent.show(layout, values)
    return agent


def recording_files(folder: Path) -> list[Path]:
    """Return the .snmprec files of a folder by name. Raises `FileNotFoundError` when there are none."""
    files = sorted(folder.glob("*.snmprec"))
    if not files:
        raise FileNotFoundError(f"no .snmprec files in {folder}")
    return files


class RecordingPlayer:
    """Serves every recording of a folder: `addresses[name]` is its IP address, all on `port`.

    As a context manager it starts and stops its server.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        port: int = 0,
        first_address: str = "127.2.0.1",
        users: Sequence[UsmUser] = (),
    ) -> None:
        self.recordings = tuple(read_recording(path) for path in recording_files(folder))
        agents = [recording_agent(recording) for recording in self.recordings]
        self.server = SnmpFleetServer(agents, clock, port=port, first_address=first_address, users=users)
        self.addresses = {
            recording.name: self.server.address_of(i) for i, recording in enumerate(self.recordings)
        }

    @property
    def port(self) -> int:
        return self.server.port

    def start(self) -> None:
        """Serve in a thread until `stop`."""
        self.server.start()

    def stop(self) -> None:
        """End the thread and free the port."""
        self.server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
