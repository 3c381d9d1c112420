"""S3 as its API reference describes it: strict where moto is lenient, and as unreliable as it is told to be.

Enforced: the signature, expiry and every condition of a POST policy; that a form has no field without a condition; sizes
and SHA-256 of what arrives; If-None-Match; the expiry of links; the clock of signed requests. Not checked: the signatures
of requests and links, only policies'. Sources: Amazon S3 API Reference, "PutObject", "POST Policy", "Error responses".
"""

import base64
import hashlib
import hmac
import io
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from python_multipart import parse_form

ACCESS_KEY: Final = "AKIATEST"
SECRET_KEY: Final = "secret"
_STATUS: Final = {
    "AccessDenied": 403,
    "AuthorizationHeaderMalformed": 400,
    "BadDigest": 400,
    "ConditionalRequestConflict": 409,
    "EntityTooLarge": 400,
    "EntityTooSmall": 400,
    "ExpiredToken": 400,
    "InvalidAccessKeyId": 403,
    "InvalidRange": 416,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "PermanentRedirect": 301,
    "PreconditionFailed": 412,
    "RequestTimeTooSkewed": 403,
    "SignatureDoesNotMatch": 403,
    "SlowDown": 503,
}
_NOT_IN_POLICIES: Final = frozenset({"file", "policy", "x-amz-signature"})


class Refused(Exception):
    """Answered with an error: its code."""


@dataclass
class Object:
    data: bytes
    media_type: str = "binary/octet-stream"
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def sha256(self) -> str:
        return base64.b64encode(hashlib.sha256(self.data).digest()).decode()


def nothing(request: str) -> str | None:
    """No fault."""
    return None


class FakeS3:
    """One bucket. `fault` is asked before each request (`PUT key`, `GET key`, ...) and answers what is to go wrong.

    It may say: an error code; `reset` (no answer, nothing done), `reset-after` (no answer, although all is done); of a GET
    `truncate`, `corrupt`, `drip`; of a PUT `corrupt-upload`.
    """

    def __init__(self, bucket: str = "pictures", region: str = "eu-central-1") -> None:
        self.bucket, self.region = bucket, region
        self.objects: dict[str, Object] = {}
        self.fault: Callable[[str], str | None] = nothing
        self.refusal: str | None = None  #: every request is refused with this code
        self.undeletable: set[str] = set()
        self.clock_ahead = timedelta()
        self.page = 1000
        self.requests: list[str] = []
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.url = ""

    @contextmanager
    def serving(self) -> Iterator["FakeS3"]:
        handler = type("Handler", (_Handler,), {"s3": self})
        with _Server(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_port}"
            try:
                yield self
            finally:
                self.stopping.set()
                server.shutdown()
                thread.join()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.clock_ahead

    def store(self, key: str, data: bytes, media_type: str, *, once: bool = False) -> None:
        with self.lock:
            if once and key in self.objects:
                raise Refused("PreconditionFailed")
            self.objects[key] = Object(data, media_type)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that give up are part of the game."""


class _Handler(BaseHTTPRequestHandler):
    s3: FakeS3
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silent."""

    def do_PUT(self) -> None:
        self._serve(self._put)

    def do_GET(self) -> None:
        self._serve(self._get)

    def do_HEAD(self) -> None:
        self._serve(self._head)

    def do_DELETE(self) -> None:
        self._serve(self._delete)

    def do_POST(self) -> None:
        self._serve(self._post)

    def _serve(self, work: Callable[[], None]) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        host, path = url.hostname or "", unquote(url.path)
        if host.endswith(".amazonaws.com"):  # we are asked as a proxy: virtual addressing
            path = f"/{host.split('.s3.', 1)[0]}{path}"
        bucket, _, self.key = path.lstrip("/").partition("/")
        request = f"{self.command} {self.key}"
        self.s3.requests.append(request)
        self.broken = self.s3.fault(request)
        try:
            if self.broken == "reset":
                self._reset()
                return
            if self.broken in _STATUS:
                raise Refused(self.broken)
            if self.s3.refusal:
                raise Refused(self.s3.refusal)
            self._check_times()
            if bucket != self.s3.bucket:
                raise Refused("NoSuchBucket")
            work()
        except Refused as refused:
            self._refuse(str(refused))

    def _check_times(self) -> None:
        if "X-Amz-Date" in self.query:
            signed = _moment(self.query["X-Amz-Date"])
            if self.s3.now() > signed + timedelta(seconds=int(self.query["X-Amz-Expires"])):
                raise Refused("AccessDenied")
        elif "x-amz-date" in self.headers:
            if abs(self.s3.now() - _moment(self.headers["x-amz-date"])) > timedelta(minutes=15):
                raise Refused("RequestTimeTooSkewed")
        elif not self.headers.get("Content-Type", "").startswith("multipart/form-data"):
            raise Refused("AccessDenied")

    def _put(self) -> None:
        data = self.body
        if self.broken == "corrupt-upload":
            data = _altered(data)
        if self.headers["x-amz-checksum-sha256"] != Object(data).sha256:
            raise Refused("BadDigest")
        media_type = self.headers.get("Content-Type", "binary/octet-stream")
        self.s3.store(self.key, data, media_type, once=self.headers.get("If-None-Match") == "*")
        self._answer(200)

    def _head(self) -> None:
        if self.key and self.key not in self.s3.objects:
            raise Refused("NoSuchKey")
        self._answer(200)

    def _delete(self) -> None:
        self.s3.objects.pop(self.key, None)
        self._answer(204)

    def _get(self) -> None:
        if not self.key:
            self._list()
            return
        try:
            found = self.s3.objects[self.key]
        except KeyError:
            raise Refused("NoSuchKey") from None
        headers = {
            "Content-Type": self.query.get("response-content-type", found.media_type),
            "Content-Disposition": self.query.get("response-content-disposition", "inline"),
        }
        if self.headers.get("x-amz-checksum-mode") == "ENABLED":
            headers["x-amz-checksum-sha256"] = found.sha256
        status, data = 200, found.data
        if wanted := re.fullmatch(r"bytes=0-(\d+)", self.headers.get("Range", "")):
            if not data:
                raise Refused("InvalidRange")
            status, data = 206, data[: int(wanted[1]) + 1]
            headers["Content-Range"] = f"bytes 0-{len(data) - 1}/{len(found.data)}"
        self._answer(status, data, headers)

    def _list(self) -> None:
        keys = sorted(key for key in list(self.s3.objects) if key.startswith(self.query.get("prefix", "")))
        after = [key for key in keys if key > self.query.get("continuation-token", "")]
        shown = after[: min(self.s3.page, int(self.query.get("max-keys", "1000")))]
        entries = "".join(
            f"<Contents><Key>{key}</Key><LastModified>{self.s3.objects[key].modified:%Y-%m-%dT%H:%M:%SZ}</LastModified>"
            f"<Size>{len(self.s3.objects[key].data)}</Size></Contents>"
            for key in shown
        )
        more = len(shown) < len(after)
        token = f"<NextContinuationToken>{shown[-1]}</NextContinuationToken>" if more and shown else ""
        self._answer_xml("ListBucketResult", f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}")

    def _post(self) -> None:
        if "delete" in self.query:
            self._delete_many()
        else:
            self._form()

    def _delete_many(self) -> None:
        keys = re.findall(r"<Key>(.*?)</Key>", self.body.decode())
        if len(keys) > 1000 or not (self.headers.get("Content-MD5") or self.headers.get("x-amz-checksum-crc32")):
            raise Refused("BadDigest")
        refused = [key for key in keys if key in self.s3.undeletable]
        for key in set(keys) - set(refused):
            self.s3.objects.pop(key, None)
        self._answer_xml(
            "DeleteResult", "".join(f"<Error><Key>{key}</Key><Code>AccessDenied</Code></Error>" for key in refused)
        )

    def _form(self) -> None:
        fields: dict[str, str] = {}
        files: list[bytes] = []

        def on_field(part: Any) -> None:
            fields[part.field_name.decode().lower()] = (part.value or b"").decode()

        def on_file(part: Any) -> None:
            part.file_object.seek(0)
            files.append(part.file_object.read())

        headers = {"Content-Type": self.headers["Content-Type"].encode()}
        parse_form(headers, io.BytesIO(self.body), on_field, on_file)
        check_policy(fields, len(files[0]), self.s3.bucket, self.s3.now())
        if fields["x-amz-checksum-sha256"] != Object(files[0]).sha256:
            raise Refused("BadDigest")
        self.s3.store(fields["key"], files[0], fields.get("content-type", "binary/octet-stream"))
        self._answer(int(fields.get("success_action_status", "204")))

    def _answer(self, status: int, data: bytes = b"", headers: dict[str, str] | None = None) -> None:
        if self.broken == "reset-after":
            self._reset()
            return
        self.send_response(status)
        self.send_header("x-amz-bucket-region", self.s3.region)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.broken == "truncate":
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
        elif self.broken == "drip":
            self._drip(data)
        else:
            self.wfile.write(_altered(data) if self.broken == "corrupt" else data)

    def _drip(self, data: bytes) -> None:
        """A byte now and then: never silent for as long as a read timeout."""
        for i in range(len(data)):
            self.wfile.write(data[i : i + 1])
            if self.s3.stopping.wait(0.02):
                return

    def _reset(self) -> None:
        """RST, not FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _answer_xml(self, root: str, content: str) -> None:
        text = f'<?xml version="1.0"?><{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{content}</{root}>'
        self._answer(200, text.encode(), {"Content-Type": "application/xml"})

    def _refuse(self, code: str) -> None:
        region = f"<Region>{self.s3.region}</Region>" if code == "AuthorizationHeaderMalformed" else ""
        body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}.</Message>{region}</Error>'.encode()
        self.send_response(_STATUS[code])
        self.send_header("x-amz-bucket-region", self.s3.region)  # as S3 does, whatever the error
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/xml")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def check_policy(fields: dict[str, str], size: int, bucket: str, now: datetime) -> None:
    """`fields` by their names in lower case. Raises `Refused`."""
    if fields["x-amz-signature"] != _signature(fields["policy"], fields["x-amz-credential"]):
        raise Refused("SignatureDoesNotMatch")
    policy = json.loads(base64.b64decode(fields["policy"]))
    if now > datetime.fromisoformat(policy["expiration"]):
        raise Refused("AccessDenied")
    exact: dict[str, str] = {}
    for condition in policy["conditions"]:
        if isinstance(condition, dict):
            exact.update({name.lower(): value for name, value in condition.items()})
        else:
            kind, least, most = condition
            assert kind == "content-length-range"
            if size < least:
                raise Refused("EntityTooSmall")
            if size > most:
                raise Refused("EntityTooLarge")
    given = {name: value for name, value in fields.items() if name not in _NOT_IN_POLICIES} | {"bucket": bucket}
    if given != exact:
        raise Refused("AccessDenied")


def _signature(policy: str, credential: str) -> str:
    """AWS Signature Version 4 of a POST policy."""
    _, day, region, service, end = credential.split("/")
    key = f"AWS4{SECRET_KEY}".encode()
    for part in (day, region, service, end):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, policy.encode(), "sha256").hex()


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _altered(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:] if data else data
