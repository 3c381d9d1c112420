"""No bytes make the inspection raise anything but a refusal."""

import io
import mmap
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from framegate.kernel.imagefile import ImageHeader, ImageRefused, inspect_file

from .build import accepted, chunk, exif_segment, frame, jpeg, png, refusal, scan, segment, tiff


def encoded(mode: str, size: tuple[int, int], **options: object) -> bytes:
    dice = random.Random(5)
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    image = Image.frombytes(mode, size, dice.randbytes(size[0] * size[1] * channels))
    buffer = io.BytesIO()
    image.save(buffer, **options)  # type: ignore[arg-type]  # Pillow types its options one by one
    return buffer.getvalue()


REAL = [
    encoded("RGB", (96, 64), format="JPEG", quality=85, exif=b"Exif\0\0" + tiff(6)),
    encoded("RGB", (96, 64), format="JPEG", progressive=True, quality=90),
    encoded("L", (64, 64), format="JPEG", quality=70),
    encoded("RGB", (64, 40), format="PNG"),
    encoded("RGBA", (64, 40), format="PNG", exif=tiff(3)),
    jpeg(before=exif_segment(tiff()), scans=scan() * 3),
    png(before=[chunk(b"eXIf", tiff()), chunk(b"tEXt", b"k\0v")]),
]
INSERTS = st.one_of(
    st.binary(max_size=40),
    st.builds(segment, st.integers(0, 255), st.binary(max_size=40)),
    st.builds(chunk, st.binary(min_size=4, max_size=4), st.binary(max_size=40)),
    st.sampled_from([frame(), scan(), b"\xff\xd8", b"\xff\xd9", chunk(b"acTL"), chunk(b"PLTE", bytes(3))]),
)


def inspected(data: bytes) -> ImageHeader | ImageRefused:
    try:
        return inspect_file(data)
    except ImageRefused as refused:
        return refused


def outcome(data: bytes) -> None:
    match inspected(data):
        case ImageRefused(status=status, detail=detail):
            assert 400 <= status < 500
            assert detail.isascii()
            assert detail.endswith(".")
        case ImageHeader(width=width, height=height, orientation=orientation):
            assert 32 <= min(width, height) <= max(width, height) <= 16_384
            assert 1 <= orientation <= 8


@pytest.mark.parametrize("data", REAL)
def test_real_files_are_accepted(data: bytes) -> None:
    assert accepted(data).flags == ()


def test_pillow_reads_the_same_orientation() -> None:
    assert [accepted(data).orientation for data in REAL] == [6, 1, 1, 1, 3, 6, 6]


@given(st.one_of(st.binary(max_size=400), st.builds(lambda rest: b"\xff\xd8\xff" + rest, st.binary(max_size=400))))
def test_any_bytes_end_in_a_header_or_a_refusal(data: bytes) -> None:
    outcome(data)


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_damage_to_a_real_file_ends_in_a_header_or_a_refusal(data: st.DataObject) -> None:
    file = bytearray(data.draw(st.sampled_from(REAL)))
    for _ in range(data.draw(st.integers(1, 4))):
        # Most of what is decided lies near the start.
        position = data.draw(st.one_of(st.integers(0, len(file)), st.integers(0, min(700, len(file)))))
        match data.draw(st.sampled_from(["flip", "cut", "insert", "remove"])):
            case "flip" if position < len(file):
                file[position] ^= data.draw(st.integers(1, 255))
            case "cut":
                del file[position:]
            case "insert":
                file[position:position] = data.draw(INSERTS)
            case _:
                del file[position : position + data.draw(st.integers(1, 30))]
    outcome(bytes(file))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("index", range(len(REAL)))
def test_thousands_of_flipped_bits_end_in_a_header_or_a_refusal(index: int, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(500):
        file = bytearray(REAL[index])
        file[dice.randrange(min(len(file), 800))] ^= 1 << dice.randrange(8)
        outcome(bytes(file))


@pytest.mark.parametrize("data", [REAL[1], REAL[3]])
def test_a_real_file_cut_at_any_byte_is_refused(data: bytes) -> None:
    assert "accepted" not in {refusal(data[:length]) for length in range(len(data))}


@pytest.mark.parametrize("data", [*REAL, b"GIF89a", b"\xff\xd8\xff\xe0"])
def test_every_kind_of_buffer_gives_the_same_answer(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(data)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        answers = {refusal(buffer) for buffer in (data, bytearray(data), memoryview(data), mapped)}
    assert len(answers) == 1


def test_a_memory_map_can_be_closed_after_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(jpeg(end=b""))
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        refusals = [refusal(mapped)]
        mapped.close()
    assert refusals == ["truncated-image"]


def test_a_strided_memory_view_is_read_in_its_own_order() -> None:
    data = REAL[0]
    assert refusal(memoryview(data[::-1])[::-1]) == "accepted"


LARGE = 4 * 2**20


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(jpeg(before=b"\xff" * LARGE), id="fill bytes"),
        pytest.param(jpeg(scans=scan(data=b"\xff" * LARGE + b"\0")), id="fill bytes in the scan"),
        pytest.param(jpeg(scans=scan(data=b"\xff\x00" * LARGE)), id="stuffed bytes"),
        pytest.param(jpeg(scans=scan(data=b"\xff\xd0" * LARGE)), id="restarts"),
        pytest.param(jpeg(scans=scan(data=b"\xff\xc4\0\2" * LARGE)), id="tables"),
        pytest.param(png(before=[chunk(b"PLTE", bytes(3)) * 500_000]), id="palettes"),
        pytest.param(png(idat=chunk(b"IDAT") * 1_000_000), id="image data"),
        pytest.param(jpeg(after=b"<" * 65_536), id="markup that never begins"),
    ],
)
def test_floods_of_one_element_are_walked_in_linear_time(data: bytes) -> None:
    """A quadratic walk over megabytes would run into the test's time limit."""
    outcome(data)
