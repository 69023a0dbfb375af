"""Sockets of our own engine: how large a buffer the kernel grants, and addresses as a socket reports them."""

import ipaddress
import socket

from collector.snmp.engine import SnmpTarget
from crm_core.domain.errors import InvalidValue

Address = tuple[str, int]


def grow_buffer(sock: socket.socket, octets: int) -> int:
    """Ask for a receive buffer and return what the kernel grants, in octets of its own account."""
    force = getattr(socket, "SO_RCVBUFFORCE", None)
    try:
        if force is None:
            raise PermissionError
        sock.setsockopt(socket.SOL_SOCKET, force, octets)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, octets)
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


_ADDRESSES: dict[tuple[str, int], tuple[Address, int]] = {}


def address_of(target: SnmpTarget) -> tuple[Address, int]:
    """Return the address as the socket will report it, and its family; raise `InvalidValue` for a name."""
    key = (target.host, target.port)
    found = _ADDRESSES.get(key)
    if found is None:
        try:
            ip = ipaddress.ip_address(target.host)
        except ValueError as error:
            raise InvalidValue(f"{target.host!r} is no IP address: resolve names before polling") from error
        family = socket.AF_INET6 if ip.version == 6 else socket.AF_INET
        found = ((str(ip), target.port), family)
        _ADDRESSES[key] = found
    return found
