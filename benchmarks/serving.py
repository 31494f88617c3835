"""Serving: tokens a second of one client and of 16, through the engine of `seqarena serve`.

    python -m benchmarks --rows serving_1 serving_16

The clients ask for the same number of tokens with prompts of different lengths, greedy, in float32.
Theirs is `generate` of transformers with the same weights: for 16 clients one after the other, as a
server without batching has it, and all in one padded batch, which needs all of them to come at
once. Nobody pays for HTTP.
"""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import gpt
from benchmarks.side_by_side import Contender, Row
from benchmarks.training import VOCABULARY, count
from seqarena.core.products import resolve_products
from seqarena.data.text.tokenizers import CharTokenizer
from seqarena.models.build import build
from seqarena.models.model import StatefulModel
from seqarena.serve.model.engine import Engine
from seqarena.serve.model.generation import Generation, WantedText
from seqarena.serve.model.metrics import Metrics
from seqarena.use.sample import Sampling

LEAST, STEP, NEW = 16, 3, 64  # tokens of the first prompt, more of each next one; written
_TOKENIZER = CharTokenizer("".join(map(chr, range(33, 33 + VOCABULARY))))
_GREEDY = Sampling(temperature=0.0)


def row(clients: int) -> Row:
    """So many clients at once, on the 10.8M Transformer and a GRU of that size."""
    model = gpt.ours(LEAST + STEP * clients + NEW).eval()
    gru = build("gru", vocab_size=VOCABULARY, params=count(model), seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    prompts = [
        torch.randint(VOCABULARY, (LEAST + STEP * client,), generator=generator).tolist()
        for client in range(clients)
    ]
    ours, ours_gru = (Clients(one, prompts) for one in (model, gru))
    theirs = gpt.gpt2(model, LEAST + STEP * clients + NEW, "sdpa").eval()
    contenders = [
        Contender("seqarena Transformer", True, ours, count(model)),
        Contender("seqarena GRU", True, ours_gru, count(gru)),
        Contender(
            "transformers generate", False, partial(_in_turn, theirs, prompts), count(theirs)
        ),
    ]
    expected = ours()
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
    return Row(title, clients * NEW, settings, contenders, checks)


class Clients:
    """All clients ask at once, and the call ends when all have their answers."""

    def __init__(self, model: nn.Module, prompts: Sequence[Sequence[int]]) -> None:
        assert isinstance(model, StatefulModel)
        self._prompts = prompts
        # nothing is kept from call to call, so that every call reads its prompts
        self._engine = Engine(
            model,
            Metrics(),
            rows=len(prompts),
            queue=len(prompts),
            longest=4096,
            kept_bytes=0,
            products=resolve_products("auto", "cpu").name,
        )

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


def _in_turn(theirs: nn.Module, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    return [_generate(theirs, [prompt])[0] for prompt in prompts]


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
    f"serving_{clients}": lambda dtype, clients=clients: row(clients) for clients in (1, 16)
}
