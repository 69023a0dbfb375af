"""A small OpenID Connect provider in a process of its own: discovery, keys, codes with PKCE, signed identity tokens.

`python -m tests.integration.api.oidc_provider PORT` serves it. Everybody who comes is `preferred_username` of the query
`login_as` that the test appends; everything else it does by the book, and refuses what is not.
"""

import base64
import hashlib
import json
import secrets
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "drumbeat", "a-real-client-secret"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CODES: dict[str, dict[str, str]] = {}


class Provider(BaseHTTPRequestHandler):
    """Answers the four addresses."""

    def do_GET(self) -> None:
        """Answer discovery, keys and the way in."""
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        match parts.path:
            case "/.well-known/openid-configuration":
                names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
                self._json({"issuer": issuer()} | {name: f"{issuer()}/{name}" for name in names})
            case "/jwks_uri":
                public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
                self._json({"keys": [public | {"kid": "k1", "use": "sig", "alg": "RS256"}]})
            case "/authorization_endpoint":
                self._authorize(query)
            case _:
                self.send_error(404)

    def do_POST(self) -> None:
        """Exchange a code, once, for the client that has it, with the right verifier."""
        form = {
            name: values[0]
            for name, values in parse_qs(
                self.rfile.read(int(self.headers["Content-Length"])).decode()
            ).items()
        }
        kept = CODES.pop(form.get("code", ""), None)
        told = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            kept is None
            or self.headers.get("Authorization") != f"Basic {told}"
            or challenge.rstrip(b"=").decode() != kept["code_challenge"]
            or form.get("redirect_uri") != kept["redirect_uri"]
        ):
            self._json({"error": "invalid_grant"}, 400)
            return
        self._json({"access_token": "x", "token_type": "Bearer", "id_token": identity(kept)})

    def _authorize(self, query: dict[str, str]) -> None:
        if query.get("client_id") != CLIENT or query.get("code_challenge_method") != "S256":
            self.send_error(400)
            return
        code = secrets.token_urlsafe(16)
        CODES[code] = query
        self.send_response(302)
        back = urlencode({"code": code, "state": query["state"]})
        self.send_header("Location", f"{query['redirect_uri']}?{back}")
        self.end_headers()

    def _json(self, body: object, status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def issuer() -> str:
    """Return the provider's own address."""
    return f"http://127.0.0.1:{PORT}"


def identity(kept: dict[str, str]) -> str:
    """Return the identity token; `flaw` of the query makes one that must be refused."""
    flaw, now = kept.get("flaw", ""), int(time.time())
    claims = {
        "iss": "http://elsewhere.example" if flaw == "issuer" else issuer(),
        "aud": "somebody-else" if flaw == "audience" else CLIENT,
        "sub": "123",
        "iat": now,
        "exp": now - 3600 if flaw == "expired" else now + 300,
        "nonce": "another" if flaw == "nonce" else kept["nonce"],
        "preferred_username": kept.get("login_as", "manager"),
    }
    if flaw == "unsigned":
        return jwt.encode(claims, None, algorithm="none", headers={"kid": "k1"})
    if flaw == "symmetric":
        return jwt.encode(claims, "x" * 40, algorithm="HS256", headers={"kid": "k1"})
    if flaw == "foreign_key":
        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return jwt.encode(claims, other, algorithm="RS256", headers={"kid": "k1"})
    return jwt.encode(
        claims, KEY, algorithm="RS256", headers={"kid": "k2" if flaw == "unknown_key" else "k1"}
    )


if __name__ == "__main__":
    PORT = int(sys.argv[1])
    HTTPServer(("127.0.0.1", PORT), Provider).serve_forever()
