"""Refused messages as the HTTP side sees them, over the collector's box."""

from collections.abc import Sequence

from api.services import DeadLetter, ReplayedLetter
from collector.dead_letters import DeadLetter as StoredLetter
from collector.dead_letters import DeadLetterBox
from collector.replay import Replayer


class DeadLetterDesk:
    """`api.services.DeadLetters` over the box and its replayer."""

    def __init__(self, box: DeadLetterBox, replayer: Replayer) -> None:
        self._box = box
        self._replayer = replayer

    def list(self, limit: int, before: int | None = None) -> Sequence[DeadLetter]:
        return [_shown(each) for each in self._box.list(limit, before)]

    def get(self, letter_id: int) -> DeadLetter | None:
        found = self._box.get(letter_id)
        return None if found is None else _shown(found)

    def replay(self, letter_ids: Sequence[int]) -> Sequence[ReplayedLetter]:
        return [
            ReplayedLetter(letter_id=each.letter_id, landed=each.landed, reason=each.reason)
            for each in self._replayer.replay(letter_ids)
        ]


def _shown(letter: StoredLetter) -> DeadLetter:
    return DeadLetter(
        letter_id=letter.letter_id or 0,
        at=letter.at,
        origin=letter.origin,
        reason=letter.reason,
        body=letter.body,
    )
