"""From a registered address to something that can be polled."""

import socket

from collector.secrets import CredentialStore
from collector.snmp.engine import Community, Credential
from collector.snmp.poller import PollTarget
from crm_core.domain.errors import DeviceUnreachable, NotFound
from crm_core.domain.fleet import Device, SnmpAddress
from crm_core.domain.identity import DEFAULT_TENANT


def target_of(
    address: SnmpAddress,
    community: str,
    credentials: CredentialStore | None = None,
    device: Device | None = None,
) -> PollTarget:
    """Return the poll target of a registered address; `community` is that of the credential named `default`.

    Raises `DeviceUnreachable` for a name without address and `NotFound` for a credential that is not stored.
    """
    return PollTarget(
        host=resolve(address.host),
        port=address.port,
        credential=_credential(address, community, credentials),
        context=address.context,
        tenant=device.tenant if device else DEFAULT_TENANT,
        site_id=device.site_id if device else None,
        device_id=device.device_id if device else None,
    )


def _credential(address: SnmpAddress, community: str, credentials: CredentialStore | None) -> Credential:
    if address.version in {"1", "2c"} and address.credential == "default":
        return Community(community, "1" if address.version == "1" else "2c")
    if credentials is None:
        raise NotFound(f"credential {address.credential!r} is needed, but there is no credential store")
    return credentials.get(address.credential)


def resolve(host: str) -> str:
    """Return the IP address of a host name; raises `DeviceUnreachable` when there is none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise DeviceUnreachable(f"{host}: no such host: {error.strerror or error}") from error
    except UnicodeError as error:
        raise DeviceUnreachable(f"{host[:80]}: not a host name") from error
    return str(found[0][4][0])
