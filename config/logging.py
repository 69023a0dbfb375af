"""Structured logs on stderr: JSON for machines, readable lines for people, and never a secret in either."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog

from crm_core.domain.opaque import MARK

SECRET_WORDS: Final = (
    "password", "passphrase", "secret", "token", "community", "authorization", "api_key", "private_key", "auth_key", "priv_key",
)  # fmt: skip
HIDDEN: Final = "[hidden]"
_URL_PASSWORD = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^/\s:@]*:)[^@\s/]+(?=@)", re.IGNORECASE)
_MARKED = re.compile(rf"{MARK}[A-Za-z0-9_-]{{20,}}")
_NOISY: Final = (
    "alembic",
    "apscheduler",
    "amqtt",
    "transitions",
    "asyncio",
    "uvicorn",
    "uvicorn.access",
    "uvicorn.error",
    "httpx",
)


def configure_logging(level: str = "info", layout: str = "console") -> None:
    """Send all logs, also those of libraries, to stderr. `layout` is `console` or `json`."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info if layout == "json" else _unchanged,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if layout == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Hide values whose key names a secret, our own secrets in any text, and passwords inside URLs, at any depth."""
    return {key: _clean(key, value) for key, value in event.items()}


def _clean(key: str, value: Any) -> Any:
    if any(word in key.lower() for word in SECRET_WORDS):
        return HIDDEN if value else value
    if isinstance(value, dict):
        return {inner: _clean(str(inner), entry) for inner, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean("", entry) for entry in value]
    return _without_secrets(value) if isinstance(value, str) else value


def _without_secrets(text: str) -> str:
    return _MARKED.sub(HIDDEN, _URL_PASSWORD.sub(rf"\g<head>{HIDDEN}", text))


def _unchanged(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leave tracebacks to the console renderer, which prints them readably."""
    return event
