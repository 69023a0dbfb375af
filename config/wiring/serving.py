"""The HTTP side of a process: the API's services put together, and the server that carries them."""

import socket
import ssl
import threading
from datetime import timedelta
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from analytics.policy_replay.service import PolicyReplay, check_request
from api.app import create_app
from api.services import ApiServices, ApiSettings, GuardSettings, OidcSettings, RateLimits
from collector.replay import Replayer
from config.audit_anchors import verify as verify_audit
from config.cli.common import version
from config.link_figures import Links
from config.replay_desk import ReplayDesk
from config.settings import Settings
from config.supervision import Supervisor
from config.wiring.analysing import Desk
from config.wiring.billing import attachments_of
from config.wiring.core import Core, open_lock
from config.wiring.customers import customers_of
from config.wiring.dead_letters import DeadLetterDesk
from config.wiring.exchanging import build_exchange
from config.wiring.shared_figures import figures_folder
from config.wiring.telemetry import Telemetry
from config.wiring.telling import addressing_of
from crm_core.billing.services import build_money
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.fleet_health import FleetHealth
from crm_core.ports import TelemetryStore
from crm_core.storage.sqlalchemy_uow import make_uow_factory

_START_SECONDS: Final = 20.0


def build_api(
    core: Core,
    telemetry: Telemetry,
    desk: Desk,
    jobs: Supervisor,
    metrics: CollectorRegistry,
    *,
    public_url: str,
    sign_in_hint: tuple[tuple[str, str], ...] = (),
    links: Links | None = None,
) -> FastAPI:
    """Return the application over the services of this process."""
    settings, store = core.settings, telemetry.store
    replayer = Replayer(telemetry.dead_letters, telemetry.ingest, store, core.clock)
    reading = make_uow_factory(settings.crm_url, read_only=True)
    services = ApiServices(
        uow_factory=core.uow_factory,
        read_uow_factory=reading,
        store=store,
        fleet_health=FleetHealth(reading, store, core.policy, core.clock),
        servicedesk=desk.servicedesk,
        dispatcher=desk.dispatcher,
        planner=desk.planner,
        fieldwork=desk.fieldwork,
        registry=core.registry,
        stock=desk.stock,
        jobs=jobs,
        dead_letters=DeadLetterDesk(telemetry.dead_letters, replayer),
        personal=core.personal,
        hook_secrets=core.hook_secrets,
        subjects=core.subjects,
        customers=customers_of(core, store, public_url),
        money=build_money(
            core.uow_factory,
            reading,
            store,
            core.clock,
            core.policy,
            attachments_of(core),
            addressing_of(settings, core.policy),
        ),
        policies=core.shelf,
        exchange=build_exchange(core, lambda readings: telemetry.ingest.land(readings).stored),
        replays=ReplayDesk(
            PolicyReplay(store, reading, core.catalogue, core.shelf, core.clock), core.shelf, check_request
        ),
        verify_audit=lambda tenant: verify_audit(core, open_lock(core.settings), tenant),
        messages=core.messages,
        catalogue=core.catalogue,
        policy=core.policy,
        clock=core.clock,
        metrics=metrics,
        version=version(),
        settings=_api_settings(settings, public_url, sign_in_hint),
        readiness={
            "crm": lambda: _ask_crm(core),
            "telemetry": lambda: _ask_telemetry(core, store),
            **({} if links is None else {"disk": links.check_disk}),
        },
        notes=dict if links is None else links.notes,
    )
    app = create_app(services)
    app.state.overviews.prepare(core.tenant)
    return app


def _api_settings(
    settings: Settings, public_url: str, sign_in_hint: tuple[tuple[str, str], ...]
) -> ApiSettings:
    """Return what the HTTP side is told of the settings."""
    return ApiSettings(
        public_url=public_url,
        secure_cookies=settings.api.secure_cookies or settings.api.tls,
        time_zone=settings.schedule.time_zone,
        session_lifetime=timedelta(hours=settings.api.session_hours),
        sign_in=guard_settings(settings),
        job_link_lifetime=timedelta(hours=settings.api.job_link_hours),
        rate_limits=RateLimits(
            per_caller=settings.api.requests_per_minute,
            per_address=settings.api.requests_per_minute_anonymous,
        ),
        private_webhooks=settings.notices.private_webhooks,
        oidc=OidcSettings(**settings.oidc.model_dump()) if settings.oidc.issuer else None,
        tenant=TenantId(settings.general.tenant),
        figures_folder=figures_folder() if settings.api.workers > 1 else "",
        sign_in_hint=sign_in_hint,
    )


def guard_settings(settings: Settings) -> GuardSettings:
    """Return how often a sign-in may fail, and for how long it is locked then."""
    return GuardSettings(
        attempts=settings.api.sign_in_attempts,
        window=timedelta(minutes=settings.api.sign_in_window_minutes),
        lock_out=timedelta(minutes=settings.api.lock_out_minutes),
    )


class HttpServer:
    """uvicorn in a thread; the port is bound at once, so that its number is known before the application is.

    With `certificate` and `key` (PEM files) it speaks HTTPS, TLS 1.2 or newer. `listener` is a socket that is bound already.
    """

    def __init__(
        self,
        host: str,
        port: int,
        certificate: str = "",
        key: str = "",
        listener: socket.socket | None = None,
    ) -> None:
        self._tls = _tls_files(certificate, key)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.listener = listener or _bound(host, port)
        self.port: int = self.listener.getsockname()[1]

    def start(self, app: FastAPI) -> None:
        """Serve `app`; return when it answers."""
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
            **self._tls,
        )
        server = self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=server.run, kwargs={"sockets": [self.listener]}, name="http", daemon=True
        )
        self._thread.start()
        pause = threading.Event()
        for _ in range(int(_START_SECONDS / 0.02)):
            if server.started or not self._thread.is_alive():
                break
            pause.wait(0.02)
        if not server.started:
            raise InvalidConfiguration("the HTTP server did not start; see the log")

    def stop(self) -> None:
        """Finish running requests and stop; harmless when not started."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = self._thread = None
        self.listener.close()


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that has the address, or say why it cannot."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise InvalidConfiguration(
            f"api: cannot listen on {host}:{port}: {error.strerror or error}; choose another api.port"
        ) from error
    return made


def _tls_files(certificate: str, key: str) -> dict[str, Any]:
    """Return uvicorn's parameters for HTTPS; none for plain HTTP. Unusable files are refused now, not at the first visitor."""
    if not certificate:
        return {}
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidConfiguration(
            f"api.tls_certificate {certificate} and api.tls_key {key} cannot be used: {error.strerror or error}"
        ) from error
    return {"ssl_certfile": certificate, "ssl_keyfile": key}


def _ask_crm(core: Core) -> None:
    with core.uow_factory() as uow:
        uow.technicians.all(core.tenant)


def _ask_telemetry(core: Core, store: TelemetryStore) -> None:
    store.newest(core.tenant, DeviceId(""))  # the least that can be asked
