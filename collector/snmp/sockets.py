"""Sockets of our own engine: how large a buffer the kernel grants, and addresses as a socket reports them."""

import ipaddress
import socket
from functools import lru_cache

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


def address_of(target: SnmpTarget) -> tuple[Address, int]:
    """Return the address as the socket will report it, and its family; raise `InvalidValue` for a name."""
    host, family = _parsed(target.host)
    return (host, target.port), family


@lru_cache(maxsize=131_072)
def _parsed(host: str) -> tuple[str, int]:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError as error:
        raise InvalidValue(f"{host!r} is no IP address: resolve names before polling") from error
    return str(ip), socket.AF_INET6 if ip.version == 6 else socket.AF_INET
