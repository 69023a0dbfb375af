"""The topic tree: `drumbeat/v1/<tenant>/<site>/<device>/reading|event|status|ack`, built and taken apart in one place.

An agent that serves a whole site speaks under the device name `_agent` (only `status` and `ack` exist there); no device
can have that name, because identifiers do not start with a sign.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import checked_identifier

ROOT: Final = "drumbeat/v1"
AGENT: Final = "_agent"
_MAX_TOPIC_BYTES: Final = 256


class Kind(StrEnum):
    """What a message is about."""

    READING = "reading"
    EVENT = "event"
    STATUS = "status"
    ACK = "ack"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of the tree; `device_id` is `_agent` where an agent speaks for the site."""

    tenant: str
    site_id: str
    device_id: str
    kind: Kind

    @property
    def is_agent(self) -> bool:
        return self.device_id == AGENT

    def __str__(self) -> str:
        return f"{ROOT}/{self.tenant}/{self.site_id}/{self.device_id}/{self.kind.value}"


@lru_cache(maxsize=16_384)  # a sender's topics come again with every message
def parse_topic(text: str) -> Topic:
    """Return the parts of a topic, or raise `InvalidValue` with the reason."""
    if len(text) > _MAX_TOPIC_BYTES:
        raise InvalidValue(f"topic of {len(text)} characters is longer than {_MAX_TOPIC_BYTES}")
    parts = text.split("/")
    if len(parts) != 6 or f"{parts[0]}/{parts[1]}" != ROOT:
        raise InvalidValue(f"topic {text[:120]!r} is not {ROOT}/<tenant>/<site>/<device>/<kind>")
    tenant, site_id, device_id = parts[2:5]
    checked_identifier(tenant, "tenant")
    checked_identifier(site_id, "site")
    try:
        kind = Kind(parts[5])
    except ValueError as error:
        raise InvalidValue(
            f"topic ends with {parts[5][:40]!r}, not with reading, event, status or ack"
        ) from error
    if device_id != AGENT:
        checked_identifier(device_id, "device")
    elif kind in {Kind.READING, Kind.EVENT}:
        raise InvalidValue(f"an agent sends no {kind.value} of its own")
    return Topic(tenant, site_id, device_id, kind)


#: How topics end under which something happens once, other than a status, which holds until the next.
HAPPENINGS: Final = (f"/{Kind.READING.value}", f"/{Kind.EVENT.value}")


def inbound_filters() -> tuple[str, ...]:
    """Return the filters that the collector subscribes to."""
    return tuple(f"{ROOT}/+/+/+/{kind.value}" for kind in (Kind.READING, Kind.EVENT, Kind.STATUS))


def shared(filters: tuple[str, ...], group: str) -> tuple[str, ...]:
    """Return MQTT 5 shared subscriptions: each message goes to one member of `group`."""
    return tuple(f"$share/{group}/{text}" for text in filters)


def ack_filter(tenant: str, site_id: str) -> str:
    """Return the filter of all acknowledgements of one site."""
    return f"{ROOT}/{tenant}/{site_id}/+/{Kind.ACK.value}"
