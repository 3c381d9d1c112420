"""Whether a camera can be believed: when it leaves what is usual for it, and when it is back. No clock, no I/O.

Every judgement is about a camera's own past: what is dark for one is usual for another. What shows signs of a fault is not
learnt from, or a camera that gets worse would become its own measure.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from math import exp, log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from framegate.kernel.camera_health import Baseline, CameraHealth, Fault, FaultChange, HealthLimits, Observation, Place
from framegate.kernel.inspection import Alert, Quality, Scene

#: The rule of a camera's incident.
CAMERA_RULE: Final = "camera"
_CRITICAL: Final = frozenset({Fault.FROZEN, Fault.DARK, Fault.BLOCKED})
#: It ends when the fault does; this is only for a camera that is never seen again.
_WINDOW_S: Final = 30 * 86_400.0
#: A watcher that did not look for so long was away.
_AWAY: Final = timedelta(seconds=60)
#: For how long a pause is remembered: nights and weekends are usual, too.
_PAUSES_S: Final = 14 * 86_400.0
#: Least deviations: of a picture that never changes, every change would be far out.
_LEAST_LOG_SHARPNESS: Final = 0.1
_LEAST_LUMA: Final = 2.0
_LEAST_DISTANCE: Final = 0.02
#: Share of each frame in the mean layout of late, which goods on their way through do not disturb much.
_OF_LATE: Final = 0.1
#: How far the usual log sharpness follows a lens that gets dirty slowly: down to half of what it began with.
_FOLLOWS: Final = log(2)

#: Signs of faults in one frame; None or absent: the frame cannot say.
_Signs = dict[Fault, str | None]


def observe(health: CameraHealth, seen: Observation, limits: HealthLimits) -> list[FaultChange]:
    """What one image changes; `health` becomes what it is after it.

    Images may come in any order: only pauses and repetitions are about neighbours, and both bear a stranger in between.
    """
    _keep_time(health, seen.at)
    if seen.prepared is None:
        return []
    quality, scene = seen.prepared.quality, seen.prepared.scene
    signs = _signs(health, quality, scene, seen.at, limits)
    changes = _begun(health, signs, seen, limits) + _over(health, signs, seen, limits)
    if not health.faults and not any(signs.values()):
        _learn(health, quality, scene, limits)
    return changes


def judge(healths: dict[Place, CameraHealth], images: Iterable[Observation], limits: HealthLimits) -> list[FaultChange]:
    """`observe` for images of several cameras, oldest first; cameras without health get one."""
    changes: list[FaultChange] = []
    for seen in sorted(images, key=lambda one: one.at):
        health = healths.setdefault((seen.facility, seen.camera), CameraHealth())
        changes += observe(health, seen, limits)
    return changes


def awake_since(before: datetime, looked_at: datetime, now: datetime) -> datetime:
    """Since when nothing was missed, if somebody looked at `looked_at` and looks now: our absence is no camera's fault."""
    return now if now - looked_at > _AWAY else before


def silent_at(health: CameraHealth, limits: HealthLimits, awake: datetime | None = None) -> datetime | None:
    """When it has been silent for too long, somebody having looked since `awake`.

    None: it is known to be silent, or too little is known of it.
    """
    if health.last_at is None or health.frames < limits.warm_up or Fault.SILENT in health.faults:
        return None
    allowed = max(
        limits.silent_least_s, limits.silent_times * health.interval.mean, limits.silent_pauses * health.pause_s
    )
    return max(health.last_at, awake or health.last_at) + timedelta(seconds=allowed)


def fall_silent(
    health: CameraHealth, place: Place, now: datetime, awake: datetime, limits: HealthLimits
) -> list[FaultChange]:
    """What it means that nothing has come until now. Ask only where no image is on its way."""
    due = silent_at(health, limits, awake)
    if due is None or now < due or health.last_at is None:
        return []
    health.faults[Fault.SILENT], health.clear[Fault.SILENT] = now, 0
    gone = _duration(now - health.last_at)
    detail = f"no image for {gone}, where one every {health.interval.mean:.3g} s is usual"
    return [FaultChange(*place, Fault.SILENT, True, detail, False)]


def suspend(health: CameraHealth, place: Place, now: datetime, actor: str, reason: str) -> list[FaultChange]:
    """A person says that it cannot be believed; nothing that its pictures show ends that. Nothing new when it is so."""
    if Fault.SUSPENDED in health.faults:
        return []
    health.faults[Fault.SUSPENDED] = now
    return [FaultChange(*place, Fault.SUSPENDED, True, f"{actor} says: {reason}", False)]


def lifted(health: CameraHealth, place: Place, actor: str) -> tuple[CameraHealth, Alert | None]:
    """All that is usual is learnt anew, unless it was only suspended: then nobody said that its pictures changed.

    The alert ends the incident, if there is one. Pauses are no matter of pictures.
    """
    fresh = CameraHealth(last_at=health.last_at, interval=health.interval, pause_s=health.pause_s)
    if not health.faults:
        return fresh, None
    if health.faults.keys() == {Fault.SUSPENDED}:
        fresh = replace(health, faults={})
    summary = f"{actor} says that {place[1]} is well ({', '.join(sorted(health.faults))})"
    return fresh, Alert(CAMERA_RULE, "warning", f"camera/{place[1]}", summary, _WINDOW_S, over=True)


def alert_about(change: FaultChange) -> Alert | None:
    """What people hear of it. All faults of a camera are one incident, which ends with the last of them."""
    subject = f"camera/{change.camera}"
    if change.began:
        severity = "critical" if change.fault in _CRITICAL else "warning"
        return Alert(CAMERA_RULE, severity, subject, f"{change.camera} is {change.fault}: {change.detail}", _WINDOW_S)
    return Alert(CAMERA_RULE, "warning", subject, change.detail, _WINDOW_S, over=True) if change.well else None


def _keep_time(health: CameraHealth, at: datetime) -> None:
    if health.last_at is not None and at > health.last_at:
        gap = (at - health.last_at).total_seconds()
        health.interval.learn(gap, 1 / min(max(health.frames, 1), 100))
        health.pause_s = max(gap, health.pause_s * exp(-gap / _PAUSES_S))
    health.last_at = max(at, health.last_at or at)


def _signs(health: CameraHealth, quality: Quality, scene: Scene | None, at: datetime, limits: HealthLimits) -> _Signs:
    """With the words for people. A dark or blocked picture says nothing about anything else."""
    blank = quality.contrast < limits.blocked_contrast
    signs: _Signs = {}
    if scene is not None and not blank:
        signs[Fault.FROZEN] = _frozen(health, scene, at, limits)
    if health.frames < limits.warm_up:
        return signs
    dark, blocked = _dark(health, quality, limits), _blocked(health, quality, limits)
    signs[Fault.DARK] = dark
    if dark is None:
        signs[Fault.BLOCKED] = blocked
    if dark is None and blocked is None:
        signs[Fault.DIRTY] = _dirty(health, quality, limits)
        if scene is not None and health.layout:
            signs[Fault.MOVED] = _moved(health, scene, limits)
    return signs


def _frozen(health: CameraHealth, scene: Scene, at: datetime, limits: HealthLimits) -> str | None:
    before = bytes.fromhex(health.tiles)
    health.tiles = scene.tiles.hex()
    if sum(a == b for a, b in zip(before, scene.tiles, strict=False)) < limits.frozen_tiles:
        health.repeats, health.same_since = 1, at
        return None
    health.repeats += 1
    lasted = at - (health.same_since or at)
    if health.repeats < limits.frozen_frames or lasted.total_seconds() < limits.frozen_s:
        return None
    return f"the very same picture {health.repeats} times in {_duration(lasted)}"


def _dark(health: CameraHealth, quality: Quality, limits: HealthLimits) -> str | None:
    usual = health.exposure
    if quality.exposure >= min(limits.dark_exposure, limits.dark_share * usual.mean):
        return None
    return f"brightness {quality.exposure:.3g} where {_usual(usual)} is usual"


def _blocked(health: CameraHealth, quality: Quality, limits: HealthLimits) -> str | None:
    usual = health.contrast
    blank = quality.contrast < min(limits.blocked_contrast, 0.5 * usual.mean)
    veiled = (
        quality.contrast < limits.blocked_share * usual.mean
        and quality.contrast < usual.mean - 4 * max(usual.deviation, _LEAST_LUMA)
        and quality.sharpness < limits.blocked_share * exp(health.sharpness.mean)
    )
    return f"contrast {quality.contrast:.3g} where {_usual(usual)} is usual" if blank or veiled else None


def _dirty(health: CameraHealth, quality: Quality, limits: HealthLimits) -> str | None:
    usual = health.sharpness
    margin = max(-log(limits.dirty_share), limits.dirty_deviations * max(usual.deviation, _LEAST_LOG_SHARPNESS))
    if _log(quality.sharpness) >= usual.mean - margin:
        return None
    middle = exp(usual.mean)
    return f"sharpness {quality.sharpness:.3g} where {middle:.3g} ± {middle * usual.deviation:.2g} is usual"


def _moved(health: CameraHealth, scene: Scene, limits: HealthLimits) -> str | None:
    now = _layout(scene)
    if now is None:
        return None
    recent = now if not health.recent else (1 - _OF_LATE) * np.array(health.recent) + _OF_LATE * now
    health.recent = recent.tolist()
    distance, usual = _distance(recent, np.array(health.layout)), health.distance
    far = usual.mean + limits.moved_deviations * max(usual.deviation, _LEAST_DISTANCE)
    if distance < max(limits.moved_distance, far):
        return None
    return f"the picture is {distance:.2f} away from the usual one, where {usual.mean:.2f} ± {usual.deviation:.2f} is usual"


def _begun(health: CameraHealth, signs: _Signs, seen: Observation, limits: HealthLimits) -> list[FaultChange]:
    needed = {
        Fault.FROZEN: 1,  # it counts by itself
        Fault.DARK: limits.dark_frames,
        Fault.BLOCKED: limits.blocked_frames,
        Fault.MOVED: limits.moved_frames,
        Fault.DIRTY: limits.dirty_frames,
    }
    changes = []
    for fault, words in signs.items():
        health.runs[fault] = run = health.runs.get(fault, 0) + 1 if words else 0
        if words and run >= needed[fault] and fault not in health.faults:
            health.faults[fault], health.clear[fault] = seen.at, 0
            detail = words if fault is Fault.FROZEN else f"{words}, for {run} frames"
            changes.append(FaultChange(seen.facility, seen.camera, fault, True, detail, False))
    return changes


def _over(health: CameraHealth, signs: _Signs, seen: Observation, limits: HealthLimits) -> list[FaultChange]:
    """Those of which enough frames in a row showed no sign; a frame that cannot say does not count."""
    changes = []
    for fault in [fault for fault in Fault if fault in health.faults and fault is not Fault.SUSPENDED]:
        if fault in signs or fault is Fault.SILENT:
            health.clear[fault] = 0 if signs.get(fault) else health.clear.get(fault, 0) + 1
        if health.clear[fault] >= limits.recovery:
            lasted = _duration(seen.at - health.faults.pop(fault))
            del health.clear[fault]
            detail = f"{seen.camera} is not {fault} any more: {limits.recovery} good frames; it was for {lasted}"
            changes.append(FaultChange(seen.facility, seen.camera, fault, False, detail, not health.faults))
    return changes


def _learn(health: CameraHealth, quality: Quality, scene: Scene | None, limits: HealthLimits) -> None:
    health.frames += 1
    weight = 1 / min(health.frames, limits.memory)
    _learn_sharpness(health, _log(quality.sharpness), weight)
    health.exposure.learn(quality.exposure, weight)
    health.contrast.learn(quality.contrast, weight)
    if health.frames == limits.warm_up:
        health.began_with = health.sharpness.mean
    now = None if scene is None else _layout(scene)
    if now is None:
        return
    if not health.layout:
        health.layout = now.tolist()
    usual = np.array(health.layout)
    if health.frames <= limits.warm_up:
        recent = np.array(health.recent) if health.recent else now
        health.recent = ((1 - _OF_LATE) * recent + _OF_LATE * now).tolist()
    if health.frames > limits.warm_up // 2:
        # From when on there is something to be away from.
        learnt = 1 / min(health.frames - limits.warm_up // 2, limits.memory)
        health.distance.learn(_distance(np.array(health.recent), usual), learnt)
    health.layout = (usual + weight * (now - usual)).tolist()


def _learn_sharpness(health: CameraHealth, value: float, weight: float) -> None:
    learnt = replace(health.sharpness)
    learnt.learn(value, weight)
    if health.began_with is None or learnt.mean >= health.began_with - _FOLLOWS:
        health.sharpness = learnt


def _layout(scene: Scene) -> NDArray[np.float64] | None:
    """Of unit length and without its mean, so that neither a cloud nor a lamp counts. None: nothing is to be seen."""
    luma = np.frombuffer(scene.layout, np.uint8).astype(np.float64)
    luma -= luma.mean()
    length = float(np.linalg.norm(luma))
    return luma / length if length >= 8 * _LEAST_LUMA else None


def _distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """1 - correlation: 0 for the same, 1 for unrelated, 2 for the negative."""
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return 1 - float(one @ other) / lengths if lengths else 1.0


def _log(sharpness: float) -> float:
    return log(max(sharpness, 0.01))


def _usual(baseline: Baseline) -> str:
    return f"{baseline.mean:.3g} ± {baseline.deviation:.2g}"


def _duration(time: timedelta) -> str:
    seconds = time.total_seconds()
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
