"""The states of a rental agreement as one table, and what may not happen in them."""

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from crm_core.domain.contracts import ContractState
from crm_core.domain.errors import IllegalTransition


class ContractMove(StrEnum):
    """What can happen to an agreement."""

    OFFER = "offer"
    WITHDRAW = "withdraw"
    SIGN = "sign"
    SUSPEND = "suspend"
    RESUME = "resume"
    EXPIRE = "expire"  # the end comes near: renewal is to be talked about
    RENEW = "renew"
    END = "end"
    TERMINATE = "terminate"


_S, _M = ContractState, ContractMove
MOVES: Final = MappingProxyType(
    {
        (_S.DRAFT, _M.OFFER): _S.OFFERED,
        (_S.DRAFT, _M.END): _S.ENDED,
        (_S.OFFERED, _M.WITHDRAW): _S.DRAFT,
        (_S.OFFERED, _M.SIGN): _S.ACTIVE,
        (_S.OFFERED, _M.END): _S.ENDED,
        (_S.ACTIVE, _M.SUSPEND): _S.SUSPENDED,
        (_S.ACTIVE, _M.EXPIRE): _S.EXPIRING,
        (_S.ACTIVE, _M.RENEW): _S.RENEWED,
        (_S.ACTIVE, _M.TERMINATE): _S.TERMINATED,
        (_S.SUSPENDED, _M.RESUME): _S.ACTIVE,
        (_S.SUSPENDED, _M.TERMINATE): _S.TERMINATED,
        (_S.SUSPENDED, _M.END): _S.ENDED,
        (_S.EXPIRING, _M.RENEW): _S.RENEWED,
        (_S.EXPIRING, _M.END): _S.ENDED,
        (_S.EXPIRING, _M.SUSPEND): _S.SUSPENDED,
        (_S.EXPIRING, _M.TERMINATE): _S.TERMINATED,
    }
)


def next_state(state: ContractState, move: ContractMove) -> ContractState:
    """Return the state after the move; raise `IllegalTransition` naming what is possible instead."""
    following = MOVES.get((state, move))
    if following is None:
        possible = sorted(each.value for begin, each in MOVES if begin is state)
        raise IllegalTransition(
            f"a contract that is {state} cannot {move}; possible: {', '.join(possible) or 'nothing'}"
        )
    return following
