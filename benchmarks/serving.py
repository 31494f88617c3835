"""Serving: tokens a second of one client and of 16, by `seqarena serve`, without and with HTTP.

    python -m benchmarks --rows serving_1 serving_16 serving_http_1 serving_http_16

The clients ask for the same number of tokens with prompts of different lengths, greedy, in float32.
Ours are engine torch and engine onnx. Theirs is `generate` of transformers with the same weights:
for 16 clients one after the other, as a server without batching has it, and all in one padded
batch, which needs all of them to come at once. Theirs never pay for HTTP; ours do in the rows that
say so, and those clients, which stream, share the server's process and clock.
"""

import copy
import json
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import torch
import uvicorn
from torch import Tensor, nn

from benchmarks import gpt, llama_cpp
from benchmarks.side_by_side import Contender, Row
from benchmarks.training import VOCABULARY, count
from seqarena.data.text.tokenizers import CharTokenizer
from seqarena.models.build import build
from seqarena.models.model import Model
from seqarena.serve.model.app import About, ModelApp, Writer
from seqarena.serve.model.engine import Engine
from seqarena.serve.model.generation import Generation, WantedText
from seqarena.serve.model.metrics import Metrics
from seqarena.serve.model.request import ServeRequest
from seqarena.serve.model.runtimes import open_runtime
from seqarena.use.sample import Sampling

LEAST, STEP, NEW = 16, 3, 64  # tokens of the first prompt, more of each next one; written
_TOKENIZER = CharTokenizer("".join(map(chr, range(33, 33 + VOCABULARY))))
_GREEDY = Sampling(temperature=0.0)


def row(clients: int, http: bool) -> Row:
    """So many clients at once, on the 10.8M Transformer and a GRU of that size."""
    model = gpt.ours(LEAST + STEP * clients + NEW).eval()
    gru = build("gru", vocab_size=VOCABULARY, params=count(model), seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    prompts = [
        torch.randint(VOCABULARY, (LEAST + STEP * client,), generator=generator).tolist()
        for client in range(clients)
    ]
    ask = OverHttp if http else Clients
    theirs = gpt.gpt2(model, LEAST + STEP * clients + NEW, "sdpa").eval()
    ours = {
        f"{name}, {engine}": ask(copy.deepcopy(one), engine, prompts)
        for name, one in (("Transformer", model), ("GRU", gru))
        for engine in ("torch", "onnx")
    }
    contenders = [
        *(Contender(f"seqarena {name}", True, run, count(gru)) for name, run in ours.items()),
        Contender(
            "transformers generate", False, partial(_in_turn, theirs, prompts), count(theirs)
        ),
    ]
    if not http and llama_cpp.is_installed():
        rival = llama_cpp.LlamaCpp(model, LEAST + STEP * clients + NEW, clients)
        answer = partial(rival, prompts, NEW)
        contenders.append(Contender("llama.cpp, one batch", False, answer, count(theirs)))
    answers = {name: run() for name, run in ours.items()}
    expected = answers["Transformer, torch"]
    for name in ("Transformer", "GRU"):
        assert answers[f"{name}, torch"] == answers[f"{name}, onnx"], "the engines differ"
    if http:
        expected = Clients(copy.deepcopy(model), "torch", prompts)()
    same = sum(a == b for a, b in zip(_in_turn(theirs, prompts), expected, strict=True))
    checks = [f"transformers generate: {same} of {clients} texts of {NEW} tokens equal"]
    if clients > 1:
        together = partial(_together, theirs, prompts)
        contenders.append(Contender("transformers, one batch", False, together, count(theirs)))
        same = sum(a == b for a, b in zip(together(), expected, strict=True))
        checks.append(f"transformers, one batch: {same} of {clients} equal")
    settings = {"clients": clients, "prompts": f"{LEAST} to {LEAST + STEP * (clients - 1)}",
                "new tokens": NEW, "greedy": True, "dtype": "float32"}  # fmt: skip
    title = f"serving {clients} client" + ("s" if clients > 1 else "")
    title += " over HTTP" if http else ""
    return Row(title, clients * NEW, settings, contenders, checks)


class Clients:
    """All clients ask at once, and the call ends when all have their answers."""

    def __init__(self, model: Model, engine: str, prompts: Sequence[Sequence[int]]) -> None:
        self._prompts = prompts
        self._engine = engine_of(model, engine, len(prompts))

    def __call__(self) -> list[list[int]]:
        ended = [threading.Event() for _ in self._prompts]
        texts = [
            Generation(WantedText(tuple(prompt), NEW, _GREEDY), _TOKENIZER, end.set, eager=False)
            for prompt, end in zip(self._prompts, ended, strict=True)
        ]
        self._engine.submit(texts)
        for end in ended:
            end.wait()
        return [text.written for text in texts]


def engine_of(model: Model, engine: str, clients: int) -> Engine:
    """Nothing is kept from call to call, so that every call reads its prompts."""
    return Engine(
        open_runtime(model, engine, "cpu"), Metrics(), rows=clients, queue=clients, longest=4096,
        kept_bytes=0,
    )  # fmt: skip


class OverHttp:
    """The same clients, each a connection to a server on the loopback that streams its answer."""

    def __init__(self, model: Model, engine: str, prompts: Sequence[Sequence[int]]) -> None:
        self._prompts = prompts
        listening = socket.create_server(("127.0.0.1", 0))
        place = f"http://127.0.0.1:{listening.getsockname()[1]}"
        about = About("served", "language", engine, engine)
        writer = Writer(engine_of(model, engine, len(prompts)), _TOKENIZER)
        app = ModelApp(about, writer, ServeRequest(), writer.engine.metrics)
        config = uvicorn.Config(app.asgi, log_level="error", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        threading.Thread(target=server.run, args=([listening],), daemon=True).start()
        self._clients = [httpx.Client(base_url=place, timeout=300) for _ in prompts]
        self._pool = ThreadPoolExecutor(len(prompts))

    def __call__(self) -> list[str]:
        return list(self._pool.map(self._ask, self._clients, self._prompts))

    def _ask(self, client: httpx.Client, prompt: Sequence[int]) -> str:
        body = {"prompt": list(prompt), "max_tokens": NEW, "temperature": 0, "stream": True}
        with client.stream("POST", "/v1/completions", json=body) as events:
            lines = [line.removeprefix("data: ") for line in events.iter_lines() if line]
        text = "".join(json.loads(line)["choices"][0]["text"] for line in lines[:-1])
        assert len(text) == NEW, "a character is a token here"
        return text


def _in_turn(theirs: nn.Module, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    return [_generate(theirs, [prompt])[0] for prompt in prompts]


def _row(clients: int, http: bool, dtype: str) -> Row:
    return row(clients, http)


def _together(theirs: nn.Module, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    return _generate(theirs, prompts)


def _generate(theirs: Any, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Padded on the left, as transformers wants it."""
    most = max(map(len, prompts))
    tokens_BT = torch.tensor([[0] * (most - len(prompt)) + list(prompt) for prompt in prompts])
    places_T = torch.arange(most)
    mask_BT = torch.stack([(places_T >= most - len(prompt)).long() for prompt in prompts])
    with torch.inference_mode():
        found: Tensor = theirs.generate(
            tokens_BT, attention_mask=mask_BT, max_new_tokens=NEW, min_new_tokens=NEW,
            do_sample=False, pad_token_id=0, disable_compile=True,
        )  # fmt: skip
    return found[:, most:].tolist()


ROWS: dict[str, Callable[[str], Row]] = {
    f"serving_{'http_' if http else ''}{clients}": partial(_row, clients, http)
    for http in (False, True)
    for clients in (1, 16)
}
