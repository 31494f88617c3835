"""The served page: every request is bounded, every mistake is an answer, and the page never waits
for a sentence."""

import http.client
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Map, append_measurements, this_machine
from seqarena.serve import page as serving
from seqarena.serve import sentences
from seqarena.serve.page import PageServer
from seqarena.serve.sentences import WorkEnded, typed_maps

SENTENCE = {"text": "a b c"}


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageServer]:
    monkeypatch.setattr(serving, "_READING_SECONDS", 1.5)
    monkeypatch.setattr(serving._Handler, "timeout", 1.5)
    one = Map(
        measurement="influence", architecture="elman", variant="", words=("a",), columns=(),
        weights=((1.0,),), layer=None, head=None, settings={},
        machine=this_machine("cpu", "float32"),
    )  # fmt: skip
    append_measurements(tmp_path / "measurements.jsonl", [one])
    with PageServer(tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server: PageServer, method: str, path: str, body: Any = None, **headers: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def post(server: PageServer, value: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    headers = {"Content-Type": "application/json"} | headers
    status, text = ask(server, "POST", "/maps", body, **headers)
    return status, json.loads(text)


def raw(server: PageServer, request: bytes, *, timeout: float = 20) -> bytes:
    """Everything that comes back for these bytes."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=timeout) as one:
        one.sendall(request)
        found = b""
        while piece := one.recv(65_536):
            found += piece
    return found


def head(server: PageServer, *lines: str) -> bytes:
    host = f"Host: 127.0.0.1:{server.server_port}"
    kind = "Content-Type: application/json"
    return "\r\n".join(["POST /maps HTTP/1.1", host, kind, *lines, "", ""]).encode()


def test_a_sentence_is_mapped(served: PageServer) -> None:
    status, found = post(served, SENTENCE)
    assert status == 200
    assert [one["words"] for one in found["maps"]] == [["a", "b", "c"]]


ODD = [
    {"text": "\ud800"}, {"text": "a\udfffb"}, {"text": ""}, {"text": " \n"}, {"text": None},
    {"text": 3}, {"text": ["a"]}, {"text": {"a": 1}}, {}, [], "text", 3, None, True,
    {"text": "a" * 201}, {"text": "\N{GRINNING FACE}" * 200}, {"text": "\u0915" * 100},
]  # fmt: skip
BODIES = [
    b"", b"{", b"\xff\xfe", b'{"text": "a"', b"nan", b'{"text": "\xff"}', b"[" * 4000,
    b'{"a":' * 800, b'{"text": ' + b"9" * 4000 + b"}", b"\0" * 100, b'"' + b"\\u0000" * 600 + b'"',
]  # fmt: skip


@pytest.mark.parametrize("value", [*ODD, *BODIES], ids=lambda value: repr(value)[:20])
def test_an_odd_sentence_is_an_answer(
    served: PageServer, value: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    start = time.monotonic()
    status, found = post(served, value)
    assert status == 400
    assert found["maps"] == []
    assert len(found["words"].splitlines()) == 1
    assert time.monotonic() - start < 10
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("Content-Length: -1", b"411"), ("Content-Length: abc", b"411"), ("X: y", b"411"),
        ("Content-Length: ", b"411"), ("Content-Length: 1e3", b"411"),
        ("Content-Length: +5", b"411"), ("Content-Length: \u0663", b"411"),
        ("Content-Length: 4097", b"413"), ("Content-Length: 200000000", b"413"),
        (f"Content-Length: {'9' * 5000}", b"413"), ("Transfer-Encoding: chunked", b"411"),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", b"411"),
    ],
)  # fmt: skip
def test_an_odd_length_is_an_answer(
    served: PageServer, line: str, status: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    found = raw(served, head(served, line))
    assert found.split(b" ")[1] == status
    assert json.loads(found.partition(b"\r\n\r\n")[2])["maps"] == []
    assert capfd.readouterr() == ("", "")


def test_a_huge_body_is_not_taken(served: PageServer) -> None:
    whole = b"x" * 200 * 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with socket.create_connection(("127.0.0.1", served.server_port), timeout=20) as one:
        one.sendall(head(served, "Content-Length: -1"))
        with pytest.raises(OSError):
            one.sendall(whole)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 30_000  # kilobytes
    assert ask(served, "GET", "/state")[0] == 200


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UserError("the records are odd"), 500), (ValueError("x\ny"), 500), (KeyError("x"), 500),
        (FileNotFoundError("task.json"), 500), (RecursionError("deep"), 500),
        (WorkEnded("too long"), 503), (MemoryError("none left"), 500),
    ],
)  # fmt: skip
def test_any_error_is_an_answer(
    served: PageServer, error: Exception, status: int, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def fails(*_: Any, **__: Any) -> Any:
        raise error

    for name, request in (
        ("typed_maps", lambda: post(served, SENTENCE)),
        ("digest_of", lambda: ask(served, "GET", "/")),
        ("digest_of", lambda: ask(served, "GET", "/state")),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(serving, name, fails)
            found, words = request()
        assert found == (status if name == "typed_maps" else 500)
        assert "Traceback" not in str(words)
    assert capfd.readouterr() == ("", "")


def test_maps_that_are_no_numbers_are_an_error(
    served: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "typed_maps", lambda *_, **__: {"maps": [float("nan")]})
    assert post(served, SENTENCE)[0] == 500


def blocking(released: threading.Event) -> Callable[..., Any]:
    """A stand-in for the work on a sentence that asks, as the real one does, whether to end."""

    def work(folder: Path, text: str, *, code: Any, why_end: Callable[[], str | None]) -> Any:
        while not released.is_set():
            if (why := why_end()) is not None:
                raise WorkEnded(why)
            time.sleep(0.02)
        return {"words": text, "maps": []}

    return work


def test_the_page_never_waits_for_a_sentence_and_a_queue_has_an_end(
    served: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(serving, "typed_maps", blocking(released))
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(post, served, SENTENCE) for _ in range(10)]
        refused = [one for one in asked if wait_for(one)]
        assert len(refused) == 6
        assert {one.result()[0] for one in refused} == {503}
        start = time.monotonic()
        for path in ("/", "/state"):
            assert ask(served, "GET", path)[0] == 200
        assert time.monotonic() - start < 5
        released.set()
        assert sorted(one.result()[0] for one in asked) == [200] * 4 + [503] * 6


def wait_for(one: Any) -> bool:
    try:
        return bool(one.result(timeout=1.0))
    except TimeoutError:
        return False


def test_work_ends_in_time_and_when_the_reader_leaves(
    served: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "typed_maps", blocking(threading.Event()))
    monkeypatch.setattr(serving, "_SENTENCE_SECONDS", 0.5)
    status, found = post(served, SENTENCE)
    assert status == 503
    assert "ended after 0.5 seconds" in found["words"]
    monkeypatch.setattr(serving, "_SENTENCE_SECONDS", 300.0)
    body = json.dumps(SENTENCE).encode()
    with socket.create_connection(("127.0.0.1", served.server_port), timeout=5) as one:
        one.sendall(head(served, f"Content-Length: {len(body)}") + body)
        until(lambda: served._mapping.locked())
    until(lambda: not served._mapping.locked())  # the reader has left


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_real_work_is_ended_between_operations(
    served: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentences, "_ASK_SECONDS", 0.0)
    asked: list[int] = []
    last = 0

    def why_end() -> str | None:
        asked.append(1)
        return "enough" if len(asked) > last else None

    for count in range(200, 240):  # wherever it ends, nothing is left half done
        asked.clear()
        last = count
        with pytest.raises(WorkEnded, match="enough"):
            typed_maps(served.folder, "a b c", why_end=why_end)
        assert torch.is_grad_enabled()
    start = time.monotonic()
    with pytest.raises(WorkEnded, match="at once"):
        typed_maps(served.folder, "a b", why_end=lambda: "at once")
    assert time.monotonic() - start < 5


def test_200_connections_at_once_are_answered(
    served: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # none is slow by itself: on a busy machine the last ones wait for the first
    monkeypatch.setattr(serving, "_READING_SECONDS", 60.0)
    monkeypatch.setattr(serving._Handler, "timeout", 60.0)
    ask(served, "GET", "/")
    gate = threading.Barrier(200)

    def one(_: int) -> int:
        gate.wait(timeout=60)
        return ask(served, "GET", "/")[0]

    with ThreadPoolExecutor(200) as pool:
        assert list(pool.map(one, range(200))) == [200] * 200


def test_half_requests_hold_nothing(served: PageServer) -> None:
    """Whole seconds of silence, and a letter now and then."""
    halves = [b"", b"G", b"GET / HTTP/1.1\r\n", head(served, "Content-Length: 100") + b"{"]
    ones = [
        socket.create_connection(("127.0.0.1", served.server_port), timeout=20) for _ in range(100)
    ]
    start = time.monotonic()
    for number, one in enumerate(ones):
        one.sendall(halves[number % len(halves)])
    assert ask(served, "GET", "/state")[0] == 200
    ended = 0
    while ended < 25 and time.monotonic() - start < 8:  # a drip does not keep it open
        ended = 0
        for one in ones[2::4]:
            try:
                one.sendall(b"X")
            except OSError:
                ended += 1
        time.sleep(0.2)
    assert ended == 25
    for one in ones:
        with one:
            try:
                while one.recv(65_536):
                    pass
            except ConnectionError:
                pass
    assert time.monotonic() - start < 15
    until(lambda: served._connections._value == serving._MOST_CONNECTIONS)
    assert not served.arriving


def test_more_connections_than_threads_are_turned_away(
    served: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    served._connections = threading.BoundedSemaphore(2)
    held = [
        socket.create_connection(("127.0.0.1", served.server_port), timeout=20) for _ in range(2)
    ]
    until(lambda: len(served.arriving) == 2)
    assert raw(served, b"").startswith(b"HTTP/1.0 503")
    for one in held:
        one.close()
    until(lambda: served._connections._value == 2)
    assert ask(served, "GET", "/state")[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/../plan.json", {}, 404), ("GET", "//etc/passwd", {}, 404),
        ("GET", "/%2e%2e/x", {}, 404), ("GET", "/state?x", {}, 404), ("PUT", "/", {}, 501),
        ("DELETE", "/maps", {}, 501), ("POST", "/", {}, 400), ("POST", "/state", {}, 400),
        ("GET", "/", {"Host": "elsewhere.example"}, 403), ("GET", "/", {"Host": ""}, 403),
        ("POST", "/maps", {"Host": "elsewhere.example"}, 403),
        ("POST", "/maps", {"Content-Type": "text/plain"}, 400),
    ],
)  # fmt: skip
def test_strangers_and_other_paths(
    served: PageServer, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    body = b'{"text": "a"}' if method == "POST" else None
    assert ask(served, method, path, body, **headers)[0] == status
