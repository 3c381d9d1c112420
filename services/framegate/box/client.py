"""A client of the HTTP API, for the demo, `submit`, `watch` and the benchmark."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from framegate.kernel.errors import DependencyUnavailable, FramegateError

_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}
IMAGE_SUFFIXES = frozenset(_TYPES)


class RefusedUpload(FramegateError):
    """The API refused an upload for good; the message is its problem detail."""


class ApiClient:
    """Thread-safe. Raises `DependencyUnavailable` when the box cannot be reached or is overloaded."""

    def __init__(self, base_url: str, key: str, timeout_s: float = 30) -> None:
        self._http = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=timeout_s,
            trust_env=False,
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
        )

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def submit(self, data: bytes, suffix: str, idempotency_key: str | None = None, **parameters: str) -> dict[str, Any]:
        """Uploads one file; the answer is `{"id", "state", "duplicate_of"}`."""
        headers = {"Content-Type": _TYPES.get(suffix.lower(), "application/octet-stream")}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        return self._call("POST", "/v1/images", content=data, headers=headers, params=parameters)

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
        if response.is_success:
            body: dict[str, Any] = response.json()
            return body
        try:
            problem = response.json()
            text = f"{response.status_code} {problem.get('title', '')}: {problem.get('detail', '')}"
        except ValueError:
            text = f"{response.status_code} {response.reason_phrase}"
        if response.status_code in (408, 409, 429) or response.is_server_error:
            raise DependencyUnavailable(text)
        raise RefusedUpload(text)


@contextmanager
def api_client(base_url: str, key: str) -> Iterator[ApiClient]:
    """Closed at the end."""
    client = ApiClient(base_url, key)
    try:
        yield client
    finally:
        client.close()


def idempotency_key(file: Path, data: bytes) -> str:
    """The same for the same bytes under the same name, so that sending again after a crash repeats nothing."""
    digest = hashlib.sha256(data)
    digest.update(file.name.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
