"""Signed calls to programs: HMAC-SHA256 over time stamp and body, to the very address that was checked.

An address is resolved once, checked, and that one is called: a name that changes its mind in between (DNS rebinding)
changes nothing. Redirects are not followed. Private networks are refused unless a setting allows them.
"""

import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
from typing import Final
from urllib.parse import SplitResult, urlsplit

from crm_core.domain.errors import Conflict, InvalidConfiguration, InvalidValue, StoreUnavailable
from crm_core.domain.identity import TenantId
from crm_core.domain.notices import Notice, Webhook
from crm_core.notices.hook_secrets import HookSecrets
from crm_core.ports import Clock, UnitOfWorkFactory

TIMEOUT_SECONDS: Final = 10.0
SIGNATURE_VERSION: Final = "v1"
_GONE: Final = 410
_ANSWER_BYTES: Final = 4096  # more of an answer is not read


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a call: hex HMAC-SHA256 of `<timestamp>.<body>` under the subscription's secret."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def checked_url(url: str, *, private_allowed: bool) -> SplitResult:
    """Return the parts of an address that may be called, or raise `InvalidValue` that says why not.

    Names are resolved when the call is made; an address that is written as numbers is judged here already.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidValue(f"{url[:200]!r} is no address: {error}") from error
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise InvalidValue("a webhook's address must look like https://host/path")
    if parts.username or parts.password or parts.fragment:
        raise InvalidValue(
            "a webhook's address must hold neither a user nor a fragment; sign-in is by signature"
        )
    if parts.scheme == "http" and not private_allowed:
        raise InvalidValue(
            "a webhook's address must begin with https:// (notices.private_webhooks allows others)"
        )
    try:
        _check(ipaddress.ip_address(parts.hostname), parts.hostname, private_allowed=private_allowed)
    except ValueError as error:
        if isinstance(error, InvalidValue):
            raise
    return parts


class WebhookSender:
    """Calls the program of a notice's subscription."""

    def __init__(
        self, uow_factory: UnitOfWorkFactory, clock: Clock, secrets: HookSecrets, *, private_allowed: bool
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._secrets = secrets
        self._private_allowed = private_allowed
        self._tls = ssl.create_default_context()

    def send(self, notice: Notice, title: str, text: str) -> None:  # noqa: ARG002 - a program reads the payload
        """Call once; any 2xx answer is a yes, 410 a final no, everything else is tried again."""
        hook = self._hook(notice)
        parts = checked_url(hook.url, private_allowed=self._private_allowed)
        body = notice.payload.encode()
        stamp = int(self._clock.now().timestamp())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Drumbeat",
            "Drumbeat-Event": notice.topic,
            "Drumbeat-Delivery": str(notice.notice_id),
            "Drumbeat-Timestamp": str(stamp),
            "Drumbeat-Signature": f"{SIGNATURE_VERSION}={signature(self._secret(hook), stamp, body)}",
        }
        status = self._post(parts, body, headers)
        if status == _GONE:
            raise InvalidValue(f"{parts.hostname} answered 410: the program wants no more calls")
        if not 200 <= status < 300:
            raise StoreUnavailable(f"{parts.hostname} answered {status}")

    def _hook(self, notice: Notice) -> Webhook:
        with self._uow_factory() as uow:
            hooks = uow.notices.webhooks(TenantId(notice.tenant))
        found = next((each for each in hooks if str(each.webhook_id) == notice.receiver_id), None)
        if found is None or not found.active:
            raise InvalidValue(f"webhook {notice.receiver_id} is switched off")
        return found

    def _secret(self, hook: Webhook) -> str:
        try:
            return self._secrets.opened(hook)
        except InvalidConfiguration as error:  # the key may come back
            raise StoreUnavailable(str(error)) from error
        except Conflict as error:
            raise InvalidValue(str(error)) from error

    def _post(self, parts: SplitResult, body: bytes, headers: dict[str, str]) -> int:
        """Return the status that the program answered."""
        assert parts.hostname is not None
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        address = self._address(parts.hostname, port)
        connection = http.client.HTTPConnection(parts.hostname, port, timeout=TIMEOUT_SECONDS)
        try:
            plain = socket.create_connection((address, port), timeout=TIMEOUT_SECONDS)
            connection.sock = (
                self._tls.wrap_socket(plain, server_hostname=parts.hostname) if secure else plain
            )
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, body, headers)
            response = connection.getresponse()
            response.read(_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise StoreUnavailable(f"{parts.hostname}:{port} cannot be called: {reason}") from error
        else:
            return response.status
        finally:
            connection.close()

    def _address(self, host: str, port: int) -> str:
        """Return the one address to call; every address of the name must be allowed."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise StoreUnavailable(f"{host} cannot be resolved: {error}") from error
        addresses = [str(entry[4][0]) for entry in found]
        for address in addresses:
            _check(
                ipaddress.ip_address(address.partition("%")[0]), host, private_allowed=self._private_allowed
            )
        return addresses[0]


def _check(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, host: str, *, private_allowed: bool
) -> None:
    """Raise `InvalidValue` for networks that a program outside has no business in."""
    mapped = getattr(address, "ipv4_mapped", None)
    real = mapped or address
    if real.is_multicast or real.is_unspecified or real.is_reserved or real.is_link_local:
        raise InvalidValue(f"{host} is an address that is never called")
    if not real.is_global and not private_allowed:
        raise InvalidValue(f"{host} lies in a private network; notices.private_webhooks allows it")
