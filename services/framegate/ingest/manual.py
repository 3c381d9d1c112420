"""The API's description as one page of plain HTML: it must be readable on a box without internet, so nothing is fetched."""

import json
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import escape
from typing import Any, Final

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#f4f5f7;padding:.8rem;overflow-x:auto;border-radius:6px}
h2{margin-top:2.5rem;border-top:1px solid #d5d9de;padding-top:1rem}.verb{color:#0b5cad}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #e3e6ea}
@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#15181c}pre{background:#1f242a}.verb{color:#7db7f0}
h2,td,th{border-color:#333a42}a{color:#7db7f0}}
"""
#: What a Content-Security-Policy calls it.
STYLE_SOURCE: Final = f"'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"


def manual(openapi: dict[str, Any]) -> str:
    """The page for an OpenAPI 3.1 document."""
    info = openapi["info"]
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])} API</title>',
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>',
        f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1><p>{escape(info.get('summary', ''))}.</p>",
        '<p>For programs: <a href="/openapi.json">openapi.json</a>. Send <code>Authorization: Bearer KEY</code>; ',
        "errors are problem documents (RFC 9457) whose <code>type</code> can be opened.</p>",
    ]
    for path, operations in openapi["paths"].items():
        for verb, operation in operations.items():
            parts += _operation(verb, path, operation)
    return "".join([*parts, "</body></html>"])


def _operation(verb: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f'<h2><code><span class="verb">{escape(verb.upper())}</span> {escape(path)}</code></h2>'
    yield f"<p>{escape(operation.get('description') or operation.get('summary') or '')}</p>"
    parameters = operation.get("parameters", [])
    if parameters:
        yield _table(
            ("parameter", "in", "meaning"),
            [
                (p["name"], p["in"], p.get("description") or p.get("schema", {}).get("description", ""))
                for p in parameters
            ],
        )
    answers = operation.get("responses", {})
    yield _table(("answer", "", "meaning"), [(code, "", a.get("description", "")) for code, a in answers.items()])
    for code, answer in answers.items():
        if code.startswith("2"):
            yield from _examples(answer)


def _examples(answer: dict[str, Any]) -> Iterator[str]:
    for content in answer.get("content", {}).values():
        found = [content["example"]] if "example" in content else []
        found += [example.get("value") for example in content.get("examples", {}).values()]
        for example in found:
            yield f"<pre>{escape(json.dumps(example, indent=2))}</pre>"


def _table(head: tuple[str, ...], rows: list[tuple[str, str, str]]) -> str:
    lines = "".join(
        "<tr>" + "".join(f"<td>{_cell(cell, i)}</td>" for i, cell in enumerate(row)) + "</tr>" for row in rows
    )
    return f"<table><tr>{''.join(f'<th>{escape(h)}</th>' for h in head)}</tr>{lines}</table>"


def _cell(text: str, column: int) -> str:
    return f"<code>{escape(str(text))}</code>" if column == 0 else escape(str(text))
