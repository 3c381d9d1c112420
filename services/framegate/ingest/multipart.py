"""`multipart/form-data` (RFC 7578) with one part `image`, read as a stream: nothing is stored twice."""

import hashlib

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from framegate.ingest.body import Write
from framegate.kernel.errors import FramegateError
from framegate.web.handlers import unknown_parameters
from framegate.web.problems import Problem, invalid

_MOST_PARTS = 20
#: Fields and part headers together, and what boundaries may add.
FIELDS_BYTES = 64 * 1024
_UNDECLARED = "application/octet-stream"


class FormReader:
    """Fields are collected, the image goes on to `write`. `content_sha256` is kept over the whole body on demand."""

    def __init__(self, boundary: bytes, write: Write, hash_content: bool) -> None:
        """`boundary` has 1 to 70 bytes (RFC 2046)."""
        self.fields: list[tuple[str, str]] = []
        self.declared: str | None = None  #: the media type of the image's part, None where it has none
        self.has_image = False
        self.content_sha256 = hashlib.sha256() if hash_content else None
        self._write = write
        self._image: list[bytes] = []
        self._parts = self._field_bytes = 0
        self._ended = False
        self._headers: dict[bytes, bytes] = {}
        self._header_name = self._header_value = b""
        self._name: str | None = None
        self._value = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_header_field": self._header_name_data,
                "on_header_value": self._header_value_data,
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._part_data,
                "on_part_end": self._part_ends,
                "on_end": self._end,
            },
        )

    async def feed(self, data: bytes) -> None:
        """Raises `Problem`."""
        if self.content_sha256 is not None:
            self.content_sha256.update(data)
        try:
            self._parser.write(data)
        except (FormParserError, FramegateError) as error:
            raise error if isinstance(error, Problem) else _malformed("The parts cannot be told apart.") from None
        pieces, self._image = self._image, []
        for piece in pieces:
            await self._write(piece)

    def finish(self) -> None:
        """Raises `Problem` unless the form was complete and held an image."""
        if not self._ended:
            raise _malformed("The form ends before its last boundary.")
        if not self.has_image:
            raise _malformed("The form has no part named image.")

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise _malformed(f"The form has more than {_MOST_PARTS} parts.")
        self._headers, self._name, self._value = {}, None, b""

    def _count(self, length: int) -> None:
        self._field_bytes += length
        if self._field_bytes > FIELDS_BYTES:
            raise _malformed(f"The form's fields are larger than {FIELDS_BYTES} bytes.")

    def _header_name_data(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._header_name += data[start:end]

    def _header_value_data(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._header_value += data[start:end]

    def _header_ends(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _headers_end(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name")
        if disposition.lower() != b"form-data" or not name:
            raise _malformed("A part of the form has no name.")
        self._name = _text(name, "a part's name")
        if self._name == "image":
            if self.has_image:
                raise _malformed("The form has two parts named image; send one image a request.")
            self.has_image = True
            declared = self._headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
            self.declared = declared if declared not in ("", _UNDECLARED) else None
        elif b"filename" in options:
            raise unknown_parameters([self._name])

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == "image":
            self._image.append(data[start:end])
        else:
            self._count(end - start)
            self._value += data[start:end]

    def _part_ends(self) -> None:
        if self._name is not None and self._name != "image":
            self.fields.append((self._name, _text(self._value, self._name)))

    def _end(self) -> None:
        self._ended = True


def _text(raw: bytes, name: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise invalid(name if name.isidentifier() else "fields", "is not UTF-8") from None


def _malformed(detail: str) -> Problem:
    return Problem("malformed-request", detail)
