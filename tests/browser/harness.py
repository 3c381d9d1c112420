"""A real box with what a day brings, and people who look at it in a real Chromium."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from framegate.bootstrap import Stores, open_blobs
from framegate.box.keys import create_key
from framegate.box.people import add_person
from framegate.cli.stores import stores_of
from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.people import Role
from framegate.kernel.rollout import ModelState
from framegate.kernel.states import DEFAULT_SCOPES
from framegate.ports.blobs import Blobs
from framegate.ports.deliveries import Subscription
from framegate.ports.hooks import HookKind
from framegate.settings import Settings
from framegate.starter import sample_frames, starter_dir
from framegate.worker.models import register
from tests.support.box import RunningBox, running_box, until

from .drifting import let_drift

PASSWORD: Final = "nine crates of lemons"
#: One of each role, in both facilities; `carla` is a reviewer in one of them only.
PEOPLE: Final = {"ada": "admin", "otto": "operator", "rita": "reviewer", "rolf": "reviewer", "vera": "viewer"}
FACILITIES: Final = ("main", "north")
AXE: Final = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
#: As root there is no sandbox; without the others Chromium looks up hosts of its own at every start.
_FLAGS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
_PATIENCE_MS: Final = 15_000
DESKTOP: Final = (1440, 900)
TABLET: Final = (820, 1180)


def find_chromium() -> str | None:
    """`CHROMIUM`, or the distribution's."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(_FLAGS), timeout=60_000)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def box_of_a_day(data: Path) -> Iterator[RunningBox]:
    """Images of several cameras in two facilities with all ends, people of every role, something for every page."""
    with running_box(data, FRAMEGATE_REVIEWS__UNDO_S="8") as box:
        # Not by the command line, which would take half a minute to start so often.
        with stores_of(Settings(data=data)) as stores:
            for name, role in PEOPLE.items():
                add_person(stores, name, Role(role), map(FacilityId, FACILITIES), PASSWORD, "seed")
            add_person(stores, "carla", Role.REVIEWER, [FacilityId("main")], PASSWORD, "seed")
            for facility, camera in (("main", "dock-1"), ("main", "dock-2"), ("north", "gate-7")):
                stores.cameras.confirm_camera(FacilityId(facility), CameraId(camera), "seed")
            now = datetime.now(UTC)
            for kind, target in (
                (HookKind.WEBHOOK, "https://receiver.invalid/in"),
                (HookKind.SLACK, "https://hooks.slack.invalid/T0/B0/x"),
            ):
                stores.endpoints.add_endpoint(Subscription.new(FacilityId("main"), kind, target, now, "seed"), "seed")
            with closing(stores.queue("seed")) as queue:
                queue.send("frame-submitted-live", ["no message of ours"])  # a worker makes it a dead letter
            scopes = frozenset(map(str, DEFAULT_SCOPES))
            key = create_key(stores, Settings(data=data), "north-cameras", scopes, ["north"], 365)
        sent = send_images(box, key)
        with stores_of(Settings(data=data)) as stores:
            let_drift(stores, "dock-2", sent[1::3])
            add_models(stores, open_blobs(Settings(data=data)))
            change_policy(stores)
        yield box


def change_policy(stores: Stores) -> None:
    """A second version, with something for every line of the page; it decides what came before it the same."""
    main = FacilityId("main")
    current = stores.policies.current_policy(main)
    assert current is not None
    more = {
        "second_look": {"max_share": 0.1, "clear_below": None},
        "alerts": {
            "blind-camera": {"when": ["quality"], "severity": "warning", "window": "2h", "escalate_after": "never"}
        },
        "deadlines": {"live": "30s"},
        "cameras": {"dock-1": {"classes": {"hole": {"review": 0.2, "fail": 0.4}}}},
    }
    stores.policies.add_policy(main, {**current.document, **more}, "A. Lead", expected=current.version)


def add_models(stores: Stores, blobs: Blobs) -> None:
    """The starter again: carton@2 is approved, carton@3 nobody has checked, carton@4 nobody answers for yet."""
    starter = ModelManifest.load(starter_dir())
    for version, steps in (
        ("2", (ModelState.VALIDATED, ModelState.APPROVED)),
        ("3", ()),
        ("4", (ModelState.VALIDATED,)),
    ):
        text = starter.text.replace('version = "1"', f'version = "{version}"')
        model = register(stores.registry, blobs, replace(starter, version=version, text=text), "seed")
        for state in steps:
            why = {"comment": "compared on both docks"} if state is ModelState.APPROVED else {}
            stores.registry.advance(model.ref, state, "seed", why)


def send_images(box: RunningBox, north: str, count: int = 24) -> list[str]:
    """The ids of images that have ended; every eighth is no picture below its header. `north` is a key of that facility."""
    sent = []
    for n, path in enumerate(sample_frames()[:count]):
        data = path.read_bytes()
        broken = data[: len(data) // 2] + b"\xff\xd9" if n % 8 == 7 else data  # ends like a JPEG
        camera = f"dock-{n % 3 + 1}"  # nobody has confirmed dock-3
        more = {"shipment": f"SHIP-{n // 4:03}", "dock": f"door-{n % 3 + 1}"}
        sent.append(box.upload(broken, camera=camera, **more).raise_for_status().json()["id"])
    for path in sample_frames()[:4]:
        head = {"Authorization": f"Bearer {north}"}
        box.upload(path.read_bytes(), camera="gate-7", headers=head).raise_for_status()
    until(lambda: box.in_flight() == 0, 120, "an outcome of every image")
    return sent


@dataclass
class Viewer:
    """A person at a browser. Whatever goes wrong behind the page is kept, for `assert_calm`."""

    box: RunningBox
    context: BrowserContext
    page: Page
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(_PATIENCE_MS)
        self.page.on("console", lambda message: self._said(message.type, message.text))
        self.page.on("pageerror", lambda error: self.errors.append(f"error: {error}"))
        self.page.on("request", lambda request: self._asked(request.url))

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.errors.append(f"{kind}: {text}")

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("blob", "data") and f"{parts.scheme}://{parts.netloc}" != self.box.url:
            self.errors.append(f"asked elsewhere: {url}")

    def log_in(self, name: str) -> "Viewer":
        self.page.goto(f"{self.box.url}/login?next=/me")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url(f"{self.box.url}/me")
        return self

    def open(self, path: str) -> Page:
        answer = self.page.goto(self.box.url + path)
        assert answer is not None
        assert answer.status == 200, f"{path}: {answer.status}"
        return self.page

    def assert_calm(self) -> None:
        """Nothing on the console, no request that left the origin."""
        assert self.errors == []

    def assert_fits(self) -> None:
        """Nobody has to scroll sideways."""
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"the page is {wide} pixels wider than the screen"

    def assert_accessible(self) -> None:
        """Axe finds nothing serious on what is shown now."""
        # Not by a script element, which the page's own policy would stop.
        self.page.evaluate(AXE.read_text("utf-8"))
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        result: dict[str, Any] = self.page.evaluate(
            "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", tags
        )
        serious = [
            {"rule": one["id"], "help": one["help"], "where": [node["html"][:200] for node in one["nodes"]][:5]}
            for one in result["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == [], json.dumps(serious, indent=2)


@contextmanager
def viewer(
    browser: Browser,
    box: RunningBox,
    name: str | None = None,
    *,
    size: tuple[int, int] = DESKTOP,
    scheme: Literal["light", "dark"] = "light",
    **options: Any,
) -> Iterator[Viewer]:
    """Somebody with a browser of their own, logged in as `name`."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, timezone_id="Europe/Berlin", locale="en-GB",
        reduced_motion="reduce", **options,
    )  # fmt: skip
    try:
        who = Viewer(box, context, context.new_page())
        yield who.log_in(name) if name is not None else who
    finally:
        context.close()
