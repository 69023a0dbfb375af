"""Reads .snmprec files into varbinds as an engine would deliver them (own reader, independent of the simulators)."""

from pathlib import Path

_NUMBERS = {"2", "65", "66", "67", "70"}


def load_varbinds(path: Path) -> dict[str, int | bytes | str]:
    """Return OID -> value of a recording."""
    found: dict[str, int | bytes | str] = {}
    for line in path.read_bytes().split(b"\n"):
        if not line.strip():
            continue
        oid, kind, value = line.split(b"|", 2)
        name, tag = oid.decode().lstrip("."), kind.decode()
        if tag in _NUMBERS:
            found[name] = int(value)
        elif tag == "4x":
            found[name] = bytes.fromhex(value.decode())
        else:
            found[name] = value if tag == "4" else value.decode().lstrip(".")
    return found
