"""`seqarena serve --engine onnx`: a real server whose answers are torch's, and what it refuses."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from server_process import Served, serving

from seqarena import api
from seqarena.core.errors import UserError
from seqarena.serve.model.request import ServeRequest
from seqarena.serve.model.server import ModelServer
from tests.data.small_files import write
from tests.use.stored import stored

PROMPT = "the past is"
MODELS = ("gru", "attention")


@pytest.fixture(scope="module", params=MODELS)
def both(
    request: pytest.FixtureRequest, trained_run: Callable[[str], Path]
) -> Iterator[tuple[str, Served]]:
    name = request.param
    with serving(trained_run(name), "--engine", "onnx") as server:
        yield name, server


def test_texts_streams_sessions_and_draws_are_torchs(
    both: tuple[str, Served], trained_run: Callable[[str], Path]
) -> None:
    name, server = both
    model: Any = api.load(trained_run(name))
    with openai.OpenAI(base_url=f"{server.address}/v1", api_key="-", max_retries=0) as client:

        def said(prompt: str = PROMPT, **fields: Any) -> Any:
            given: Any = {"model": name, "prompt": prompt, "max_tokens": 30, **fields}
            return client.completions.create(**given)

        expected = model.generate(PROMPT, count=30, temperature=0)
        assert said(temperature=0).choices[0].text == expected
        stream = said(temperature=0, stream=True)
        assert "".join(piece.choices[0].text for piece in stream) == expected
        drawn = model.generate(PROMPT, count=30, temperature=0.8, seed=3)
        assert said(temperature=0.8, seed=3).choices[0].text == drawn
        several = said(n=3, temperature=0)  # rows of one batch
        assert [choice.text for choice in several.choices] == [expected] * 3
        one = said(temperature=0, extra_body={"session": "s"})
        two = said(" the state", temperature=0, extra_body={"session": "s"})
        whole = f"{PROMPT}{one.choices[0].text} the state"
        assert two.choices[0].text == model.generate(whole, count=30, temperature=0)


def test_a_prefix_is_known_again(both: tuple[str, Served]) -> None:
    _, server = both
    start = "the state remembers what the past is; "
    server.text(prompt=start, max_tokens=1)
    answer = server.post("/v1/completions", {"prompt": f"{start}the p", "max_tokens": 1}).json()
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == len(start)


def test_the_engine_is_recorded(both: tuple[str, Served], served: Served) -> None:
    name, server = both
    assert server.lines[0].startswith(f"serving {name}, task language, by onnxruntime ")
    record = httpx.get(f"{server.address}/v1/models").json()["data"][0]
    assert record["engine"] == "onnx"
    assert record["computes"].startswith("onnxruntime ")
    assert httpx.get(f"{server.address}/health").json()["engine"] == "onnx"
    assert 'engine="onnx"' in httpx.get(f"{server.address}/metrics").text
    torchs = httpx.get(f"{served.address}/v1/models").json()["data"][0]
    assert (torchs["engine"], torchs["computes"][:8]) == ("torch", "torch on")


def opened(place: Path, **options: Any) -> ModelServer:
    return ModelServer(ServeRequest(run=str(place), port=0, engine="onnx", **options))


@pytest.mark.parametrize(("kind", "model"), [("classification", "lstm"), ("tagging", "bi_lstm")])
def test_other_tasks_answer_as_torch_does(kind: str, model: str, tmp_path: Path) -> None:
    """Inputs of two lengths in one batch."""
    data = write("CSV", tmp_path / "data", kind)
    place = stored(tmp_path / "checkpoint", model, {"kind": kind, "data": str(data)})
    inputs = ["Mary went to the garden", "the hall"]
    trained = api.load(place)
    with opened(place) as server:
        end = server.start()
        route = f"{server.address}{server.app.route}"
        found = httpx.post(route, json={"input": inputs}, timeout=60).json()["data"]
        end()
    expected = trained.predict(inputs)
    assert [one["answer"] for one in found] == [answer.text for answer in expected]
    scores = [answer.confidence for answer in expected]
    assert [one["confidence"] for one in found] == pytest.approx(scores, abs=1e-5)


def test_what_has_no_graph_is_refused(
    trained_run: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"hyena by engine onnx: .*filter.*--engine torch"):
        opened(trained_run("hyena"))
    data = write("CSV", tmp_path / "data", "translation")
    task = {"kind": "translation", "data": str(data)}
    with pytest.raises(UserError, match=r"translation are searched.*--engine torch"):
        opened(stored(tmp_path / "checkpoint", "rnnsearch", task))
    monkeypatch.setattr("seqarena.models.export.onnx_file.installed", lambda name: name != "onnx")
    with pytest.raises(UserError, match=r"pip install 'seqarena\[export\]'"):
        opened(trained_run("gru"))


def test_a_mistake_in_its_name_is_one_line(trained_run: Callable[[str], Path]) -> None:
    words = ["serve", str(trained_run("gru")), "--engine", "jax"]
    done = subprocess.run([sys.executable, "-m", "seqarena", *words], capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "torch" in done.stderr
    assert "onnx" in done.stderr
