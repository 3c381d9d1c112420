"""Standard Webhooks: the payload as it is, signed with every secret of the endpoint."""

from framegate.adapters.hook_http.posting import Poster
from framegate.kernel.webhooks import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from framegate.ports.hooks import Attempt, Endpoint, HookMessage


class WebhookHook:
    """`Hook`. Safe for use from many threads; holds no connections."""

    def __init__(self, poster: Poster) -> None:
        """`poster` may be shared."""
        self._poster = poster

    def check(self, target: str) -> None:
        """Resolves the URL's name."""
        self._poster.check(target)

    def deliver(self, endpoint: Endpoint, message: HookMessage) -> Attempt:
        """The timestamp is that of this try, the id that of the message."""
        timestamp = int(self._poster.clock.now().timestamp())
        headers = [
            (ID_HEADER, message.message_id),
            (TIMESTAMP_HEADER, str(timestamp)),
            (SIGNATURE_HEADER, sign(endpoint.secrets, message.message_id, timestamp, message.payload)),
        ]
        if message.trace:
            headers.append(("traceparent", message.trace))
        return self._poster.post(endpoint.target, headers, message.payload)

    def close(self) -> None:
        """Nothing is open between two tries."""
