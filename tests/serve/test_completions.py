"""/v1/completions, as OpenAI's own client sees it: a real server process of a tiny trained run."""

import math
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from server_process import Served, serving

from seqarena import api

PROMPT = "the past is"


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.address}/v1", api_key="none", max_retries=0) as client:
        yield client


def complete(client: openai.OpenAI, **fields: Any) -> Any:
    return client.completions.create(**{"model": "gru", "prompt": PROMPT, **fields})


@pytest.fixture(scope="module")
def model(trained_run: Callable[[str], Path]) -> Any:
    return api.load(trained_run("gru"))


def test_texts_are_those_of_generate(client: openai.OpenAI, model: Any) -> None:
    greedy = complete(client, max_tokens=30, temperature=0)
    assert greedy.choices[0].text == model.generate(PROMPT, count=30, temperature=0)
    assert (greedy.model, greedy.object) == ("gru", "text_completion")
    assert greedy.choices[0].finish_reason == "length"
    assert greedy.usage.prompt_tokens == len(PROMPT)
    assert greedy.usage.completion_tokens == 30
    drawn = complete(client, max_tokens=30, temperature=0.7, top_p=0.9, seed=3)
    expected = model.generate(PROMPT, count=30, temperature=0.7, top_p=0.9, seed=3)
    assert drawn.choices[0].text == expected
    tokens = list(PROMPT.encode())
    assert complete(client, prompt=tokens, max_tokens=30, temperature=0).choices[0].text == (
        greedy.choices[0].text
    )


def test_a_seed_draws_the_same_and_none_draws_another(client: openai.OpenAI) -> None:
    def text(**fields: Any) -> str:
        return complete(client, max_tokens=40, temperature=1.5, **fields).choices[0].text

    assert text(seed=1) == text(seed=1) != text(seed=2)
    assert text() != text()


def test_several_prompts_and_several_texts_of_each(client: openai.OpenAI, model: Any) -> None:
    prompts = ["the past", "the state remembers"]
    found = complete(client, prompt=prompts, n=2, max_tokens=9, temperature=0.9, seed=7)
    assert [choice.index for choice in found.choices] == [0, 1, 2, 3]
    expected = [
        model.generate(prompt, count=9, temperature=0.9, seed=seed)
        for prompt in prompts
        for seed in (7, 8)
    ]
    assert [choice.text for choice in found.choices] == expected
    assert found.usage.prompt_tokens == sum(map(len, prompts))


def test_a_stream_adds_up_to_the_text(client: openai.OpenAI) -> None:
    whole = complete(client, max_tokens=200, temperature=0, logprobs=2)
    chunks = list(
        complete(
            client,
            max_tokens=200,
            temperature=0,
            stream=True,
            logprobs=2,
            stream_options={"include_usage": True},
        )
    )
    *pieces, last = chunks
    assert len(pieces) > 3
    assert "".join(piece.choices[0].text for piece in pieces) == whole.choices[0].text
    assert [piece.choices[0].finish_reason for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert pieces[-1].choices[0].finish_reason == "length"
    assert (last.choices, last.usage) == ([], whole.usage.model_copy(update=cached(last)))
    scores = [x for piece in pieces for x in piece.choices[0].logprobs.token_logprobs]
    assert scores == pytest.approx(whole.choices[0].logprobs.token_logprobs, abs=1e-5)


def cached(answer: Any) -> dict[str, Any]:
    return {"prompt_tokens_details": answer.usage.prompt_tokens_details}


def test_a_text_ends_before_its_stop(client: openai.OpenAI) -> None:
    whole = complete(client, max_tokens=60, temperature=0).choices[0].text
    for stop in (whole[10:14], [whole[20:23], whole[8:13], "never seen"]):
        stops = [stop] if isinstance(stop, str) else stop
        expected = whole[: min(whole.find(one) for one in stops if one in whole)]
        found = complete(client, max_tokens=60, temperature=0, stop=stop).choices[0]
        assert (found.text, found.finish_reason) == (expected, "stop")
        stream = complete(client, max_tokens=60, temperature=0, stop=stop, stream=True)
        assert "".join(piece.choices[0].text for piece in stream) == expected


def test_scores_are_the_models_own(client: openai.OpenAI, model: Any) -> None:
    found = complete(client, max_tokens=5, temperature=0, logprobs=3, echo=True).choices[0]
    assert found.text.startswith(PROMPT)
    scores, tokens = found.logprobs, list(found.text.encode())
    assert scores.tokens == list(found.text)
    assert scores.text_offset == list(range(len(tokens)))
    log_p_TV = model.session().read(tokens)[0].log_softmax(-1)
    expected = [float(log_p_TV[t, token]) for t, token in enumerate(tokens[1:])]
    assert scores.token_logprobs[0] is None
    assert scores.token_logprobs[1:] == pytest.approx(expected, abs=1e-4)
    for likeliest, log_p_V in zip(scores.top_logprobs[1:], log_p_TV, strict=False):
        assert list(likeliest.values()) == pytest.approx(log_p_V.topk(3).values.tolist(), abs=1e-4)
    alone = complete(client, max_tokens=0, logprobs=0, echo=True).choices[0]
    assert alone.text == PROMPT
    assert alone.logprobs.token_logprobs[1:] == pytest.approx(expected[: len(PROMPT) - 1], abs=1e-4)


def test_a_session_goes_on(client: openai.OpenAI) -> None:
    def said(text: str) -> Any:
        body = {"session": "goes-on"}
        return complete(client, prompt=text, max_tokens=12, temperature=0, extra_body=body)

    one, two = said(PROMPT), said(" the state")
    prompt = f"{PROMPT}{one.choices[0].text} the state"
    whole = complete(client, prompt=prompt, max_tokens=12, temperature=0)
    assert two.choices[0].text == whole.choices[0].text
    assert one.session == {"id": "goes-on", "tokens_before": 0}
    assert two.session == {"id": "goes-on", "tokens_before": len(PROMPT) + 12}


def test_a_longer_prompt_reads_only_the_rest(served: Served) -> None:
    start = "the state remembers what the past is; "
    served.text(prompt=start, max_tokens=1)
    read = served.count("prompt_tokens_total")
    answer = served.post("/v1/completions", {"prompt": f"{start}the p", "max_tokens": 1}).json()
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == len(start)
    assert served.count("prompt_tokens_total") - read == len("the p") - 1


@pytest.mark.parametrize(
    ("fields", "status", "param", "words"),
    [
        ({"model": "gpt-4"}, 404, "model", "gru"),
        ({"prompt": "x" * 601}, 400, "prompt", "600"),
        ({"max_tokens": 2001}, 400, "max_tokens", "2,000"),
        ({"max_tokens": -1}, 400, "max_tokens", "greater"),
        ({"temperature": "hot"}, 400, "temperature", "number"),
        ({"prompt": ""}, 400, None, "empty"),
        ({"prompt": []}, 400, "prompt", "empty"),
        ({"prompt": [300]}, 400, "prompt", "255"),
        ({"best_of": 3}, 400, "best_of", "unknown"),
        ({"n": 65}, 400, "n", "64"),
        ({"stop": [""]}, 400, "stop", "at least 1"),
        ({"seed": 2**64}, 400, "seed", ""),
        ({"session": "s", "n": 2}, 400, "session", "one text"),
        ({"max_tokens": 0}, 400, "max_tokens", "echo"),
    ],
)
def test_a_mistake_is_an_error_in_openais_form(
    served: Served, fields: dict[str, Any], status: int, param: str | None, words: str
) -> None:
    answer = served.post("/v1/completions", {"prompt": PROMPT, **fields})
    error = answer.json()["error"]
    assert answer.status_code == status, error
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param
    assert words in error["message"]


def test_the_client_raises_its_own_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="gru"):
        complete(client, model="other")
    with pytest.raises(openai.BadRequestError, match="at most"):
        complete(client, max_tokens=10**6)
    assert [model.id for model in client.models.list()] == ["gru"]
    assert client.models.retrieve("gru").owned_by == "seqarena"


def test_other_routes_say_what_there_is(served: Served) -> None:
    answer = served.post("/v1/classify", {"input": "a"})
    assert answer.status_code == 404
    assert "/v1/completions" in answer.json()["error"]["message"]
    assert httpx.get(f"{served.address}/health").json()["status"] == "ok"
    wrong = httpx.get(f"{served.address}/v1/completions")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


def test_what_it_prints_works(served: Served) -> None:
    assert served.lines[0].startswith("serving gru, task language")
    done = subprocess.run(shlex.split(served.lines[-1]), capture_output=True, text=True, check=True)
    assert '"finish_reason":"length"' in done.stdout


def test_other_sites_and_other_forms_are_refused(served: Served) -> None:
    place = f"{served.address}/v1/completions"
    foreign = httpx.post(place, json={"prompt": "a"}, headers={"Host": "evil.example:80"})
    assert foreign.status_code == 403
    half = b'{"prompt": "\\ud800"}'
    no_text = httpx.post(place, content=half, headers={"Content-Type": "application/json"})
    assert no_text.status_code == 400
    form = httpx.post(place, content=b'{"prompt": "a"}', headers={"Content-Type": "text/plain"})
    assert form.status_code == 415
    large = httpx.post(place, json={"prompt": "a" * 1_000_001})
    assert large.status_code == 413


@pytest.mark.slow
def test_a_token_is_asked_for(trained_run: Callable[[str], Path]) -> None:
    with serving(trained_run("gru"), "--host", "0.0.0.0", "--token", "secret") as server:
        address = server.address.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{address}/health").status_code == 200
        for key in ("-", "secre", "secrets", "Secret"):
            headers = {"Authorization": f"Bearer {key}"}
            answer = httpx.get(f"{address}/v1/models", headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert answer.json()["error"]["code"] == "invalid_api_key"
        assert httpx.get(f"{address}/metrics").status_code == 401
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="secret", max_retries=0)
        assert complete(client, max_tokens=3).usage.completion_tokens == 3


def test_probability_of_a_text_is_a_probability(client: openai.OpenAI) -> None:
    scores = complete(client, max_tokens=1, logprobs=20, temperature=0).choices[0].logprobs
    total = sum(map(math.exp, scores.top_logprobs[0].values()))
    assert 0.5 < total <= 1 + 1e-6
