"""Reading from any InfluxDB: InfluxQL over `/query`, the only language that 1.x, 2.x and 3.x share.

Answers come chunked, one JSON document a line, so that a year of a fleet streams instead of filling memory.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import urllib3

from crm_core.domain.errors import InvalidConfiguration, StoreUnavailable

_CHUNK_ROWS: Final = 5000


class _SeriesPart(msgspec.Struct):
    columns: list[str]
    name: str = ""
    tags: dict[str, str] = {}
    values: list[list[Any]] = []


class _Result(msgspec.Struct):
    series: list[_SeriesPart] = []
    error: str | None = None


class _Answer(msgspec.Struct):
    results: list[_Result] = []
    error: str | None = None


_answers: Final = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an answer: the tags that it was grouped by, and its columns in the order asked for, time first."""

    tags: Mapping[str, str]
    values: list[Any]


class InfluxQueries:
    """Asks one database of one server. `token` is `user:password` on 1.x; empty where nobody has to sign in."""

    def __init__(
        self,
        url: str,
        database: str,
        *,
        retention_policy: str = "",
        token: str = "",
        ca_file: str = "",
        timeout_seconds: float = 30.0,
    ) -> None:
        self._url = url.rstrip("/")
        self._database = database
        self._retention_policy = retention_policy
        self._headers = _authorization(token)
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=min(5.0, timeout_seconds), read=timeout_seconds),
            retries=False,
            maxsize=8,
            cert_reqs="CERT_REQUIRED",
            ca_certs=ca_file or None,
        )

    def rows(self, query: str) -> Iterator[Row]:
        """Yield the rows of one SELECT or SHOW; times are microseconds."""
        response = self.call("GET", "/query", self._parameters(query), stream=True)
        try:
            for line in response:
                if not line.strip():
                    continue
                answer = _answers.decode(line)
                error = answer.error or next((r.error for r in answer.results if r.error), None)
                if error is not None:
                    raise StoreUnavailable(f"InfluxDB refuses the query: {error}")
                for result in answer.results:
                    for part in result.series:
                        for values in part.values:
                            yield Row(part.tags, values)
        except (urllib3.exceptions.HTTPError, msgspec.DecodeError) as error:
            raise StoreUnavailable(f"InfluxDB at {self._url}: the answer broke off: {error}") from error
        finally:
            response.release_conn()

    def command(self, query: str) -> None:
        """Run a statement that changes the server, for example CREATE DATABASE."""
        response = self.call("POST", "/query", {"q": query, "db": self._database})
        answer = _answers.decode(response.data)
        error = answer.error or next((r.error for r in answer.results if r.error), None)
        if error is not None:
            raise StoreUnavailable(f"InfluxDB refuses {query!r}: {error}")

    def call(
        self, method: str, path: str, parameters: Mapping[str, str], *, body: bytes | None = None, stream: bool = False,
        allow: frozenset[int] = frozenset(),
    ) -> urllib3.BaseHTTPResponse:  # fmt: skip
        """Make one request; raise `StoreUnavailable` or, where the settings are wrong, `InvalidConfiguration`."""
        try:
            response = self._pool.request(
                method, f"{self._url}{path}?{urlencode(parameters)}", body=body, headers=self._headers,
                preload_content=not stream,
            )  # fmt: skip
        except urllib3.exceptions.HTTPError as error:
            raise StoreUnavailable(f"InfluxDB at {self._url} does not answer: {error}") from error
        if response.status < 300 or response.status in allow:
            return response
        reason = response.data[:300].decode("utf-8", "replace").strip()
        if response.status in {401, 403}:
            raise InvalidConfiguration(
                f"InfluxDB at {self._url} refuses the token ({response.status}): {reason}"
            )
        raise StoreUnavailable(f"InfluxDB at {self._url} answers {response.status}: {reason}")

    def close(self) -> None:
        self._pool.clear()

    def _parameters(self, query: str) -> dict[str, str]:
        parameters = {
            "db": self._database, "q": query, "epoch": "u", "chunked": "true", "chunk_size": str(_CHUNK_ROWS),
        }  # fmt: skip
        if self._retention_policy:
            parameters["rp"] = self._retention_policy
        return parameters


def text(value: str) -> str:
    """Return a string literal of InfluxQL."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def _authorization(token: str) -> dict[str, str]:
    """Return the header: user:password as Basic, because InfluxDB 1.x knows `Token` from 1.8 on only."""
    if ":" in token:
        return urllib3.make_headers(basic_auth=token)
    return {"Authorization": f"Token {token}"} if token else {}
