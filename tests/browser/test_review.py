"""The review desk: what keys decide, and everything that must not decide."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from framegate.starter import sample_frames
from tests.support.box import RunningBox, until
from tests.support.jpegs import commented

from .conftest import Visit
from .harness import Viewer

FACILITY = "main"
DESK = f"/review?facility={FACILITY}"
#: What reviewers ask for, and nothing else: two people take from one queue.
_DOUBTS = 10


@pytest.fixture
def doubts(box: RunningBox) -> Iterator[httpx.Client]:
    """A queue with something in it, in nobody's hands."""
    with box.client() as client:
        stats = client.get("/v1/reviews/stats", params={"facility": FACILITY}).raise_for_status().json()
        missing = _DOUBTS - (stats["open"] - stats["leased"])
        if missing > 0:
            refill(box, missing)
        yield client


def refill(box: RunningBox, missing: int) -> None:
    """Of a camera that nobody confirmed nothing passes by itself; bytes that nobody has sent yet are inspected anew."""
    frames = [path.read_bytes() for path in sample_frames()]
    for n in range(missing):
        _SENT.append(n)
        data = commented(frames[n % len(frames)], f"again {len(_SENT)}")
        box.upload(data, camera="dock-3", shipment=f"AGAIN-{len(_SENT)}").raise_for_status()
    until(lambda: box.in_flight() == 0, 120, "an outcome of every image")


_SENT: list[int] = []


class AtDesk:
    """Somebody at the desk."""

    def __init__(self, viewer: Viewer, before: Any = None) -> None:
        self.viewer = viewer
        self.sent: list[dict[str, Any]] = []
        viewer.page.on("request", self._asked)
        if before is not None:
            before(viewer.page)
        self.page: Page = viewer.open(DESK)

    def _asked(self, request: Any) -> None:
        verb = request.url.rpartition("/")[2]
        if request.method == "POST" and verb in ("decide", "skip", "undo"):
            self.sent.append({"verb": verb, "image": request.url.split("/")[-2], **(request.post_data_json or {})})

    @property
    def stage(self) -> Locator:
        return self.page.locator("[data-stage]")

    @property
    def image(self) -> str:
        """The id of what is on the screen."""
        return self.page.locator("[data-facts] dd.id").inner_text()

    @property
    def camera(self) -> str:
        return self.page.locator("[data-facts] h2").inner_text()

    def ready(self) -> "AtDesk":
        expect(self.stage).to_have_attribute("data-phase", "ready")
        return self

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def decide(self, *keys: str) -> str:
        """Which image it was; the next one is ready, and it was saved."""
        image = self.ready().image
        said = len(self.sent)
        self.press(*keys)
        self.settled()
        assert [one["image"] for one in self.sent[said:]] == [image]
        return image

    def settled(self) -> None:
        """Saved, or told that it was not, and something else is on the screen."""
        expect(self.page.locator("[data-said]")).not_to_contain_text("Saving")
        expect(self.stage).not_to_have_attribute("data-phase", "loading")


@pytest.fixture
def sit(visit: Visit, doubts: httpx.Client) -> Iterator[Any]:
    """`sit("rita")`: at the desk, something on the screen; in the end everything is given back."""
    sitting: list[AtDesk] = []

    def down(name: str, before: Any = None, *, ready: bool = True) -> AtDesk:
        sitting.append(AtDesk(visit(name), before))
        return sitting[-1].ready() if ready else sitting[-1]

    yield down
    for one in sitting:
        if not one.page.is_closed():
            one.page.unroute_all(behavior="ignoreErrors")
            one.page.goto(f"{one.viewer.box.url}/me")
            one.page.wait_for_load_state("networkidle")


def record(client: httpx.Client, image: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/images/{image}").raise_for_status().json()
    return found


def said(client: httpx.Client, image: str) -> list[tuple[str, str | None]]:
    return [(review["decision"], review["class"]) for review in record(client, image)["reviews"]]


def test_a_shift_by_keyboard(sit: Any, doubts: httpx.Client) -> None:
    rita = sit("rita")
    rita.viewer.assert_accessible()
    passed = rita.decide("p")
    expect(rita.page.locator("[data-said]")).to_have_text(re.compile(r"^Pass on dock-\d$"))
    failed = rita.decide("f", "1")
    unclear = rita.decide("u")
    skipped = rita.decide("s")
    rita.ready().press("n")
    rita.page.keyboard.type("p f u: letters in a note decide nothing")
    rita.press("Enter")
    noted = rita.decide("2")
    assert len({passed, failed, unclear, skipped, noted}) == 5
    assert said(doubts, passed) == [("pass", None)]
    assert said(doubts, failed) == [("fail", "dent")]
    assert said(doubts, unclear) == [("cannot-tell", None)]
    assert said(doubts, skipped) == [("skip", None)]
    assert said(doubts, noted) == [("fail", "hole")]
    assert record(doubts, noted)["reviews"][0]["note"] == "p f u: letters in a note decide nothing"
    for image in (passed, failed, unclear, noted):
        assert record(doubts, image)["reviews"][0]["shown_sha256"] == record(doubts, image)["sha256"]


def test_what_was_decided_last_can_be_taken_back_and_comes_back_to_the_screen(sit: Any, doubts: httpx.Client) -> None:
    rita = sit("rita")
    image = rita.decide("1")
    undo = rita.page.get_by_role("button", name="Undo Z Fail (dent) on dock")
    expect(undo).to_be_visible()
    expect(rita.page.locator("[data-left]")).to_contain_text("s left")
    focused = rita.page.evaluate("document.activeElement.tagName")
    assert focused == "BODY"  # telling it takes the focus from nobody
    rita.press("z")
    expect(rita.page.locator("[data-facts] dd.id")).to_have_text(image)
    rita.ready()
    expect(rita.page.locator("[data-facts]")).to_contain_text("taken back")
    expect(undo).to_be_hidden()
    assert rita.decide("p") == image
    assert said(doubts, image) == [("fail", "dent"), ("undo", None), ("pass", None)]
    expect(rita.page.get_by_role("button", name="Undo Z Pass on dock")).to_be_hidden(timeout=20_000)  # 8 s here


def undoing(rita: AtDesk) -> tuple[str, list[Route]]:
    """A decision was taken back and its image has not come yet: which one, and what it waits for."""
    image = rita.decide("p")
    rita.ready()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    rita.page.route("**/v1/reviews/next?*", hold)
    with rita.page.expect_request("**/v1/reviews/next?*"):
        rita.press("z")
    return image, held


def arrive(rita: AtDesk, image: str, held: list[Route]) -> None:
    for route in held:
        route.continue_()
    rita.page.unroute_all()
    expect(rita.page.locator("[data-facts] dd.id")).to_have_text(image)
    rita.ready()


def test_a_class_that_is_typed_is_for_the_image_that_it_was_asked_about(sit: Any) -> None:
    rita = sit("rita")
    image, held = undoing(rita)
    rita.press("o")
    expect(rita.page.get_by_role("dialog")).to_be_visible()
    arrive(rita, image, held)
    rita.page.keyboard.type("rust")
    rita.press("Enter")
    expect(rita.page.locator("[data-said]")).to_have_text("Meanwhile another image has come: nothing was decided.")
    assert [one["verb"] for one in rita.sent] == ["decide", "undo"]


def test_boxes_are_for_the_image_that_they_were_drawn_on(sit: Any) -> None:
    rita = sit("rita")
    image, held = undoing(rita)
    rita.press("r", "a")
    expect(rita.page.locator("[data-redrawing]")).to_be_visible()
    arrive(rita, image, held)
    expect(rita.page.locator("[data-redrawing]")).to_be_hidden()
    assert rita.decide("1") == image
    assert "boxes" not in rita.sent[-1]


def test_a_key_that_is_held_down_decides_one_image(sit: Any) -> None:
    rita = sit("rita")
    first = rita.image
    for _ in range(8):
        rita.page.keyboard.down("p")  # all but the first are repeats
        rita.settled()
    rita.ready()
    assert [(one["image"], one["decision"]) for one in rita.sent] == [(first, "pass")]
    rita.page.keyboard.up("p")
    rita.decide("p")


def test_a_held_enter_and_a_double_click_on_a_button_decide_one_image(sit: Any) -> None:
    rita = sit("rita")
    button = rita.page.get_by_role("button", name="Cannot tell U")
    button.focus()
    for _ in range(5):
        rita.page.keyboard.down("Enter")
        rita.settled()
    rita.page.keyboard.up("Enter")
    assert len(rita.sent) == 1
    rita.ready()
    button.dblclick(delay=20)
    rita.settled()
    rita.ready()
    assert len(rita.sent) == 2


def test_nothing_is_decided_before_the_picture_can_be_seen(sit: Any) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    def slow(page: Page) -> None:
        page.route("**/content?preview=large", hold)

    rita = sit("rita", slow, ready=False)
    expect(rita.stage).to_contain_text("Loading the picture")
    rita.press("p", "1", "u", "s")
    rita.page.get_by_role("button", name="Pass P").click(force=True)
    rita.page.keyboard.down("f")
    until(lambda: rita.page.wait_for_timeout(20) or held, what="the picture being asked for")
    for route in held:
        route.continue_()
    rita.page.unroute_all()
    rita.ready()
    rita.page.keyboard.up("f")
    assert rita.sent == []
    rita.decide("p")


def test_without_its_picture_an_item_can_only_be_skipped_or_loaded_again(sit: Any, doubts: httpx.Client) -> None:
    def broken(page: Page) -> None:
        digest = {"X-Content-SHA256": "ab" * 32}
        page.route(
            "**/content?preview=large",
            lambda route: route.fulfill(status=200, content_type="image/jpeg", headers=digest, body=b"no picture"),
        )

    rita = sit("rita", broken, ready=False)
    expect(rita.stage).to_have_attribute("data-phase", "failed")
    expect(rita.stage).to_contain_text("its bytes are damaged")
    rita.press("p", "1", "u")
    assert rita.sent == []
    rita.page.unroute_all()
    rita.press("Enter")
    rita.ready()
    image = rita.decide("p")
    assert said(doubts, image) == [("pass", None)]
    expect(rita.stage).to_have_attribute("data-phase", "failed")  # the next one was asked for meanwhile
    rita.press("s")
    until(lambda: rita.page.wait_for_timeout(20) or len(rita.sent) == 2, what="the skip")
    assert rita.sent[1]["verb"] == "skip"


def test_a_decision_on_another_picture_is_refused_told_and_made_again(sit: Any, doubts: httpx.Client) -> None:
    swapping = True

    def another(route: Route) -> None:
        answer = route.fetch()
        digest = {"x-content-sha256": "cd" * 32} if swapping else {}
        route.fulfill(response=answer, headers={**answer.headers, **digest})

    rita = sit("rita", lambda page: page.route("**/content?preview=large", another))
    rita.page.wait_for_load_state("networkidle")
    swapping = False
    image = rita.image
    rita.press("p")
    fault = rita.page.get_by_role("alert")
    expect(fault).to_contain_text("The picture on the screen was not this image's")
    expect(fault).to_contain_text(image)
    assert rita.sent[0]["shown_sha256"] == "cd" * 32
    assert said(doubts, image) == []
    assert rita.decide("p") == image  # it was loaded again
    assert said(doubts, image) == [("pass", None)]
    expect(fault).to_have_count(0)
    rita.viewer.errors = [one for one in rita.viewer.errors if "409" not in one]


def test_of_two_people_who_decide_at_once_the_second_is_told_and_goes_on(
    sit: Any, box: RunningBox, doubts: httpx.Client
) -> None:
    rita = sit("rita")
    image = rita.image
    # As if the lease had ended: what rita sees goes to rolf, who is faster.
    rita.page.evaluate(
        """image => fetch(`/v1/reviews/${image}/release`, {method: "POST", headers: {
             "X-CSRF-Token": document.querySelector('meta[name="csrf"]').content}})""",
        image,
    )
    rolf = sit("rolf")
    for _ in range(30):
        if rolf.image == image:
            break
        rolf.decide("s")
    assert rolf.decide("1") == image
    rita.press("p")
    expect(rita.page.get_by_role("alert")).to_contain_text(f"(image {image}). Somebody else was first")
    rita.ready()
    assert rita.image != image
    rita.press("Escape")
    expect(rita.page.get_by_role("alert")).to_have_count(0)
    rita.decide("p")
    assert said(doubts, image) == [("fail", "dent")]
    rita.viewer.errors = [one for one in rita.viewer.errors if "409" not in one]


def test_what_could_not_be_saved_stays_on_the_screen_until_it_is(sit: Any, doubts: httpx.Client) -> None:
    rita = sit("rita")
    image = rita.image
    rita.page.route("**/decide", lambda route: route.abort())
    rita.press("2")
    fault = rita.page.get_by_role("alert")
    expect(fault).to_contain_text(f"Not saved: Fail (hole) on {rita.camera} (image {image})")
    expect(rita.stage).to_have_attribute("data-phase", "unsaved")
    assert rita.image == image
    rita.press("p", "u", "s")
    assert len(rita.sent) == 1
    rita.page.unroute_all()
    rita.press("Enter")
    expect(fault).to_have_count(0)
    rita.settled()
    assert rita.sent[0] == rita.sent[1]
    assert said(doubts, image) == [("fail", "hole")]
    assert rita.ready().image != image
    rita.viewer.errors = [one for one in rita.viewer.errors if "ERR_FAILED" not in one]


def test_whoever_leaves_gives_everything_back(sit: Any, doubts: httpx.Client) -> None:
    rita = sit("rita")

    def leased() -> int:
        return int(doubts.get("/v1/reviews/stats", params={"facility": FACILITY}).raise_for_status().json()["leased"])

    assert leased() == 4
    rita.page.goto(f"{rita.viewer.box.url}/me")
    until(lambda: leased() == 0, 15, "everything being given back")


def test_whoever_goes_away_is_warned_and_then_everything_is_given_back(sit: Any, doubts: httpx.Client) -> None:
    rita = sit("rita", lambda page: page.clock.install())
    rita.page.clock.fast_forward(250_000)
    expect(rita.page.locator("[data-faults]")).to_contain_text("Are you there?")
    # Its answer: one that comes too late leaves leases until their end.
    with rita.page.expect_response("**/v1/reviews/next?*"):
        rita.press("b")  # somebody is there: the leases begin anew
    rita.page.clock.fast_forward(310_000)
    expect(rita.stage).to_contain_text("You were away")
    rita.press("p")
    assert rita.sent == []
    stats = "/v1/reviews/stats"
    until(lambda: doubts.get(stats, params={"facility": FACILITY}).json()["leased"] == 0, 15, "everything given back")


def test_whoever_takes_time_has_no_more_in_hand_for_it(sit: Any) -> None:
    asked: list[str] = []

    def before(page: Page) -> None:
        page.clock.install()
        page.on("request", lambda request: asked.extend(re.findall(r"/reviews/next\?n=(\d+)", request.url)))

    rita = sit("rita", before)
    for _ in range(3):
        rita.press("b")
        with rita.page.expect_response("**/v1/reviews/next?*") as answer:
            rita.page.clock.fast_forward(61_000)
        answer.value.finished()
        rita.page.evaluate("new Promise((done) => setTimeout(done))")  # the page has taken it up
    assert set(asked) == {"4"}


def test_whoever_cannot_renew_a_lease_is_told_before_it_ends(sit: Any) -> None:
    rita = sit("rita", lambda page: page.clock.install())
    rita.page.route("**/v1/reviews/next?*", lambda route: route.abort())
    for _ in range(4):
        rita.press("b")
        with rita.page.expect_event("requestfailed"):
            rita.page.clock.fast_forward(61_000)
        rita.page.evaluate("new Promise((done) => setTimeout(done))")  # the page has taken it up
    expect(rita.page.locator("[data-faults]")).to_contain_text("these images are given back")
    rita.page.clock.fast_forward(61_000)
    expect(rita.stage).to_have_attribute("data-phase", "away")
    rita.viewer.errors = [one for one in rita.viewer.errors if "ERR_FAILED" not in one]


def test_boxes_are_redrawn_by_keyboard_and_kept_with_the_fail(sit: Any, doubts: httpx.Client) -> None:
    rita = sit("rita")
    found = record(doubts, rita.image)["detections"]
    rita.press("r")
    rita.viewer.assert_accessible()
    for _ in found:
        rita.press("Delete")
    rita.press("a", "2")  # a hole, in the middle; numbers decide nothing now
    (box,) = rita.page.locator(".box.edited").all()
    expect(box).to_be_focused()
    assert "hole, box 1 of 1" in str(box.get_attribute("aria-label"))
    rita.press("ArrowRight", "Control+ArrowDown", "Shift+ArrowRight")
    rita.press("p")
    assert rita.sent == []
    rita.press("Enter")
    expect(rita.page.locator("[data-said]")).to_contain_text("1 redrawn")
    image = rita.decide("2")
    ((drawn,),) = [review["boxes"] for review in record(doubts, image)["reviews"]]
    assert drawn["class"] == "hole"
    x1, y1, x2, y2 = drawn["box"]
    width, height = record(doubts, image)["width"], record(doubts, image)["height"]
    step = round(min(width, height) / 100)
    assert x2 - x1 == pytest.approx(width / 4 + step, abs=0.2)
    assert y2 - y1 == pytest.approx(height / 4, abs=12)  # the stage is not exactly of the picture's shape
    assert x1 == pytest.approx(width * 3 / 8 + step, abs=0.2)


def test_boxes_are_drawn_and_moved_with_the_pointer(sit: Any) -> None:
    rita = sit("rita")
    rita.press("r")
    while rita.page.locator(".box.edited").count():
        rita.press("Delete")
    area = rita.stage.bounding_box()
    assert area is not None
    mouse = rita.page.mouse

    def drag(x1: float, y1: float, x2: float, y2: float) -> None:
        mouse.move(area["x"] + x1, area["y"] + y1)
        mouse.down()
        mouse.move(area["x"] + x2, area["y"] + y2, steps=4)
        mouse.up()

    def shape() -> list[float]:
        (frame,) = rita.page.locator(".box.edited rect.under").all()
        return [float(str(frame.get_attribute(name))) for name in ("x", "y", "width", "height")]

    drag(300, 200, 400, 300)
    drawn = shape()
    drag(350, 250, 380, 240)
    moved = shape()
    assert moved[0] > drawn[0]
    assert moved[1] < drawn[1]
    assert moved[2:] == pytest.approx(drawn[2:])
    drag(430, 290, 480, 340)
    assert shape()[2] > moved[2]
    rita.press("Escape")
    expect(rita.page.locator(".box.edited")).to_have_count(0)


def test_the_picture_is_zoomed_and_moved_by_keys(sit: Any) -> None:
    rita = sit("rita")
    picture = rita.stage.locator("img")

    def place() -> Any:
        return picture.bounding_box()

    fitted = place()
    rita.press("+")
    zoomed = place()
    assert zoomed["width"] == pytest.approx(fitted["width"] * 1.5, rel=0.01)
    rita.press("ArrowRight")
    assert place()["x"] < zoomed["x"]
    rita.press("0")
    assert place() == fitted
    rita.press("b")
    expect(rita.stage.locator(".box")).to_have_count(0)
    rita.press("b")
    expect(rita.stage.locator(".box").first).to_be_visible()


def test_single_keys_can_be_switched_off_and_all_are_listed(sit: Any) -> None:
    rita = sit("rita")
    rita.press("?")
    expect(rita.page.get_by_role("dialog", name="Keys")).to_be_visible()
    rita.press("p")
    rita.viewer.assert_accessible()
    rita.press("Escape")
    rita.page.get_by_label("Single keys decide").uncheck()
    rita.press("p", "1")
    assert rita.sent == []
    rita.page.reload()
    rita.ready().press("p")
    assert rita.sent == []
    rita.page.get_by_role("button", name="Pass P").click()
    rita.settled()
    assert len(rita.sent) == 1
    rita.page.get_by_label("Single keys decide").check()


def test_what_is_new_is_announced_and_nothing_tells_what_the_pipeline_said(sit: Any) -> None:
    rita = sit("rita")
    expect(rita.page.locator("[data-announce]")).to_contain_text(f"Next image: {rita.camera} of shipment")
    html = rita.page.locator("[data-facts]").inner_html()
    for word in ("review from", "camera-unconfirmed", "verdict", "blurred", "too-dark"):
        assert word not in html


def test_a_reviewer_of_one_facility_sees_only_that(visit: Visit, doubts: httpx.Client) -> None:
    carla = visit("carla")
    with carla.page.expect_response("**/v1/reviews/next?*") as answer:
        page = carla.open("/review")
    items = answer.value.json()["items"]
    assert items
    assert {item["facility"] for item in items} == {FACILITY}
    expect(page.locator("[data-stage]")).to_have_attribute("data-phase", "ready")
    page.goto(f"{carla.box.url}/me")
    page.wait_for_load_state("networkidle")


def test_the_next_picture_is_there_at_once(sit: Any, record_property: Any) -> None:
    """Not a limit, a figure: this machine may be busy."""
    rita = sit("rita")
    rita.page.wait_for_load_state("networkidle")
    for _ in range(6):
        rita.decide("u")
        rita.page.wait_for_load_state("networkidle")
    took: list[float] = rita.page.evaluate("performance.getEntriesByName('review-next').map(one => one.duration)")
    assert len(took) == 6
    median = sorted(took)[3]
    record_property("key_to_picture_ms", median)
    print(f"from key to the next picture: median {median:.0f} ms, worst {max(took):.0f} ms")
