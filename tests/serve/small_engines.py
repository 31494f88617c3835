"""Small models and what an engine writes with them."""

import functools
import threading

import torch

from seqarena.core.batch import Problem
from seqarena.data.text.tokenizers import ByteTokenizer
from seqarena.models.any import build_model
from seqarena.models.build import model_config
from seqarena.models.catalog import architecture
from seqarena.models.combinations import whole_depth
from seqarena.models.model import StatefulModel
from seqarena.serve.model.engine import Engine
from seqarena.serve.model.generation import Generation, WantedText
from seqarena.serve.model.runtimes import Runtime, open_runtime
from seqarena.use.sample import Sampling

GREEDY = Sampling(temperature=0.0)
PROMPTS = [
    list(text.encode())
    for text in ("a", "the past", "what the state remembers", "of the past", "is " * 9, "the")
]


def model_of(name: str) -> StatefulModel:
    torch.manual_seed(0)
    problem = Problem(num_outputs=256, vocab_size=256, causal=True, max_length=128)
    row = architecture(name)
    config = model_config(row, problem, params=None, width=16, depth=whole_depth(row, 2))
    model = build_model(config)
    assert isinstance(model, StatefulModel)
    with torch.no_grad():  # louder than at the start: likeliest tokens that are far from the next
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape), alpha=0.3)
    return model.eval()


@functools.cache
def made(engine: str, name: str) -> tuple[StatefulModel, Runtime]:
    """A model, and the same by that engine."""
    return model_of(name), open_runtime(model_of(name), engine, "cpu")


class Finished:
    """Generations that an engine has ended."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __call__(self, *wanted: WantedText) -> list[Generation]:
        waiting = [threading.Event() for _ in wanted]
        texts = [
            Generation(one, ByteTokenizer(), event.set, eager=False)
            for one, event in zip(wanted, waiting, strict=True)
        ]
        self.engine.submit(texts)
        for event in waiting:
            assert event.wait(60)
        return texts


def counted(engine: Engine, name: str) -> float:
    found = getattr(engine.metrics, name).collect()[0].samples
    return next(sample.value for sample in found if not sample.name.endswith("_created"))


def log_p(text: Generation) -> torch.Tensor:
    return torch.tensor([one.log_p for piece in text.pieces for one in piece.scored])
