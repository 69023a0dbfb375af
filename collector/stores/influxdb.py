"""Writing to InfluxDB with its own client, and finding out which InfluxDB it is.

`influxdb-client` is used in its synchronous mode with ready bodies; its batching writer loses data at exit and in an
outage. Servers before 1.8 lack `/api/v2/write` and get the same bodies at `/write`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

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
    """Which server and where in it. On 1.x the bucket is the database, `org` is not used, `token` is user:password.

    With a `retention_policy` the bucket of 2.x is `database/retention_policy`, as an upgrade from 1.x names it. `ca_file`
    (PEM) is whom TLS trusts instead of the system's authorities.
    """

    url: str
    database: str
    org: str = ""
    token: str = ""
    retention_policy: str = ""
    ca_file: str = ""
    timeout_seconds: float = 30.0

    @property
    def bucket(self) -> str:
        """Return the name by which `/api/v2` knows the place."""
        return f"{self.database}/{self.retention_policy}" if self.retention_policy else self.database


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
            ca_file=endpoint.ca_file,
            timeout_seconds=endpoint.timeout_seconds,
        )
        self._client = InfluxDBClient(
            url=endpoint.url,
            token=endpoint.token,
            org=endpoint.org,
            ssl_ca_cert=endpoint.ca_file or None,
            timeout=round(endpoint.timeout_seconds * 1000),
        )
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)
        self._capabilities: Capabilities | None = None
        self._prepared = False

    def capabilities(self) -> Capabilities:
        """Return what the server can do, from the version that it states at `/ping` (in a header, or as JSON)."""
        if self._capabilities is None:
            answer = self.queries.call("GET", "/ping", {})
            version = answer.headers.get("X-Influxdb-Version", "") or _stated_version(answer.data)
            found = _VERSION.search(version)
            number = (int(found[1]), int(found[2])) if found else _FIRST_WITH_V2_WRITE
            self._capabilities = Capabilities(
                version or "unknown",
                number[0],
                "/api/v2/write" if number >= _FIRST_WITH_V2_WRITE else "/write",
            )
        return self._capabilities

    def prepare(self) -> None:
        """Create the database (1.x), or the bucket and the mapping that lets InfluxQL read it (2.x)."""
        major = self.capabilities().major
        if major == 1:
            self._make_database()
        elif major == 2:
            self._map_bucket(self._bucket_id())
        self._prepared = True

    def write(self, lines: Sequence[str]) -> None:
        """Write lines with times in microseconds.

        Raise `LinesRefused` when some of them cannot be stored (the others may have been), `StoreUnavailable` when it
        is worth trying again, `InvalidConfiguration` when the token does not suffice.
        """
        if not self._prepared:
            self.prepare()  # the server was away when we started
        body = "\n".join(lines).encode()
        try:
            if self.capabilities().write == "/write":
                self._write_old(body)
            else:
                self._write_client(body)
        except InvalidConfiguration:  # the database is gone, or another server stands there now
            self._prepared, self._capabilities = False, None
            raise

    def close(self) -> None:
        self._writer.close()
        self._client.close()
        self.queries.close()

    def _write_client(self, body: bytes) -> None:
        place = self.endpoint
        try:
            self._writer.write(
                bucket=place.bucket, org=place.org, record=body, write_precision=WritePrecision.US
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
            "POST", "/write", parameters, body=body, allow=frozenset({400, 404, 413, 422})
        )
        if response.status >= 300:
            _judge(response.status, response.data[:500].decode("utf-8", "replace"), self.endpoint.url)

    def _make_database(self) -> None:
        """Create the database and its retention policy (which keeps for ever) unless they exist (InfluxDB 1)."""
        place = self.endpoint
        self.queries.command(f'CREATE DATABASE "{place.database}"')
        policies = self.queries.rows(f'SHOW RETENTION POLICIES ON "{place.database}"')
        if place.retention_policy and place.retention_policy not in {row.values[0] for row in policies}:
            self.queries.command(
                f'CREATE RETENTION POLICY "{place.retention_policy}" ON "{place.database}" DURATION INF REPLICATION 1'
            )

    def _bucket_id(self) -> str:
        """Return the bucket; one that is missing is created and keeps for ever (InfluxDB 2 API)."""
        place = self.endpoint
        found = self._find("/api/v2/buckets", "buckets", name=place.bucket)
        if found:
            return str(found[0]["id"])
        organisations = self._find("/api/v2/orgs", "orgs")
        if not organisations:
            raise InvalidConfiguration(
                f"InfluxDB at {place.url} has no organisation {place.org!r} for this token"
            )
        body = {"name": place.bucket, "orgID": organisations[0]["id"], "retentionRules": []}
        made = self.queries.call("POST", "/api/v2/buckets", {}, body=msgspec.json.encode(body))
        return str(msgspec.json.decode(made.data)["id"])

    def _map_bucket(self, bucket_id: str) -> None:
        """See that InfluxQL reads the bucket that is written to: by a mapping that is there, or by one that is made.

        InfluxDB 2.3 and later map a bucket of the same name by themselves; a mapping of somebody's making goes before that.
        """
        place = self.endpoint
        policy = place.retention_policy or "autogen"
        mappings = self._find("/api/v2/dbrps", "content", db=place.database)
        read = [
            row["bucketID"] for row in mappings
            if (row["retention_policy"] == policy if place.retention_policy else row["default"])
        ]  # fmt: skip
        if not read:
            mapping = {
                "bucketID": bucket_id, "database": place.database, "org": place.org, "retention_policy": policy,
                "default": True,
            }  # fmt: skip
            self.queries.call("POST", "/api/v2/dbrps", {}, body=msgspec.json.encode(mapping))
        elif bucket_id not in read:
            raise InvalidConfiguration(
                f"InfluxDB at {place.url} reads {place.database!r} from another bucket than {place.bucket!r}: "
                "remove that mapping (influx v1 dbrp list) or set influxdb.database to its bucket"
            )

    def _find(self, path: str, key: str, **wanted: str) -> list[dict[str, Any]]:
        """Return what the InfluxDB 2 API lists for our organisation; nothing where it does not know one of the names."""
        found = self.queries.call("GET", path, {"org": self.endpoint.org, **wanted}, allow=frozenset({404}))
        rows = msgspec.json.decode(found.data).get(key) if found.status < 300 else None
        return rows or []


def _stated_version(body: bytes) -> str:
    """Return `version` of a JSON answer (InfluxDB 3), or nothing."""
    try:
        return str(msgspec.json.decode(body, type=dict[str, Any]).get("version", ""))
    except msgspec.DecodeError:
        return ""


def _judge(status: int | None, reason: str, url: str) -> None:
    """Raise what a failed write means."""
    text = f"InfluxDB at {url} answers {status}: {reason[:300].strip()}"
    if status in {400, 413, 422}:
        raise LinesRefused(text)
    if status in {401, 403, 404}:
        raise InvalidConfiguration(f"{text}; check the token, the organisation and the bucket")
    raise StoreUnavailable(text)
