"""What a server counts, for Prometheus."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)

_SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The counters of one server. Any thread may count."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)  # resident memory, processor seconds
        self.engine = Info("seqarena_engine", "What computes the model.", registry=registry)
        self.requests = Counter(
            "seqarena_requests", "Answered requests.", ["route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "seqarena_request_seconds", "From a request's head to its answer's end.", ["route"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.waiting = Gauge("seqarena_waiting", "Requests in the queue.", registry=registry)
        self.working = Gauge("seqarena_working", "Requests at work.", registry=registry)
        self.batch_rows = Histogram(
            "seqarena_batch_rows", "Rows of each step of the model.", buckets=_ROWS,
            registry=registry,
        )  # fmt: skip
        self.prompt_tokens = self._counter("prompt_tokens", "Tokens of prompts that were read.")
        self.written_tokens = self._counter("written_tokens", "Tokens that were written.")
        self.reused_tokens = self._counter("reused_tokens", "Tokens whose state was kept.")
        self.prefix_hits = self._counter("prefix_hits", "Requests that began at a kept state.")
        self.prefix_misses = self._counter("prefix_misses", "Requests that found none.")
        self.cancelled = self._counter("cancelled", "Texts whose reader left before their end.")
        self.answered = self._counter("answered_inputs", "Inputs of tasks that were answered.")
        self.kept_bytes = Gauge("seqarena_kept_bytes", "Of states kept.", registry=registry)

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, words: str) -> Counter:
        return Counter(f"seqarena_{name}", words, registry=self._registry)
