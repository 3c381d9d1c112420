import numpy as np
import pytest
import zstandard

from framegate.kernel.frames import decode_frame, pad
from framegate.kernel.geometry import Letterbox

FRAME = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.parametrize("codec", ["raw", "zstd"])
def test_a_frame_comes_back_from_its_bytes(codec: str) -> None:
    data = FRAME.tobytes() if codec == "raw" else zstandard.ZstdCompressor(level=1).compress(FRAME.tobytes())
    np.testing.assert_array_equal(decode_frame(data, codec, 2, 3), FRAME)


@pytest.mark.parametrize(
    ("data", "codec"),
    [
        (FRAME.tobytes()[:-1], "raw"),
        (FRAME.tobytes() * 2, "raw"),
        (zstandard.ZstdCompressor().compress(FRAME.tobytes() * 2), "zstd"),
        (zstandard.ZstdCompressor().compress(FRAME.tobytes())[:-3], "zstd"),
        (FRAME.tobytes(), "zstd"),
        (b"", "zstd"),
        (FRAME.tobytes(), "jpeg"),
    ],
)
def test_bytes_that_are_not_this_frame_are_an_error(data: bytes, codec: str) -> None:
    with pytest.raises(ValueError, match=r"frame|codec"):
        decode_frame(data, codec, 2, 3)


@pytest.mark.parametrize(("placement", "rows"), [("center", slice(1, 3)), ("top-left", slice(0, 2))])
def test_padding_surrounds_the_content_wherever_it_is_placed(placement: str, rows: slice) -> None:
    box = Letterbox.fit(4, 2, 4, 4, placement)  # type: ignore[arg-type]
    content = np.full((2, 4, 3), 9, np.uint8)
    out = np.full((4, 4, 3), 77, np.uint8)
    assert pad(content, box, 114, out=out) is out
    assert (out[rows] == 9).all()
    assert np.count_nonzero(out == 114) == 2 * 4 * 3
    np.testing.assert_array_equal(pad(content, box, 114), out)
