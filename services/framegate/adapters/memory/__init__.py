"""Every port in memory: thread-safe, with an injected clock, for tests and experiments. Nothing survives the process."""

from framegate.adapters.memory.audit import MemoryAuditLog
from framegate.adapters.memory.blobs import MemoryBlobs
from framegate.adapters.memory.camera_health import MemoryCameraHealths
from framegate.adapters.memory.clock import FakeClock
from framegate.adapters.memory.drift import MemoryDrifts
from framegate.adapters.memory.holds import MemoryHolds
from framegate.adapters.memory.hooks import MemoryHook
from framegate.adapters.memory.intake import MemoryIntake
from framegate.adapters.memory.models import MemoryRegistry, MemoryShadows
from framegate.adapters.memory.objects import MemoryObjects
from framegate.adapters.memory.overview import MemoryOverview
from framegate.adapters.memory.people import MemoryPeople
from framegate.adapters.memory.progress import MemoryProgress
from framegate.adapters.memory.queue import MemoryQueue
from framegate.adapters.memory.registry import MemoryCameras, MemoryKeys, MemoryPolicies, MemoryWorkers
from framegate.adapters.memory.results import MemoryResults
from framegate.adapters.memory.retention import MemoryRetention
from framegate.adapters.memory.reviews import MemoryReviews
from framegate.adapters.memory.state import MemoryState
from framegate.adapters.memory.store import MemoryStore
from framegate.adapters.memory.upkeep import MemoryUpkeep
from framegate.adapters.memory.uploads import MemoryUploads

__all__ = [
    "FakeClock",
    "MemoryAuditLog",
    "MemoryBlobs",
    "MemoryCameraHealths",
    "MemoryCameras",
    "MemoryDrifts",
    "MemoryHolds",
    "MemoryHook",
    "MemoryIntake",
    "MemoryKeys",
    "MemoryObjects",
    "MemoryOverview",
    "MemoryPeople",
    "MemoryPolicies",
    "MemoryProgress",
    "MemoryQueue",
    "MemoryRegistry",
    "MemoryResults",
    "MemoryRetention",
    "MemoryReviews",
    "MemoryShadows",
    "MemoryState",
    "MemoryStore",
    "MemoryUpkeep",
    "MemoryUploads",
    "MemoryWorkers",
]
