"""Signing in with an identity provider (OpenID Connect, authorization code flow with PKCE), beside passwords.

The provider says who somebody is; who may do what stays here: a claim of the identity token must be the name of an
active account. Nothing is kept on the server between the two steps: state, nonce and verifier travel in a short-lived
cookie that only this server can read. Keys come from the provider's document and are asked for again when one is unknown;
only asymmetric algorithms are accepted (ASVS 5: 9.1.2, 10.5).
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import jwt
from cryptography.fernet import Fernet, InvalidToken

from api.problem import Problem
from api.services import ApiSettings, OidcSettings

STATE_COOKIE: Final = "drumbeat_oidc"
STATE_SECONDS: Final = 600
_ALGORITHMS: Final = ("RS256", "ES256", "PS256", "EdDSA")
_TIMEOUT_SECONDS: Final = 10.0
_LEEWAY_SECONDS: Final = 60.0
_MAX_ANSWER: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Departure:
    """Where the browser goes, and what it carries meanwhile (sealed)."""

    url: str
    sealed: str


class OidcClient:
    """One provider. `seal` seals the cookie between the two steps; processes that share an address share the key."""

    def __init__(self, settings: OidcSettings, redirect_uri: str) -> None:
        self._settings = settings
        self._redirect_uri = redirect_uri
        self._http = httpx.Client(timeout=_TIMEOUT_SECONDS)
        key = hashlib.sha256(b"drumbeat oidc\0" + settings.client_secret.encode()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))
        self._document: dict[str, Any] = {}
        self._keys: dict[str, jwt.PyJWK] = {}
        self._lock = threading.Lock()

    def depart(self, target: str) -> Departure:
        """Return the way to the provider; `target` is the page to show afterwards."""
        kept = {
            "state": secrets.token_urlsafe(24),
            "nonce": secrets.token_urlsafe(24),
            "verifier": secrets.token_urlsafe(48),
            "target": target,
        }
        challenge = base64.urlsafe_b64encode(hashlib.sha256(kept["verifier"].encode()).digest()).rstrip(b"=")
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": "openid profile email",
            "state": kept["state"],
            "nonce": kept["nonce"],
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        sealed = self._fernet.encrypt(json.dumps(kept).encode()).decode()
        return Departure(f"{self._endpoint('authorization_endpoint')}?{urlencode(query)}", sealed)

    def arrive(self, sealed: str, state: str, code: str) -> tuple[str, str]:
        """Return the name that the provider vouches for, and the page to show; `wrong_credentials` otherwise."""
        try:
            kept = json.loads(self._fernet.decrypt(sealed.encode(), ttl=STATE_SECONDS))
        except (InvalidToken, ValueError):
            raise Problem("wrong_credentials") from None
        if not secrets.compare_digest(kept["state"].encode(), state.encode()):
            raise Problem("wrong_credentials")
        claims = self._claims(self._exchange(code, kept["verifier"]), kept["nonce"])
        name = claims.get(self._settings.name_claim)
        if not isinstance(name, str) or not name or len(name) > 128:
            raise Problem("wrong_credentials")
        return name, kept["target"]

    def _exchange(self, code: str, verifier: str) -> str:
        """Return the identity token for a code; a code is good for one exchange."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        basic = httpx.BasicAuth(self._settings.client_id, self._settings.client_secret)
        answer = self._ask("POST", self._endpoint("token_endpoint"), data=form, auth=basic)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise Problem("wrong_credentials")
        return token

    def _claims(self, token: str, nonce: str) -> Mapping[str, Any]:
        """Return the claims of an identity token that is ours, fresh and signed by the provider."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key(jwt.get_unverified_header(token)),
                algorithms=list(_ALGORITHMS),
                audience=self._settings.client_id,
                issuer=self._settings.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError:
            raise Problem("wrong_credentials") from None
        told = claims.get("nonce")
        if not isinstance(told, str) or not secrets.compare_digest(told.encode(), nonce.encode()):
            raise Problem("wrong_credentials")
        return claims

    def _key(self, header: Mapping[str, Any]) -> jwt.PyJWK:
        """Return the provider's key that a token names; keys are asked for again at most once for a token."""
        wanted = str(header.get("kid", ""))
        with self._lock:
            if wanted not in self._keys:
                found = self._ask("GET", self._endpoint("jwks_uri")).get("keys", [])
                self._keys = {
                    str(each.get("kid", "")): jwt.PyJWK(each)
                    for each in found
                    if each.get("use", "sig") == "sig"
                }
            if wanted not in self._keys:
                raise jwt.InvalidKeyError("the provider has no such key")
            return self._keys[wanted]

    def _endpoint(self, name: str) -> str:
        """Return an address of the provider from its document, which is read once an hour."""
        if self._document.get("read_at", -3600.0) + 3600.0 < time.monotonic():
            url = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
            document = self._ask("GET", url)
            if document.get("issuer") != self._settings.issuer:
                raise Problem(
                    "unavailable", "the identity provider calls itself by another name than oidc.issuer"
                )
            self._document = {**document, "read_at": time.monotonic()}
        return str(self._document[name])

    def _ask(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        """Return a JSON object from the provider; `unavailable` when it does not answer with one."""
        try:
            answer = self._http.request(method, url, **options)
            if answer.status_code in (400, 401):
                raise Problem("wrong_credentials")
            answer.raise_for_status()
            if len(answer.content) > _MAX_ANSWER:
                raise Problem("unavailable", "the identity provider answers too much")
            found = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Problem(
                "unavailable", "the identity provider does not answer; sign in with a password"
            ) from error
        if not isinstance(found, dict):
            raise Problem("unavailable", "the identity provider answers no JSON object")
        return found

    def close(self) -> None:
        """Close the connections to the provider."""
        self._http.close()


def oidc_client(settings: ApiSettings) -> OidcClient | None:
    """Return the client of the provider that the settings name, None without one."""
    if settings.oidc is None:
        return None
    return OidcClient(settings.oidc, f"{settings.public_url.rstrip('/')}/sign-in/oidc/back")
