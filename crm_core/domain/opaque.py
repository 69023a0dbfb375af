"""Secrets that people copy: tokens, links, webhook secrets, broker passwords.

They begin with a mark, so that a shell never takes one for an option (a bare base64url text begins with '-' once in
64 times), and so that logs and scanners of leaked secrets know one when they see it.
"""

import secrets
from typing import Final

MARK: Final = "dbt_"


def new_secret(size_bytes: int = 32) -> str:
    """Return a fresh secret of `size_bytes` random bytes: the mark and base64url text, safe in URLs and shells."""
    return MARK + secrets.token_urlsafe(size_bytes)
