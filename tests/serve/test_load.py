"""Many clients, some of whom leave: no 5xx, memory stays flat, and nobody is worked for in vain."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from server_process import Served, serving

ENDLESS = {"prompt": "the past", "max_tokens": 1_000_000, "temperature": 0, "stream": True}


@pytest.fixture(scope="module")
def busy(trained_run: Callable[[str], Path]) -> Iterator[Served]:
    options = "--rows 8 --queue 40 --max-prompt 600 --max-tokens 1000000 --kept 4"
    with serving(trained_run("attention"), *options.split()) as server:
        yield server


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def idle(server: Served) -> bool:
    return server.count("working") == 0 and server.count("waiting") == 0


def read_some(server: Served, events: int) -> None:
    """Begins a stream without end, and leaves it in its middle."""
    place = f"{server.address}/v1/completions"
    with httpx.stream("POST", place, json=ENDLESS, timeout=60) as stream:
        lines = (line for line in stream.iter_lines() if line)
        for _ in range(events):
            assert json.loads(next(lines).removeprefix("data: "))["choices"]


def test_a_stream_that_is_left_is_not_written_on(busy: Served) -> None:
    """By the server's counters: its row leaves, and no token is written any more."""
    cancelled = busy.count("cancelled_total")
    read_some(busy, 3)
    wait_for(lambda: busy.count("cancelled_total") == cancelled + 1)
    assert idle(busy)
    written = busy.count("written_tokens_total")
    busy.text(prompt="the past", max_tokens=5)
    assert busy.count("written_tokens_total") == written + 5


def test_a_whole_answer_that_is_left_is_not_written_on(busy: Served) -> None:
    cancelled = busy.count("cancelled_total")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{busy.address}/v1/completions", json={**ENDLESS, "stream": False}, timeout=1.0)
    wait_for(lambda: busy.count("cancelled_total") == cancelled + 1)
    assert idle(busy)


def test_one_who_waits_in_the_queue_may_leave(busy: Served) -> None:
    cancelled = busy.count("cancelled_total")
    place = f"{busy.address}/v1/completions"
    with pytest.raises(httpx.ReadTimeout):  # 20 texts: 8 are at work, and 12 wait
        httpx.post(place, json={**ENDLESS, "stream": False, "n": 20}, timeout=1.5)
    wait_for(lambda: busy.count("cancelled_total") == cancelled + 20)
    assert idle(busy)


@pytest.mark.slow
def test_64_clients_who_leave_and_ask_too_much(busy: Served) -> None:
    """Each client asks in turn: a text, a stream that it leaves, a prompt that is too long. After
    the first round memory is flat, and all that was left has ended."""
    barrier = threading.Barrier(64)
    statuses: Counter[int] = Counter()

    def one(number: int) -> None:
        with httpx.Client(timeout=120) as client:
            barrier.wait()
            for kind in range(3):
                statuses[ask(client, (number + kind) % 3)] += 1

    def ask(client: httpx.Client, kind: int) -> int:
        place = f"{busy.address}/v1/completions"
        if kind == 0:
            body: dict[str, Any] = {"prompt": "the past is", "max_tokens": 10, "temperature": 0}
            answer = client.post(place, json=body)
            if answer.status_code == 200:
                texts.add(answer.json()["choices"][0]["text"])
            return answer.status_code
        if kind == 1:
            with client.stream("POST", place, json=ENDLESS) as stream:
                if stream.status_code == 200:
                    next(stream.iter_lines())
                return stream.status_code
        return client.post(place, json={"prompt": "x" * 601}).status_code

    texts: set[str] = set()
    resident = []
    for _ in range(4):
        with ThreadPoolExecutor(64) as pool:
            list(pool.map(one, range(64)))
        wait_for(lambda: idle(busy), 60)
        resident.append(memory(busy))
    assert statuses[200] > 64
    assert statuses[400] == 4 * 64
    assert set(statuses) <= {200, 400, 429}
    assert texts == {busy.text(prompt="the past is", max_tokens=10, temperature=0)}
    assert max(resident[1:]) < 1.15 * resident[0], resident


def memory(server: Served) -> float:
    text = httpx.get(f"{server.address}/metrics").text
    line = next(x for x in text.splitlines() if x.startswith("process_resident_memory_bytes "))
    return float(line.split()[1])


def test_a_full_queue_says_when_to_come_again(busy: Served) -> None:
    left = threading.Event()

    def hold() -> None:
        body = {**ENDLESS, "n": 40}
        with httpx.stream("POST", f"{busy.address}/v1/completions", json=body) as stream:
            for _ in stream.iter_lines():
                if left.wait(0.01):
                    return

    holding = threading.Thread(target=hold)
    holding.start()
    try:
        wait_for(lambda: busy.count("waiting") == 32)
        answer = busy.post("/v1/completions", {"prompt": "a", "n": 9})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert answer.json()["error"]["code"] == "queue_full"
    finally:
        left.set()
        holding.join()
    wait_for(lambda: idle(busy))


@pytest.mark.slow
def test_time_is_bounded(trained_run: Callable[[str], Path]) -> None:
    options = "--seconds 0.5 --max-tokens 1000000"
    with serving(trained_run("gru"), *options.split()) as server:
        whole = server.post("/v1/completions", {**ENDLESS, "stream": False})
        assert (whole.status_code, whole.json()["error"]["code"]) == (503, "timeout")
        stream = server.post("/v1/completions", ENDLESS).text
        *_, error, done = stream.strip().split("\n\n")
        assert json.loads(error.removeprefix("data: "))["error"]["code"] == "timeout"
        assert done == "data: [DONE]"
        wait_for(lambda: idle(server))
        assert server.count("cancelled_total") == 2
