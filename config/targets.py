"""From an address, registered or typed, to something that can be polled."""

import socket
from typing import Final

from collector.secrets import CredentialStore
from collector.snmp.engine import Community, Credential, UsmUser
from collector.snmp.poller import PollTarget
from crm_core.domain.errors import DeviceUnreachable, InvalidValue, NotFound
from crm_core.domain.fleet import Device, SnmpAddress
from crm_core.domain.identity import DEFAULT_TENANT

AUTH: Final = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
PRIV: Final = ("des", "aes128", "aes192", "aes256")


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


def split_host(text: str) -> tuple[str, int]:
    """Return host and port of `HOST`, `HOST:PORT`, `IPv6` or `[IPv6]:PORT`; the port of SNMP is 161."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    number = 161 if not port else int(port) if port.isdigit() else -1
    if not host or not 1 <= number <= 65535:
        raise InvalidValue(f"{text!r} is not HOST or HOST:PORT")
    return host, number


def credential_of(
    version: str,
    community: str | None,
    user: str | None,
    auth: str | None,
    priv: str | None,
    *,
    usual: str,
) -> Credential:
    """Return the credential that is described; raises `InvalidValue` for what does not fit together.

    `auth` and `priv` are `PROTOCOL:PASSWORD`. `usual` is the community for version 1 and 2c when none is given.
    """
    if version == "3":
        if not user or community is not None:
            raise InvalidValue("SNMP version 3 needs a user (--user, in a file user = NAME) and no community")
        auth_name, auth_password = _protocol(auth, AUTH, "auth")
        priv_name, priv_password = _protocol(priv, PRIV, "priv")
        if priv and not auth:
            raise InvalidValue("priv needs auth")
        return UsmUser(user, auth_name, auth_password, priv_name, priv_password)  # type: ignore[arg-type]  # checked against the lists above
    if user or auth or priv:
        raise InvalidValue("user, auth and priv belong to SNMP version 3")
    if version not in {"1", "2c"}:
        raise InvalidValue(f"SNMP version {version!r} is not 1, 2c or 3")
    return Community(community or usual, "1" if version == "1" else "2c")


def _protocol(text: str | None, known: tuple[str, ...], option: str) -> tuple[str, str]:
    if text is None:
        return "none", ""
    name, separator, password = text.partition(":")
    if name.lower() not in known or not separator or not password:
        raise InvalidValue(f"{option} must be PROTOCOL:PASSWORD with a protocol of {', '.join(known)}")
    return name.lower(), password
