"""The decoder child as it really runs: whole frames or none, and whatever happens in it, it happens to it alone."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from framegate.kernel.errors import DecoderCrashed, DependencyUnavailable, InvalidFrame
from framegate.kernel.geometry import Region
from framegate.kernel.imagefile import ImageRefused, inspect_file
from framegate.kernel.manifest import ModelInput
from framegate.preprocess.decode import decode
from framegate.preprocess.decoder_pool import DecodedFrame, DecodeJob, DecoderChild
from framegate.preprocess.letterbox import prepare
from framegate.preprocess.quality import measure
from framegate.preprocess.scene import look
from tests.support.pictures import shared_data
from tests.unit.preprocess.files import as_pillow, cut_out, jpeg, noise, raw_png, scene

MODEL = ModelInput(320, 320, True, False)
SCALED = ModelInput(320, 320, True, False, scaled_decoding=True)
EVIL = (sys.executable, "-P", "-m", "tests.integration.evil_child")
HASTY = (*EVIL, "--hasty")
GOOD = jpeg(scene(200, 120), quality=95)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memfd, prctl and the rlimits are Linux's")


def job(
    data: bytes,
    width: int = 200,
    height: int = 120,
    orientation: int = 1,
    media_type: str = "image/jpeg",
    model: ModelInput = MODEL,
) -> DecodeJob:
    return DecodeJob(data, media_type, width, height, orientation, model)


def evil(deed: str) -> DecodeJob:
    return job(b"EVIL " + deed.encode())


def told(answer: str) -> str:
    """The deed of a child that gives this answer."""
    return f"say {len(answer):08x}{answer.encode().hex()}"


def png_size(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def as_other_programs_show(file: Path) -> NDArray[np.uint8]:
    """OpenCV would drop the transparency of a PNG."""
    if file.suffix == ".png":
        return as_pillow(file.read_bytes())
    frame: Any = cv2.imread(str(file))
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)


def pid(child: DecoderChild) -> int:
    """Of the process that is there now."""
    assert child._process is not None
    return child._process._process.pid


@pytest.fixture(scope="module")
def child() -> Iterator[DecoderChild]:
    one = DecoderChild()
    yield one
    one.close()


@pytest.fixture
def make_evil() -> Iterator[Callable[..., DecoderChild]]:
    made: list[DecoderChild] = []

    def make(command: tuple[str, ...] = EVIL, deadline_s: float = 30.0) -> DecoderChild:
        made.append(DecoderChild(command, deadline_s))
        return made[-1]

    yield make
    for one in made:
        one.close()


def is_gone(process: int) -> bool:
    try:
        return bool(psutil.Process(process).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def check_still_works(one: DecoderChild) -> None:
    frame = one.prepare(job(GOOD))
    assert (frame.content == prepare(decode(GOOD, "image/jpeg", 1), MODEL)[0]).all()


class TestDecoding:
    def test_one_child_prepares_for_one_model_after_the_other(self, child: DecoderChild) -> None:
        for side in (64, 4096, 320):
            model = ModelInput(side, side, True, False)
            frame = child.prepare(job(GOOD, model=model))
            assert (frame.content == prepare(decode(GOOD, "image/jpeg", 1), model)[0]).all()

    @pytest.mark.parametrize("orientation", [1, 3, 6])
    @pytest.mark.parametrize("model", [MODEL, SCALED], ids=["full", "scaled"])
    def test_a_frame_is_the_one_that_is_made_in_process(self, model: ModelInput, orientation: int) -> None:
        data = jpeg(scene(1600, 900), quality=90)
        size = (900, 1600) if orientation == 6 else (1600, 900)
        target = (180, 320) if orientation == 6 else (320, 180)
        expected, letterbox = prepare(
            decode(data, "image/jpeg", orientation, target if model.scaled_decoding else None), model, size
        )
        one = DecoderChild()
        try:
            frame = one.prepare(job(data, 1600, 900, orientation, model=model))
            assert (frame.content == expected).all()
            assert frame.letterbox == letterbox
            assert (frame.letterbox.width, frame.letterbox.height) == size
            assert frame.quality.to_json() == measure(expected, size).to_json()
            assert frame.scene == look(expected)
            assert frame.recipe["scale"] == ("1/4" if model.scaled_decoding else "1/1")
            assert frame.recipe["orientation"] == orientation
            assert frame.recipe["decoder"].startswith("simplejpeg ")
            assert frame.decode_ms > 0
        finally:
            one.close()

    @pytest.mark.parametrize("orientation", [1, 6])
    @pytest.mark.parametrize("model", [MODEL, SCALED], ids=["full", "scaled"])
    def test_a_region_is_cut_from_the_upright_original_at_full_size(self, model: ModelInput, orientation: int) -> None:
        data = jpeg(scene(1600, 900), quality=90)
        upright = decode(data, "image/jpeg", orientation)
        region = Region(300, 200, 400, 500)
        one = DecoderChild()
        try:
            frame = one.prepare(replace(job(data, 1600, 900, orientation, model=model), region=region))
            expected, letterbox = prepare(upright[200:700, 300:700], model)
            assert (frame.content == expected).all()
            assert frame.letterbox == replace(letterbox, x=300, y=200)
            assert (frame.recipe["region"], frame.recipe["scale"]) == ([300, 200, 400, 500], "1/1")
            whole = one.prepare(job(data, 1600, 900, orientation, model=model))
            assert "region" not in whole.recipe
            with pytest.raises(ValueError, match="does not lie in a frame of"):
                one.prepare(replace(job(data, 1600, 900, orientation), region=Region(1400, 0, 400, 900)))
        finally:
            one.close()

    def test_a_png_goes_the_same_way(self, child: DecoderChild) -> None:
        data = raw_png(16, 6, width=100, height=60)
        frame = child.prepare(job(data, 100, 60, media_type="image/png"))
        assert (frame.content == prepare(decode(data, "image/png", 1), MODEL)[0]).all()
        assert frame.recipe["decoder"].startswith("opencv ")

    def test_a_file_larger_than_the_input_area_grows_it_and_smaller_ones_still_fit(self, child: DecoderChild) -> None:
        before = child.prepare(job(GOOD)).content.copy()
        process = pid(child)
        large = raw_png(8, 2, width=3000, height=2000)
        assert len(large) > 5 * 2**20
        frame = child.prepare(job(large, 3000, 2000, media_type="image/png"))
        assert (frame.content == prepare(decode(large, "image/png", 1), MODEL)[0]).all()
        assert (child.prepare(job(GOOD)).content == before).all()
        assert pid(child) == process

    def test_a_size_that_was_not_recorded_at_the_door_is_corrupt(self, child: DecoderChild) -> None:
        with pytest.raises(InvalidFrame) as caught:
            child.prepare(job(GOOD, 120, 200))
        assert caught.value.reason == "corrupt"

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (jpeg(scene(200, 120), "CMYK"), "unsupported-color-model"),
            (cut_out(jpeg(noise(200, 120)), 0.5, 2000), "truncated"),
            (GOOD[: len(GOOD) // 2], "truncated"),
            (b"not an image", "truncated"),
        ],
    )
    def test_a_refusal_arrives_as_it_was_raised_and_costs_no_process(
        self, child: DecoderChild, data: bytes, reason: str
    ) -> None:
        check_still_works(child)
        process = pid(child)
        with pytest.raises(InvalidFrame) as caught:
            child.prepare(job(data))
        assert caught.value.reason == reason
        assert caught.value.detail.endswith(".")
        assert pid(child) == process

    @pytest.mark.parametrize("depth_color", [(16, 6), (8, 2)])
    def test_the_largest_png_we_take_fits_the_limits(self, child: DecoderChild, depth_color: tuple[int, int]) -> None:
        depth, color = depth_color
        width, height = 10_000, 5_000
        size = width * {2: 3, 6: 4}[color] * depth // 8
        data = raw_png(depth, color, width=width, height=height, rows=np.broadcast_to(np.uint8(200), (height, size)))
        frame = child.prepare(job(data, width, height, 6, "image/png"))
        assert frame.content.shape == (320, 160, 3)
        level = round(200 * 200 / 255) if color == 6 else 200
        assert (frame.content == level).all()

    def test_the_largest_progressive_jpeg_we_take_fits_the_limits(self, child: DecoderChild) -> None:
        pixels = np.full((5_000, 10_000, 3), 90, np.uint8)
        data = jpeg(pixels, progressive=True, subsampling=0)
        frame = child.prepare(job(data, 10_000, 5_000, 8))
        assert frame.content.shape == (320, 160, 3)
        assert (frame.content == 90).all()


class TestOtherImagesPixels:
    def test_no_truncated_image_yields_pixels_its_own_or_those_of_another(self, child: DecoderChild) -> None:
        """Fifty known frames of one colour each, then fifty that lack a part: lenient decoders show old pixels there."""
        for level in range(50):
            colored = np.full((256, 320, 3), 5 * level, np.uint8)
            assert (child.prepare(job(jpeg(colored, quality=95), 320, 256)).content == colored).all()
        process = pid(child)
        for seed in range(50):
            whole = jpeg(noise(320, 256, seed=seed), progressive=bool(seed % 2))
            with pytest.raises(InvalidFrame):
                child.prepare(job(cut_out(whole, 0.02 + 0.018 * seed, 2000), 320, 256))
            frame = child.prepare(job(whole, 320, 256))
            assert np.abs(frame.content.astype(int) - as_pillow(whole)).max() <= 1
        assert pid(child) == process

    def test_a_smaller_frame_shows_nothing_of_the_larger_one_before(self, child: DecoderChild) -> None:
        child.prepare(job(jpeg(np.full((320, 320, 3), 250, np.uint8)), 320, 320))
        frame = child.prepare(job(jpeg(np.full((40, 320, 3), 10, np.uint8), quality=95), 320, 40))
        assert frame.content.shape == (40, 320, 3)
        assert (frame.content == 10).all()

    def test_what_a_dying_child_wrote_is_not_seen_by_the_next(self, make_evil: Callable[..., DecoderChild]) -> None:
        one = make_evil()
        with pytest.raises(DecoderCrashed):
            one.prepare(evil("segfault"))
        check_still_works(one)


class TestPoison:
    @pytest.mark.parametrize(
        ("deed", "message"),
        [
            ("segfault", "SIGSEGV"),
            ("leave 3", "exit code 3: of an evil child"),
            ("allocate 20000000000", "memory"),
            ("fail", "exit code 1: ArithmeticError: a bug, not a bad image"),
            ("shrink 2", "exit code 1: PermissionError"),
            ("shrink 3", "exit code 1: PermissionError"),
            ("create", "exit code 1: OSError: .*File too large"),
            ("say ffffffff", "protocol"),
            ("say 000000027b7d", "protocol"),
            ("say 000000026e6f", "protocol"),
            ("say 000000025b5d", "protocol"),
            (told('{"outcome":"ok","quality":{"sharpness":1}}'), "protocol"),
            (told('{"outcome":"ok","quality":null}'), "protocol"),
            (told('{"outcome":"ok"}'), "protocol"),
        ],
    )
    def test_the_child_dies_alone_and_the_next_image_is_decoded(
        self, make_evil: Callable[..., DecoderChild], deed: str, message: str
    ) -> None:
        one = make_evil()
        check_still_works(one)
        process = pid(one)
        with pytest.raises(DecoderCrashed, match=message):
            one.prepare(evil(deed))
        assert is_gone(process)
        assert not one.alive
        check_still_works(one)
        assert pid(one) != process

    @pytest.mark.parametrize("deed", ["spin", "sleep", "say 0000"])
    def test_the_deadline_ends_an_image_that_takes_for_ever(
        self, make_evil: Callable[..., DecoderChild], deed: str
    ) -> None:
        one = make_evil(deadline_s=0.3)
        one.start()
        process = pid(one)
        with pytest.raises(DecoderCrashed, match="deadline"):
            one.prepare(evil(deed))
        assert is_gone(process)

    def test_the_kernel_ends_an_image_that_uses_too_much_processor_time(
        self, make_evil: Callable[..., DecoderChild]
    ) -> None:
        one = make_evil(HASTY)
        with pytest.raises(DecoderCrashed, match="SIGXCPU"):
            one.prepare(evil("spin"))

    def test_processor_time_is_counted_anew_for_each_image(self, make_evil: Callable[..., DecoderChild]) -> None:
        one = make_evil(HASTY)
        large = raw_png(8, 2, width=3000, height=2000)
        process = None
        used = 0.0
        while used < 2.5:
            one.prepare(job(large, 3000, 2000, media_type="image/png"))
            assert process in (None, pid(one))
            process = pid(one)
            used = sum(psutil.Process(process).cpu_times()[:2])

    def test_an_image_that_floods_standard_error_is_decoded_all_the_same(
        self, make_evil: Callable[..., DecoderChild]
    ) -> None:
        one = make_evil(deadline_s=10)
        with pytest.raises(InvalidFrame):
            one.prepare(evil("shout 1000000"))
        check_still_works(one)

    def test_one_poisonous_image_in_ten_harms_no_other(self, make_evil: Callable[..., DecoderChild]) -> None:
        one, deeds, crashed = make_evil(deadline_s=5), ["segfault", "leave 9", "allocate 20000000000"], 0
        for number in range(30):
            if number % 10 == 5:
                with pytest.raises(DecoderCrashed):
                    one.prepare(evil(deeds[crashed]))
                crashed += 1
            else:
                check_still_works(one)
        assert crashed == 3

    @pytest.mark.parametrize("deed", ["fork", "thread"])
    def test_no_process_and_no_thread_can_be_started(self, make_evil: Callable[..., DecoderChild], deed: str) -> None:
        one = make_evil((*EVIL, "--nobody"))
        check_still_works(one)
        with pytest.raises(
            DecoderCrashed, match=r"exit code 1: (BlockingIOError|RuntimeError: can't start new thread)"
        ):
            one.prepare(evil(deed))


class TestLife:
    def test_the_child_is_confined(self, child: DecoderChild) -> None:
        check_still_works(child)
        process = psutil.Process(pid(child))
        limits = {
            psutil.RLIMIT_AS: 2 * 2**30,
            psutil.RLIMIT_NOFILE: 64,
            psutil.RLIMIT_NPROC: 0,
            psutil.RLIMIT_FSIZE: 0,
            psutil.RLIMIT_CORE: 0,
        }
        assert {kind: process.rlimit(kind) for kind in limits} == {k: (v, v) for k, v in limits.items()}
        soft, _ = process.rlimit(psutil.RLIMIT_CPU)
        assert 20 <= soft - sum(process.cpu_times()[:2]) <= 22
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status
        assert process.num_threads() == 1

    def test_the_child_has_none_of_our_environment_and_none_of_our_files(self, child: DecoderChild) -> None:
        check_still_works(child)
        process = pid(child)
        names = {pair.split("=")[0] for pair in Path(f"/proc/{process}/environ").read_text().split("\0") if pair}
        assert names == {
            "PYTHONPATH", "OPENCV_LOG_LEVEL", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
        }  # fmt: skip
        targets = [str(link.readlink()) for link in Path(f"/proc/{process}/fd").iterdir()]
        ours = [t for t in targets if not t.startswith(("/dev/", "/memfd:framegate-", "pipe:", "socket:"))]
        assert ours == []
        assert len(targets) == 8  # standard ones, control, and each area twice: mmap keeps a descriptor of its own

    def test_a_child_killed_while_idle_costs_no_image(self, child: DecoderChild) -> None:
        check_still_works(child)
        process = pid(child)
        os.kill(process, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(process)], timeout=1)
        check_still_works(child)
        assert pid(child) != process

    def test_a_child_that_cannot_start_is_nobodys_fault(self) -> None:
        for command in ((sys.executable, "-c", "raise SystemExit('no decoder here')"), ("/nonexistent",)):
            with pytest.raises(DependencyUnavailable, match="start"):
                DecoderChild(command).prepare(job(GOOD))

    def test_closing_leaves_no_process_and_no_descriptor_behind(self) -> None:
        me = psutil.Process()
        before, children = me.num_fds(), len(me.children())
        for _ in range(3):
            one = DecoderChild()
            one.start()
            assert len(me.children()) == children + 1
            one.close()
            one.close()
        assert len(me.children()) == children
        assert me.num_fds() == before

    def test_the_child_ends_with_its_parent_even_in_the_middle_of_an_image(self) -> None:
        script = (
            "import sys, threading\n"
            "from tests.integration.test_decode_child import *\n"
            "one = DecoderChild(EVIL)\n"
            "one.start()\n"
            "threading.Thread(target=one.prepare, args=[evil('spin')], daemon=True).start()\n"
            "print(pid(one), flush=True)\n"
            "sys.stdin.read()\n"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        parent = subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        with parent:
            assert parent.stdout is not None
            process = psutil.Process(int(parent.stdout.readline()))
            parent.kill()
        gone, _ = psutil.wait_procs([process], timeout=10)
        assert gone or is_gone(process.pid)

    def test_children_of_several_threads_do_not_mix(self) -> None:
        frames = [jpeg(np.full((100, 100, 3), 40 * i, np.uint8), quality=95) for i in range(3)]
        wrong: list[int] = []

        def run(number: int) -> None:
            one = DecoderChild()
            right = [(one.prepare(job(frames[number], 100, 100)).content == 40 * number).all() for _ in range(10)]
            wrong.extend([number] * right.count(False))
            one.close()

        threads = [threading.Thread(target=run, args=[number]) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


class TestRealFiles:
    def prepared(self, child: DecoderChild, data: bytes) -> DecodedFrame | str:
        """The frame, or the reason of either refusal: at the door or in the child."""
        try:
            header = inspect_file(data)
            return child.prepare(job(data, header.width, header.height, header.orientation, header.media_type))
        except ImageRefused as error:
            return error.slug
        except InvalidFrame as error:
            return error.reason

    def test_what_two_decoders_load_is_decoded_and_what_either_does_not_load_never_is(
        self, child: DecoderChild
    ) -> None:
        folder = shared_data("nasty")
        entries: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text())
        decoded, wrong = 0, []
        for entry in entries:
            file = folder / entry["file"]
            if not file.is_file():
                continue
            result = self.prepared(child, file.read_bytes())
            both = entry["load"] == "ok" and isinstance(entry["cv2"], list)
            ours = entry.get("format") in ("JPEG", "PNG") and entry.get("mode") != "CMYK"
            decodable = both and ours and min(entry["size"]) >= 32
            if isinstance(result, DecodedFrame):
                decoded += 1
                if not both:
                    wrong.append((entry["file"], "decoded"))
            elif decodable:
                wrong.append((entry["file"], result))
        assert wrong == []
        assert decoded >= 8

    def test_a_png_that_only_a_lenient_decoder_loads_is_refused(self, child: DecoderChild) -> None:
        data = shared_data("nasty", "pillow", "broken_data_stream.png").read_bytes()
        assert isinstance(self.prepared(child, data), str)
        with pytest.raises(InvalidFrame):
            child.prepare(job(data, *png_size(data), media_type="image/png"))

    @pytest.mark.parametrize("folder", ["phone_photos", "photos", "package_damage"])
    def test_photos_are_decoded_upright_as_other_programs_show_them(self, child: DecoderChild, folder: str) -> None:
        files = [f for f in sorted(shared_data(folder).rglob("*")) if f.suffix in (".jpg", ".jpeg", ".png")]
        for file in files[::4] if len(files) > 40 else files:
            frame = self.prepared(child, file.read_bytes())
            assert isinstance(frame, DecodedFrame), (file.name, frame)
            upright = as_other_programs_show(file)
            assert (frame.letterbox.height, frame.letterbox.width) == upright.shape[:2]
            difference = np.abs(frame.content.astype(int) - prepare(upright, MODEL)[0])
            assert difference.max() <= 2, file.name
        assert len(files) >= 3
