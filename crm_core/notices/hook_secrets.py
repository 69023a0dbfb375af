"""Secrets of webhooks: kept under the lock of personal fields, opened only to sign a call.

Whoever reads the database can then not forge calls. A sealed secret is bound to the tenant and the address, so that it
cannot be moved to a subscription of somebody else's.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from crm_core.domain.errors import Conflict
from crm_core.domain.identity import TenantId
from crm_core.domain.notices import Webhook
from crm_core.domain.trust import Sealed
from crm_core.ports import PersonalLock, UnitOfWork

_BETWEEN: Final = ":"


class HookSecrets:
    """Seals and opens the secrets of webhooks under one lock."""

    def __init__(self, lock: PersonalLock) -> None:
        self._lock = lock

    def sealed(self, tenant: TenantId, url: str, secret: str) -> str:
        """Return a secret as it is stored."""
        box = self._lock.seal(secret, _place(tenant, url))
        return f"{box.key_id}{_BETWEEN}{box.text}"

    def opened(self, hook: Webhook) -> str:
        """Return the secret of a subscription; `Conflict` when it was changed or moved."""
        key_id, found, text = hook.secret.partition(_BETWEEN)
        if not found:
            raise Conflict(
                f"the secret of webhook {hook.webhook_id} is not sealed; make the subscription again"
            )
        return self._lock.open(Sealed(key_id, text), _place(hook.tenant, hook.url))

    def move_to_newest_key(self, uow: UnitOfWork) -> int:
        """Seal anew what an older key seals, of every tenant; return how many. The caller commits."""
        old = [hook for hook in uow.notices.webhooks(None) if key_of(hook) != self._lock.key_ids[0]]
        for hook in old:
            uow.notices.save_webhook(
                replace(hook, secret=self.sealed(hook.tenant, hook.url, self.opened(hook)))
            )
        return len(old)


def key_of(hook: Webhook) -> str:
    """Return the id of the key that seals a subscription's secret."""
    return hook.secret.partition(_BETWEEN)[0]


def keys_in_use(hooks: Sequence[Webhook]) -> dict[str, int]:
    """Return how many secrets each key seals."""
    used: dict[str, int] = {}
    for hook in hooks:
        used[key_of(hook)] = used.get(key_of(hook), 0) + 1
    return used


def _place(tenant: TenantId, url: str) -> str:
    return f"{tenant}/webhook/{url}"
