"""A client of the HTTP API, for the demo, `submit`, `watch` and the benchmark."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from framegate.kernel.errors import ConfigurationError, DependencyUnavailable, FramegateError

_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}
IMAGE_SUFFIXES = frozenset(_TYPES)
_LATER = frozenset({408, 409, 429})
#: What the API says about an upload itself; anything else is about the key, the address, or something in between.
_REFUSALS = frozenset({400, 411, 413, 415, 422, 431})


class RefusedUpload(FramegateError):
    """The API refused an upload for good; the message is its problem detail."""


class ApiClient:
    """Thread-safe. Raises `DependencyUnavailable` when the box cannot be reached or is overloaded.

    `ConfigurationError` is about the address or the key, never about what was sent.
    """

    def __init__(self, base_url: str, key: str, timeout_s: float = 30) -> None:
        try:
            self._http = httpx.Client(
                base_url=base_url,
                headers={"Authorization": f"Bearer {key}"},
                timeout=timeout_s,
                trust_env=False,
                limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
            )
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"--url {base_url} is not an address: {error}") from error

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def submit(self, data: bytes, suffix: str, idempotency_key: str | None = None, **parameters: str) -> dict[str, Any]:
        """Uploads one file; the answer is `{"id", "state", "duplicate_of"}`."""
        headers = {"Content-Type": _TYPES.get(suffix.lower(), "application/octet-stream")}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        answer = self._call("POST", "/v1/images", content=data, headers=headers, params=parameters)
        if "id" not in answer:
            raise DependencyUnavailable(f"what answers at {self._http.base_url} is not Framegate")
        return answer

    def image(self, image_id: str) -> dict[str, Any]:
        """Everything about one image."""
        return self._call("GET", f"/v1/images/{image_id}")

    def outcomes(self, after: int, wait_s: float) -> dict[str, Any]:
        """What ended after `after`; waits up to `wait_s` for something."""
        return self._call("GET", "/v1/outcomes", params={"after": after, "wait": wait_s})

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise DependencyUnavailable(f"{self._http.base_url} does not answer: {error}") from error
        body = _object(response)
        if response.is_success:
            if body is None:
                raise DependencyUnavailable(f"what answers at {self._http.base_url} is not Framegate")
            return body
        text = f"{response.status_code} {response.reason_phrase}"
        if body is not None:
            text = f"{response.status_code} {body.get('title', '')}: {body.get('detail', '')}"
        if response.status_code in _LATER or response.is_server_error:
            raise DependencyUnavailable(text)
        if response.status_code in _REFUSALS:
            raise RefusedUpload(text)
        raise ConfigurationError(f"{self._http.base_url} answered {text}; check the address and the key")


def _object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


@contextmanager
def api_client(base_url: str, key: str) -> Iterator[ApiClient]:
    """Closed at the end."""
    client = ApiClient(base_url, key)
    try:
        yield client
    finally:
        client.close()


def idempotency_key(file: Path, data: bytes, camera: str, lane: str) -> str:
    """The same for the same bytes under the same name, so that sending again after a crash repeats nothing.

    Another for another camera or lane: the API refuses a key that comes back with other parameters.
    """
    digest = hashlib.sha256(data)
    for part in (file.name, camera, lane):
        digest.update(b"\0" + part.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def shown(file: Path | str) -> str:
    """A file's name as text that every terminal takes: names are bytes, and need not be UTF-8."""
    return os.fsencode(file).decode("utf-8", "replace")
