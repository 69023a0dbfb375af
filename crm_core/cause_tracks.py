"""Hysteresis: when a condition that comes and goes counts as on, and when as gone. Pure steps over `CauseTrack`.

A condition is on after N observations AND T minutes, and gone after M observations AND a hold time; N, T, M and the
hold come from policy by cause. Because a healthy device sends no signal, a hold without a contrary signal counts as
the further observations of "gone".
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from crm_core.domain.policy import CauseRule, TriagePolicy
from crm_core.domain.service import CauseTrack, Condition, Evidence, Signal, SignalOrigin

_MAX_EVIDENCE: Final = 5
_MAX_EPISODES: Final = 20
_AT_ONCE: Final = timedelta()


def rule_for(policy: TriagePolicy, cause: str, origin: SignalOrigin) -> CauseRule:
    """Return the rule of a cause; forecasts and silence are decisions already and act at their first observation."""
    rule = policy.rule_for(cause)
    if origin in (SignalOrigin.TELEMETRY, SignalOrigin.PERSON):
        return rule
    return replace(
        rule, raise_observations=1, raise_after=_AT_ONCE, clear_observations=1, clear_after=_AT_ONCE
    )


def seen(track: CauseTrack | None, signal: Signal, condition: Condition) -> CauseTrack:
    """Return the track after `condition` was observed on."""
    evidence = evidence_of(signal, condition)
    if track is None or _is_new_episode(track):
        earlier = track.episodes if track is not None else ()
        return CauseTrack(
            tenant=signal.tenant,
            device_id=signal.device_id,
            cause=condition.cause,
            origin=signal.origin,
            condition=condition,
            first_seen=signal.observed_at,
            last_seen=signal.observed_at,
            seen_count=1,
            evidence=(evidence,),
            episodes=(*earlier, signal.observed_at)[-_MAX_EPISODES:],
        )
    came_back = (*track.episodes, signal.observed_at) if track.clear_since else track.episodes
    return replace(
        track,
        condition=condition,
        last_seen=signal.observed_at,
        seen_count=track.seen_count + 1,
        clear_since=None,
        clear_count=0,
        evidence=(*track.evidence, evidence)[:_MAX_EVIDENCE],
        episodes=came_back[-_MAX_EPISODES:],
    )


def _is_new_episode(track: CauseTrack) -> bool:
    """Return True if the condition had gone before it could raise a ticket: counting starts again."""
    return track.clear_since is not None and track.ticket_id is None


def not_seen(track: CauseTrack, at: datetime) -> CauseTrack:
    """Return the track after the device said that the condition is off."""
    return replace(track, clear_since=track.clear_since or at, clear_count=track.clear_count + 1)


def is_silent_about(signal: Signal, cause: str) -> bool:
    """Return True if the signal says nothing about the cause: `supply.1.1` is not `supply.1.10`."""
    return any(
        cause.startswith(prefix if not prefix or prefix.endswith(".") else f"{prefix}.") or cause == prefix
        for prefix in signal.unknown
    )


def is_raised(track: CauseTrack, policy: TriagePolicy) -> bool:
    """Return True if the condition has been on often and long enough, or (a jam) came back often enough."""
    rule = rule_for(policy, track.cause, track.origin)
    lasted = track.last_seen - track.first_seen >= rule.raise_after
    return (track.seen_count >= rule.raise_observations and lasted) or _jams_too_often(track, policy)


def _jams_too_often(track: CauseTrack, policy: TriagePolicy) -> bool:
    if not track.cause.startswith("jam."):
        return False
    since = track.last_seen - policy.jam_window
    return sum(begin > since for begin in track.episodes) >= policy.jam_count_for_ticket


def is_gone(track: CauseTrack, now: datetime, policy: TriagePolicy) -> bool:
    """Return True if the condition has been off often and long enough, as of `now`."""
    if track.clear_since is None:
        return False
    rule = rule_for(policy, track.cause, track.origin)
    off_for = now - track.clear_since
    if track.clear_count >= rule.clear_observations and off_for >= rule.clear_after:
        return True
    return off_for >= max(rule.clear_after, policy.clear_hold)


def keeps_memory(track: CauseTrack, now: datetime, policy: TriagePolicy) -> bool:
    """Return True if the past episodes of a gone condition still matter (repeated jams)."""
    return track.cause.startswith("jam.") and now - track.last_seen < policy.jam_window


def dormant(track: CauseTrack) -> CauseTrack:
    """Return a gone track that only remembers its episodes."""
    return replace(track, ticket_id=None, seen_count=0, evidence=())


def evidence_of(signal: Signal, condition: Condition) -> Evidence:
    """Return what a ticket keeps of one observation: when, by whom, the key of the reading, and its words."""
    parts = [condition.code or condition.cause]
    if condition.text:
        parts.append(condition.text)
    percent = condition.detail.get("percent")
    if percent is not None:
        parts.append(f"{percent} %")
    days = condition.detail.get("days_p50")
    if isinstance(days, int | float):
        low, high = condition.detail.get("days_p10"), condition.detail.get("days_p90")
        parts.append(f"P50 {days:.1f} d ({low:.1f} to {high:.1f})")
    return Evidence(
        at=signal.observed_at, origin=signal.origin, key=signal.evidence, summary=" | ".join(parts)
    )
