"""Renders pages: templates with the visitor's language, theme, times and rights, and fingerprinted static files."""

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import jinja2
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api.access import THEME_COOKIE, Principal
from api.language import THEMES, page_language
from api.pages.formats import Formats
from api.pages.navigation import help_of, places_of, sections_of
from api.problem import Problem
from api.services import ApiServices
from api.wording import evidence_text, term, ticket_title
from crm_core.domain.identity import ticket_number, work_order_number
from crm_core.domain.service import Role

_COMMENTS: Final = re.compile(rb"/\*.*?\*/", re.DOTALL)
_LINES: Final = re.compile(rb"\s*\n\s*")
_SPACES: Final = re.compile(rb"[ \t]+")


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of ours with its fingerprint; the address carries it, so browsers may keep it for ever."""

    body: bytes
    packed: bytes  # gzip, made once and as small as it gets; empty where that would not be smaller
    media_type: str
    fingerprint: str


class Renderer:
    """Templates and static files, read once at start."""

    def __init__(self, services: ApiServices, templates: Path, static: Path) -> None:
        self._services = services
        self.zone = ZoneInfo(services.settings.time_zone)
        self._static = {path.name: _load(path) for path in sorted(static.iterdir()) if path.is_file()}
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(templates),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals.update(
            static=self.static_url,
            ticket_number=ticket_number,
            work_order_number=work_order_number,
            sections_of=sections_of,
            places_of=places_of,
            help_of=help_of,
        )

    def warm(self) -> None:
        """Compile all templates now, so that no visitor after a start waits for that."""
        for name in self._environment.list_templates():
            self._environment.get_template(name)

    def static_url(self, name: str) -> str:
        """Return the address of a static file."""
        return f"/static/{name}?{urlencode({'v': self._static[name].fingerprint})}"

    def static_file(self, name: str) -> StaticFile:
        """Return a static file, or raise `not_found`."""
        found = self._static.get(name)
        if found is None:
            raise Problem("not_found")
        return found

    def language(self, request: Request, principal: Principal | None) -> str:
        """Return the language of a page."""
        default = self._services.settings.default_language
        return page_language(request, default, principal.language if principal else None)

    def page(
        self,
        request: Request,
        template: str,
        *,
        principal: Principal | None = None,
        status: int = 200,
        **context: Any,
    ) -> Response:
        """Return the rendered template as a page in the visitor's language."""
        language = self.language(request, principal)
        now = self._services.clock.now()
        words = self._words(language, now)
        theme = request.cookies.get(THEME_COOKIE)
        body = self._environment.get_template(template).render(
            **words,
            **context,
            language=language,
            theme=theme if theme in THEMES else "auto",
            principal=principal,
            csrf=principal.csrf if principal else "",
            path=request.url.path,
            here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            now=now,
            version=self._services.version,
        )
        response = HTMLResponse(body, status)
        response.headers["Vary"] = "Cookie, Accept-Language"
        response.headers["Content-Language"] = language
        return response

    def _words(self, language: str, now: datetime) -> dict[str, Any]:
        """Return what a template needs to speak one language."""
        messages = self._services.messages

        def t(key: str, /, **arguments: object) -> str:
            return messages.text(language, f"pages.{key}", **arguments)

        return {
            "t": t,
            "text": lambda key, /, **arguments: messages.text(language, key, **arguments),
            "term": lambda family, value: term(family, value, messages, language),
            "spans": {
                "risk_hours": f"{self._services.policy.sla.at_risk_within.total_seconds() / 3600:g}",
                "watch_days": f"{self._services.policy.replenishment.watch_days_left:g}",
            },
            "unpacked": lambda line: messages.unpacked(language, line),
            "evidence_of": lambda evidence: evidence_text(evidence, messages, language),
            "title_of": lambda ticket: ticket_title(ticket, messages, language),
            "f": Formats(language, self.zone, now),
            "svg": Markup,
        }


def start_of(principal: Principal) -> str:
    """Return the page on which a person begins."""
    return {Role.TECHNICIAN: "/work", Role.CUSTOMER: "/my"}.get(principal.role, "/")


def _load(path: Path) -> StaticFile:
    """Read a static file."""
    body = path.read_bytes()
    if path.suffix == ".css":
        body = _COMMENTS.sub(b"", body)
        body = _SPACES.sub(b" ", _LINES.sub(b"\n", body)).strip()
    packed = gzip.compress(body, 9, mtime=0)
    media_type = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0]
    return StaticFile(
        body=body,
        packed=packed if len(packed) < len(body) else b"",
        media_type=media_type or "application/octet-stream",
        fingerprint=hashlib.sha256(body).hexdigest()[:12],
    )
