"""From a registered address to something that can be polled."""

import socket

from collector.snmp.engine import Community
from collector.snmp.poller import PollTarget
from crm_core.domain.errors import DeviceUnreachable, InvalidConfiguration
from crm_core.domain.fleet import Device, SnmpAddress
from crm_core.domain.identity import DEFAULT_TENANT


def target_of(address: SnmpAddress, community: str, device: Device | None = None) -> PollTarget:
    """Return the poll target of a registered address; raises `DeviceUnreachable` for a name without address."""
    if address.version not in {"1", "2c"}:
        raise InvalidConfiguration(
            f"SNMP version {address.version} of registered devices needs stored credentials, which are not built yet"
        )
    return PollTarget(
        host=resolve(address.host),
        port=address.port,
        credential=Community(community, "1" if address.version == "1" else "2c"),
        context=address.context,
        tenant=device.tenant if device else DEFAULT_TENANT,
        site_id=device.site_id if device else None,
        device_id=device.device_id if device else None,
    )


def resolve(host: str) -> str:
    """Return the IP address of a host name; raises `DeviceUnreachable` when there is none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise DeviceUnreachable(f"{host}: no such host: {error.strerror or error}") from error
    except UnicodeError as error:
        raise DeviceUnreachable(f"{host[:80]}: not a host name") from error
    return str(found[0][4][0])
