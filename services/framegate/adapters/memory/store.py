"""Everything in memory at once."""

from framegate.adapters.memory.audit import MemoryAuditLog
from framegate.adapters.memory.camera_health import MemoryCameraHealths
from framegate.adapters.memory.deliveries import MemoryDeliveries, MemoryEndpoints
from framegate.adapters.memory.drift import MemoryDrifts
from framegate.adapters.memory.holds import MemoryHolds
from framegate.adapters.memory.incidents import MemoryIncidents
from framegate.adapters.memory.intake import MemoryIntake
from framegate.adapters.memory.models import MemoryRegistry, MemoryShadows
from framegate.adapters.memory.overview import MemoryOverview
from framegate.adapters.memory.people import MemoryPeople
from framegate.adapters.memory.progress import MemoryProgress
from framegate.adapters.memory.queue import MemoryQueue
from framegate.adapters.memory.registry import MemoryCameras, MemoryKeys, MemoryPolicies, MemoryWorkers
from framegate.adapters.memory.results import MemoryResults
from framegate.adapters.memory.retention import MemoryRetention
from framegate.adapters.memory.reviews import MemoryReviews
from framegate.adapters.memory.state import MemoryState
from framegate.adapters.memory.upkeep import MemoryUpkeep
from framegate.adapters.memory.uploads import MemoryUploads
from framegate.ports.clock import Clock


class MemoryStore:
    """One of each port over one shared state and one queue; `state` is open to tests."""

    def __init__(self, clock: Clock, queue: MemoryQueue | None = None) -> None:
        self.clock = clock
        self.queue = queue or MemoryQueue(clock)
        self.state = MemoryState(clock, self.queue)
        self.progress = MemoryProgress(self.state)
        self.intake = MemoryIntake(self.state)
        self.results = MemoryResults(self.state)
        self.audit = MemoryAuditLog(self.state)
        self.reviews = MemoryReviews(self.state)
        self.retention = MemoryRetention(self.state)
        self.holds = MemoryHolds(self.state)
        self.uploads = MemoryUploads()
        self.cameras = MemoryCameras(self.state)
        self.camera_healths = MemoryCameraHealths(self.state)
        self.drifts = MemoryDrifts(self.state)
        self.policies = MemoryPolicies(self.state)
        self.workers = MemoryWorkers(clock)
        self.overview = MemoryOverview(self.state, self.workers)
        self.registry = MemoryRegistry(self.state, self.workers)
        self.shadows = MemoryShadows(self.state)
        self.upkeep = MemoryUpkeep(self.state)
        self.keys = MemoryKeys(self.state)
        self.people = MemoryPeople(self.state)
        self.endpoints = MemoryEndpoints(self.state)
        self.deliveries = MemoryDeliveries(self.state, self.endpoints)
        self.incidents = MemoryIncidents(self.state, self.deliveries)
