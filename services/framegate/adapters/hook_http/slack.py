"""Messages in the shape of Slack's incoming webhooks; attachments, because those that imitate Slack know no blocks."""

import json
from typing import Any, Final

from framegate.adapters.hook_http.posting import Poster
from framegate.ports.hooks import Attempt, Endpoint, HookMessage

_COLOURS: Final = {"critical": "#c62828", "warning": "#ef6c00", "info": "#1565c0", "resolved": "#2e7d32"}
_GREY: Final = "#757575"
#: Characters. Slack cuts longer texts off behind a "show more".
_MAX_TITLE: Final = 150
_MAX_TEXT: Final = 3_000


class SlackHook:
    """`Hook`. Safe for use from many threads; holds no connections. The URL is the only secret."""

    def __init__(self, poster: Poster) -> None:
        """`poster` may be shared."""
        self._poster = poster

    def check(self, target: str) -> None:
        """Resolves the URL's name. Any host will do: others than Slack speak this, too."""
        self._poster.check(target)

    def deliver(self, endpoint: Endpoint, message: HookMessage) -> Attempt:
        """The payload is not sent, only what people read."""
        body = json.dumps(slack_body(message), ensure_ascii=False).encode("utf-8")
        return self._poster.post(endpoint.target, [], body)

    def close(self) -> None:
        """Nothing is open between two tries."""


def slack_body(message: HookMessage) -> dict[str, Any]:
    """What is posted."""
    title, text = _escaped(message.title, _MAX_TITLE), _escaped(message.text, _MAX_TEXT)
    attachment = {
        "color": _COLOURS.get(message.severity, _GREY),
        "title": title,
        "text": text,
        "fallback": title,
        "footer": f"Framegate {message.type}",
    }
    if message.link:
        attachment["title_link"] = message.link
    return {"attachments": [attachment]}


def _escaped(text: str, limit: int) -> str:
    # https://docs.slack.dev/messaging/formatting-message-text: these three, so that no text becomes a mention or a link.
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
