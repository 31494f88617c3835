"""Every task's route answers as `predict` does, and refuses what it cannot read."""

import asyncio
import base64
import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from server_process import serving

from seqarena.core.errors import UserError
from seqarena.engine.trained import TrainedModel
from seqarena.serve.model.answers import route_of
from seqarena.serve.model.request import ServeRequest
from seqarena.serve.model.server import ModelServer
from tests.data.small_files import READING_TASKS, SETTINGS, write
from tests.use.stored import stored

MODELS = {"masked_language": "bert", "tagging": "bi_lstm_tagger", "reading": "attention_flow"}
FILES = {
    "speech": "wav folders", "transcription": "wav beside .txt", "pixels": "PNG folders",
}  # fmt: skip
TEXTS: dict[str, list[str]] = {
    "classification": ["Mary went to the garden", "text 3 of the hall"],
    "tagging": ["Mary went to the garden", "the hall"],
    "translation": ["go to the garden", "the hall"],
    "summarising": ["Mary went to the garden and stayed", "the hall"],
    "question_answering": ["Mary went to the garden. Where is Mary?"],
    "reading": ["Mary went to the garden.\tWhere is Mary?"],
    "masked_language": ["M___ go"],
}
TABLES = {"forecasting", "windows", "events"}
ROUTES = {
    "classification": "/v1/classify", "speech": "/v1/classify", "pixels": "/v1/classify",
    "windows": "/v1/classify", "tagging": "/v1/tag", "translation": "/v1/translate",
    "summarising": "/v1/summarise", "transcription": "/v1/transcribe",
    "forecasting": "/v1/forecast", "masked_language": "/v1/fill", "reading": "/v1/answer",
    "question_answering": "/v1/answer", "events": "/v1/answer",
}  # fmt: skip
KINDS = [kind for kind in READING_TASKS if kind != "language"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """A checkpoint of a task and the data that it is of, made once."""
    known: dict[str, tuple[Path, Path]] = {}

    def make(kind: str) -> tuple[Path, Path]:
        if kind not in known:
            data = write(FILES.get(kind, "CSV"), tmp_path_factory.mktemp(kind) / "data", kind)
            task = {"kind": kind, "data": str(data), **SETTINGS.get(kind, {})}
            place = tmp_path_factory.mktemp("run") / "checkpoint"
            known[kind] = stored(place, MODELS.get(kind, "gru"), task), data
        return known[kind]

    return make


@pytest.fixture
def opened() -> Iterator[Callable[[Path], ModelServer]]:
    servers: list[ModelServer] = []

    def server(place: Path) -> ModelServer:
        servers.append(ModelServer(ServeRequest(run=str(place), port=0)))
        return servers[-1]

    yield server
    for one in servers:
        one.close()


def ask(server: ModelServer, method: str = "POST", **request: Any) -> httpx.Response:
    """A request to its route, without a socket."""

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(server.app.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, server.app.route, **request)

    return asyncio.run(asked())


def test_every_task_has_the_route_of_its_name() -> None:
    assert {kind: route_of(kind) for kind in KINDS} == ROUTES


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_predict(
    kind: str,
    made: Callable[[str], tuple[Path, Path]],
    opened: Callable[[Path], ModelServer],
) -> None:
    place, data = made(kind)
    server, predictor = opened(place), TrainedModel(place).predictor()
    file = next(data.rglob("*.wav"), None) or next(data.rglob("*.png"), data)
    if kind in TEXTS:
        found = ask(server, json={"input": TEXTS[kind]})
        expected = [predictor([text])[0] for text in TEXTS[kind]]
    else:
        form = file.suffix[1:]
        table = form == "csv"
        content = file.read_text() if table else base64.b64encode(file.read_bytes()).decode()
        found = ask(server, json={"input": content, "format": form})
        items = [str(file)] if not table else list(predictor.inputs(file))
        expected = predictor(items)
        raw = {"content": file.read_bytes(), "params": {"format": form},
               "headers": {"Content-Type": "application/octet-stream"}}  # fmt: skip
        assert ask(server, **raw).json() == found.json()
    assert found.status_code == 200, found.text
    assert found.json()["task"] == kind
    rows = found.json()["data"]
    if kind == "forecasting":
        names, *lines = predictor.rows([file])
        assert [list(row.values())[1:] for row in rows] == lines
        assert list(rows[0])[1:] == names
        written = [row for answer in expected for row in csv.reader(io.StringIO(answer.text))]
        assert [row["time"] for row in rows] == [line[1] for line in written]
        return
    assert len(rows) == len(expected) > 0
    assert [row["answer"] for row in rows] == [answer.text for answer in expected]
    for row, answer in zip(rows, expected, strict=True):
        assert row["confidence"] == pytest.approx(answer.confidence, abs=1e-5)
        assert "error" not in row


def test_an_input_that_cannot_be_read_is_an_error_of_its_own(
    made: Callable[[str], tuple[Path, Path]], opened: Callable[[Path], ModelServer]
) -> None:
    server = opened(made("question_answering")[0])
    good, bad = "Mary went to the garden. Where is Mary?", "Where is Zoe?"
    first, second, third = ask(server, json={"input": [good, bad, " "]}).json()["data"]
    assert (first["input"], second["answer"], third["answer"]) == (good, None, "")
    assert "no story" in second["error"]
    assert ask(server, json={"input": bad}).status_code == 400


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"input": "UklGRg==", "format": "wav"}, 400, "input.wav"),
        ({"input": "not base64!", "format": "wav"}, 400, "base64"),
        ({"input": "a.wav\n", "format": "txt"}, 400, "wav, flac"),
        ({"input": "/etc/passwd", "format": "../wav"}, 400, "wav, flac"),
        ({"input": "", "format": "wav"}, 400, "input"),
        ({"input": ["a"], "format": "wav"}, 400, "input"),
    ],
)
def test_a_file_that_is_none_is_a_mistake(
    body: dict[str, Any],
    status: int,
    words: str,
    made: Callable[[str], tuple[Path, Path]],
    opened: Callable[[Path], ModelServer],
) -> None:
    answer = ask(opened(made("speech")[0]), json=body)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]["message"]
    assert "/tmp" not in answer.json()["error"]["message"]


@pytest.mark.slow
def test_schemathesis_finds_no_5xx_of_a_classifier_and_of_a_listener(
    made: Callable[[str], tuple[Path, Path]], tmp_path: Path
) -> None:
    from test_schema import fuzz

    for kind in ("classification", "transcription"):
        with serving(made(kind)[0]) as server:
            assert 50 < fuzz(server, tmp_path, 8, "fuzzing") < 1000


def test_mistakes_at_the_start_are_one_line(
    made: Callable[[str], tuple[Path, Path]], opened: Callable[[Path], ModelServer], tmp_path: Path
) -> None:
    place = made("classification")[0]
    server = opened(place)

    def mistake(**options: Any) -> str:
        with pytest.raises(UserError) as error:
            ModelServer(ServeRequest(**{"run": str(place), "port": 0, **options}))
        return str(error.value)

    assert "cannot be listened on" in mistake(port=server.port)
    assert "no" in mistake(run=str(tmp_path))
    assert "name what to serve" in mistake(run=None)
    assert "SEQARENA_TOKEN" in mistake(host="0.0.0.0")
    assert "the token is empty" in mistake(token=" ")
    assert "a beam is for" in mistake(beam=2)


def test_a_missing_package_is_named_with_the_command(
    made: Callable[[str], tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    with pytest.raises(UserError, match=r"pip install 'seqarena\[serve\]'"):
        ModelServer(ServeRequest(run=str(made("classification")[0]), port=0))
