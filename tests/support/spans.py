"""Recorded spans, and questions about them."""

from collections import Counter
from collections.abc import Iterable

from framegate.observability.tracing import Span


class Spans(list[Span]):
    """A `Record` that keeps everything."""

    def __call__(self, span: Span) -> None:
        self.append(span)

    def trace_ids(self) -> set[str]:
        return {span.context.trace_id for span in self}

    def of(self, trace_id: str) -> "Spans":
        return Spans(span for span in self if span.context.trace_id == trace_id)

    def named(self, name: str) -> "Spans":
        return Spans(span for span in self if span.name == name)

    def one(self, name: str) -> Span:
        (found,) = self.named(name)
        return found

    def tree(self) -> list[str]:
        """Each span below its parent, indented, in the order in which they began; fails for one without its parent."""
        ids = {span.context.span_id for span in self}
        assert len(ids) == len(self), "two spans have the same id"
        roots = [span for span in self if span.parent_id not in ids]
        lines = [line for root in _in_order(roots) for line in self._lines(root, 0)]
        assert len(lines) == len(self)
        return lines

    def _lines(self, span: Span, depth: int) -> list[str]:
        below = [child for child in self if child.parent_id == span.context.span_id]
        mark = f" !{span.error}" if span.error else ""
        lines = [f"{'  ' * depth}{span.kind} {span.name}{mark}"]
        return lines + [line for child in _in_order(below) for line in self._lines(child, depth + 1)]


def _in_order(spans: Iterable[Span]) -> list[Span]:
    return sorted(spans, key=lambda span: (span.start_ns, span.end_ns, span.name))


def names(spans: Iterable[Span]) -> Counter[str]:
    return Counter(span.name for span in spans)
