"""Writing to InfluxDB with its own client, and finding out which InfluxDB it is.

`influxdb-client` is used in its synchronous mode with ready bodies; its batching writer loses data at exit and in an
outage. Servers before 1.8 lack `/api/v2/write` and get the same bodies at `/write`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import urllib3
from influxdb_client import InfluxDBClient, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from collector.stores.influxql import InfluxQueries
from crm_core.domain.errors import InvalidConfiguration, InvalidValue, StoreUnavailable

_VERSION: Final = re.compile(r"v?([0-9]+)\.([0-9]+)")
_FIRST_WITH_V2_WRITE: Final = (1, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluxEndpoint:
    """Which server and where in it. On 1.x the bucket is the database, `org` is not used, `token` is user:password."""

    url: str
    database: str
    org: str = ""
    token: str = ""
    retention_policy: str = ""
    timeout_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server can do: its version as it states it, and which write call it has."""

    version: str
    major: int
    write: Literal["/api/v2/write", "/write"]


class LinesRefused(InvalidValue):
    """The server took note of the body and refuses at least one of its lines."""


class InfluxServer:
    """One InfluxDB; safe to use from several threads."""

    def __init__(self, endpoint: InfluxEndpoint) -> None:
        self.endpoint = endpoint
        self.queries = InfluxQueries(
            endpoint.url,
            endpoint.database,
            retention_policy=endpoint.retention_policy,
            token=endpoint.token,
            timeout_seconds=endpoint.timeout_seconds,
        )
        self._client = InfluxDBClient(
            url=endpoint.url,
            token=endpoint.token,
            org=endpoint.org,
            timeout=round(endpoint.timeout_seconds * 1000),
        )
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)
        self._capabilities: Capabilities | None = None
        self._prepared = False

    def capabilities(self) -> Capabilities:
        """Return what the server can do, from its answer to `/ping`."""
        if self._capabilities is None:
            headers = self.queries.call("GET", "/ping", {}).headers
            version = headers.get("X-Influxdb-Version", "") or headers.get("x-influxdb-version", "")
            found = _VERSION.search(version)
            number = (int(found[1]), int(found[2])) if found else _FIRST_WITH_V2_WRITE
            self._capabilities = Capabilities(
                version or "unknown",
                number[0],
                "/api/v2/write" if number >= _FIRST_WITH_V2_WRITE else "/write",
            )
        return self._capabilities

    def prepare(self) -> None:
        """Create the database (1.x), or the mapping that lets InfluxQL read the bucket (2.x)."""
        major = self.capabilities().major
        if major == 1:
            self.queries.command(f'CREATE DATABASE "{self.endpoint.database}"')
        elif major == 2:
            self._map_bucket()
        self._prepared = True

    def write(self, lines: Sequence[str]) -> None:
        """Write lines with times in microseconds.

        Raise `LinesRefused` when some of them cannot be stored (the others may have been), `StoreUnavailable` when it
        is worth trying again, `InvalidConfiguration` when the token does not suffice.
        """
        if not self._prepared:
            self.prepare()  # the server was away when we started
        body = "\n".join(lines).encode()
        if self.capabilities().write == "/write":
            self._write_old(body)
        else:
            self._write_client(body)

    def close(self) -> None:
        self._writer.close()
        self._client.close()
        self.queries.close()

    def _write_client(self, body: bytes) -> None:
        policy = self.endpoint.retention_policy
        bucket = f"{self.endpoint.database}/{policy}" if policy else self.endpoint.database
        try:
            self._writer.write(
                bucket=bucket, org=self.endpoint.org, record=body, write_precision=WritePrecision.US
            )
        except ApiException as error:
            _judge(error.status, str(error.body or error.reason), self.endpoint.url)
        except urllib3.exceptions.HTTPError as error:
            raise StoreUnavailable(f"InfluxDB at {self.endpoint.url} does not answer: {error}") from error

    def _write_old(self, body: bytes) -> None:
        parameters = {"db": self.endpoint.database, "precision": "u"}
        if self.endpoint.retention_policy:
            parameters["rp"] = self.endpoint.retention_policy
        response = self.queries.call(
            "POST", "/write", parameters, body=body, allow=frozenset({400, 413, 422})
        )
        if response.status >= 300:
            _judge(response.status, response.data[:500].decode("utf-8", "replace"), self.endpoint.url)

    def _map_bucket(self) -> None:
        """Create the database and retention policy mapping of the bucket unless there is one (InfluxDB 2 API)."""
        organisation = {"org": self.endpoint.org}
        mappings = self.queries.call("GET", "/api/v2/dbrps", {**organisation, "db": self.endpoint.database})
        if msgspec.json.decode(mappings.data).get("content"):
            return
        found = self.queries.call("GET", "/api/v2/buckets", {**organisation, "name": self.endpoint.database})
        buckets = msgspec.json.decode(found.data).get("buckets") or []
        if not buckets:
            raise InvalidConfiguration(
                f"InfluxDB has no bucket {self.endpoint.database!r} in {self.endpoint.org!r}: create it first"
            )
        mapping = {
            "bucketID": buckets[0]["id"], "database": self.endpoint.database, "org": self.endpoint.org,
            "retention_policy": self.endpoint.retention_policy or "autogen", "default": True,
        }  # fmt: skip
        self.queries.call("POST", "/api/v2/dbrps", {}, body=msgspec.json.encode(mapping))


def _judge(status: int | None, reason: str, url: str) -> None:
    """Raise what a failed write means."""
    text = f"InfluxDB at {url} answers {status}: {reason[:300].strip()}"
    if status in {400, 413, 422}:
        raise LinesRefused(text)
    if status in {401, 403, 404}:
        raise InvalidConfiguration(f"{text}; check the token, the organisation and the bucket")
    raise StoreUnavailable(text)
