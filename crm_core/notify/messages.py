"""Mail, SMS and WeChat through apprise: one address with a place for the receiver, set up by the operator.

apprise answers only yes or no and logs the rest; its log lines become the reason of a failure.
"""

import logging
import threading
from typing import Final, Self
from urllib.parse import quote

import apprise

from crm_core.domain.errors import InvalidConfiguration, InvalidValue, StoreUnavailable
from crm_core.domain.notices import Channel, Notice

PLACE: Final = "{to}"  # where the receiver's address goes in a service address
_REASON_LENGTH: Final = 300


class AppriseSender:
    """One channel over one apprise service address, for example `mailtos://desk:key@mail.example/?to={to}`."""

    def __init__(self, channel: Channel, service: str) -> None:
        self._channel = channel
        self._service = service
        if PLACE not in service:
            raise InvalidConfiguration(f"notices.{channel}: the address needs {PLACE} for the receiver")
        if not apprise.Apprise().add(
            service.replace(PLACE, "13800000000" if channel is Channel.SMS else "a@b.example")
        ):
            raise InvalidConfiguration(f"notices.{channel}: no address that apprise knows")

    def send(self, notice: Notice, title: str, text: str) -> None:
        """Send one message; the notice's number goes along, so that a repeat can be told from a second message."""
        address = notice.address.strip()
        if not address or any(sign.isspace() or ord(sign) < 32 for sign in address):
            raise InvalidValue(f"{address[:80]!r} is no address for {self._channel}")
        service = apprise.Apprise()
        if not service.add(self._service.replace(PLACE, quote(address, safe="@+"))):
            raise InvalidValue(f"{address[:80]!r} is no address for {self._channel}")
        body = f"{text}\n\n[{notice.notice_id}]"
        with _Reasons() as reasons:
            sent = service.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT)
        if not sent:
            raise StoreUnavailable(f"{self._channel} was not accepted: {reasons.text or 'no reason given'}")


class _Reasons(logging.Handler):
    """Gathers what apprise logs in this thread while it sends."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self._lines: list[str] = []

    @property
    def text(self) -> str:
        return "; ".join(self._lines)[:_REASON_LENGTH]

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._lines.append(record.getMessage())

    def __enter__(self) -> Self:
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(self, *_error: object) -> None:
        logging.getLogger("apprise").removeHandler(self)
