"""The rows of the benchmark: what is compared with what, at which size."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers import MambaConfig, MambaForCausalLM
from transformers.utils import logging

from benchmarks import gpt, layers, matrix_recurrence, serving
from benchmarks.side_by_side import Contender, Row
from benchmarks.training import VOCABULARY, assert_same, batch, count, training_step
from seqarena.core.batch import IGNORE
from seqarena.core.shapes import lengths_to_mask
from seqarena.models.stacks.language_model import LanguageModel, ModelConfig
from seqarena.models.stacks.stack import LayerConfig, StackConfig
from seqarena.ops.diagonal import linear_recurrence
from seqarena.use.generate import generate_tokens
from seqarena.use.sample import Sampling

logging.set_verbosity_error()  # that its Mamba runs without CUDA kernels is in the row's name

RECURRENT = {
    "lstm": ("seqarena.mixers.recurrent.lstm:LSTM", nn.LSTM),
    "gru": ("seqarena.mixers.recurrent.gru:GRU", nn.GRU),
    "rnn": ("seqarena.mixers.recurrent.elman:Elman", nn.RNN),
}


def transformer(dtype: str) -> Row:
    """A training step of the 10.8M causal Transformer."""
    B, T = 16, 256
    model = gpt.ours(T)
    others = {
        "written-out GPT (SDPA)": gpt.Reference(model, T),
        "nn.TransformerEncoder": gpt.TorchEncoder(model, T),
        "transformers GPT-2 (sdpa)": gpt.gpt2(model, T, "sdpa"),
        "transformers GPT-2 (eager)": gpt.gpt2(model, T, "eager"),
    }
    tokens = batch(B, T)
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        name: partial(_their_logits, other) if name.startswith("transformers") else other
        for name, other in others.items()
    }
    with torch.no_grad():
        expected = model(tokens[0])[0]
        checks = [assert_same(name, f(tokens[0]), expected) for name, f in functions.items()]
    contenders = [_trained("seqarena", True, model, partial(_our_logits, model), tokens, dtype)]
    contenders += [
        _trained(name, False, others[name], f, tokens, dtype) for name, f in functions.items()
    ]
    settings = {"batch": B, "T": T, "layers": 6, "heads": 6, "width": 384}
    return Row("training step, causal Transformer", B * T, settings, contenders, checks)


def recurrent(kind: str, dtype: str) -> Row:
    """A training step of two bare recurrent layers of width 512."""
    B, T, width, depth = 16, 256, 512, 2
    model, theirs = _recurrent_models(kind, width, depth)
    name = f"nn.{type(theirs.layers).__name__}"
    tokens = batch(B, T)
    contenders = [
        _trained("seqarena", True, model, partial(_our_logits, model), tokens, dtype),
        _trained(name, False, theirs, theirs, tokens, dtype),
    ]
    settings = {"batch": B, "T": T, "layers": depth, "width": width, "ours": model.algorithms[0]}
    return Row(f"training step, {name[3:]}", B * T, settings, contenders)


def ragged(dtype: str) -> Row:
    """A training step of a bare LSTM over rows of half to all of 256 positions, padded."""
    B, T, width = 32, 256, 128
    model, theirs = _recurrent_models("lstm", width, 1)
    lengths_B = torch.linspace(T // 2, T, B).long()
    mask_BT = lengths_to_mask(lengths_B, T)
    inputs_BT, targets_BT = batch(B, T)
    tokens = inputs_BT, targets_BT.masked_fill(~mask_BT, IGNORE)
    contenders = [
        _trained("seqarena", True, model, lambda x: model(x, mask_BT=mask_BT)[0], tokens, dtype),
        _trained(
            "nn.LSTM, packed", False, theirs, partial(theirs, lengths_B=lengths_B), tokens, dtype
        ),
    ]
    settings = {"batch": B, "T": f"{T // 2} to {T}", "layers": 1, "width": width}
    return Row("training step, LSTM on padded rows", int(lengths_B.sum()), settings, contenders)


def _recurrent_models(kind: str, width: int, depth: int) -> tuple[LanguageModel, "_TorchRecurrent"]:
    place, theirs_class = RECURRENT[kind]
    stack = StackConfig(
        width=width, layers=(LayerConfig(mixer=place),) * depth, channel_mixer="none",
        norm="none", residual=False,
    )  # fmt: skip
    ours = LanguageModel(ModelConfig(vocab_size=VOCABULARY, stack=stack))
    return ours, _TorchRecurrent(theirs_class, width, depth)


def decoding() -> Row:
    """256 tokens from a prompt of 16, greedy, one sequence, from a cache; in float32, whatever the
    other rows train in."""
    prompt, new = 16, 256
    model = gpt.ours(prompt + new).eval()
    start = batch(1, prompt)[0]

    def run_ours() -> list[int]:
        greedy = Sampling(temperature=0.0)
        return list(generate_tokens(model, start[0].tolist(), new, greedy))

    def generate(theirs: nn.Module, cache: str) -> list[int]:
        options = {} if cache == "dynamic" else {"cache_implementation": cache}
        found = theirs.generate(
            start,
            attention_mask=torch.ones_like(start),
            max_new_tokens=new,
            min_new_tokens=new,
            do_sample=False,
            pad_token_id=0,
            disable_compile=True,
            **options,
        )
        return found[0, prompt:].tolist()

    contenders = [Contender("seqarena", True, run_ours, count(model))]
    expected, checks = run_ours(), []
    for cache in ("dynamic", "static"):
        theirs = gpt.gpt2(model, prompt + new, "sdpa").eval()
        name = f"transformers generate ({cache} cache)"
        run = partial(generate, theirs, cache)
        same = sum(a == b for a, b in zip(run(), expected, strict=True))
        checks.append(f"{name}: {same} of {new} tokens equal")
        contenders.append(Contender(name, False, run, count(theirs)))
    settings = {"batch": 1, "prompt": prompt, "new tokens": new, "greedy": True, "dtype": "float32"}
    return Row("decoding, causal Transformer", new, settings, contenders, checks)


def scans() -> Row:
    """Forward and backward of the diagonal recurrence by every algorithm against a plain loop."""
    B, T, D = 4, 1024, 768
    generator = torch.Generator().manual_seed(0)
    a, b, weights = (torch.rand(B, T, D, generator=generator) for _ in range(3))
    a.requires_grad_()
    b.requires_grad_()

    def run(function: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        a.grad = b.grad = None
        h = function(a, b)
        h.backward(weights)
        return h.detach()

    expected = run(_plain_loop)
    contenders, checks = [], []
    for algorithm in linear_recurrence.available("cpu", torch.float32)[1:]:
        call = partial(run, partial(linear_recurrence, algorithm=algorithm))
        checks.append(assert_same(algorithm, call(), expected))
        contenders.append(Contender(f"seqarena {algorithm}", True, call))
    contenders.append(Contender("loop with unbind", False, partial(run, _plain_loop)))
    settings = {"shape": (B, T, D), "work": "forward and backward"}
    return Row("diagonal linear recurrence", B * T, settings, contenders, checks)


def mamba(dtype: str) -> Row:
    """A training step of a bare Mamba stack; theirs without its CUDA kernels."""
    B, T, width, depth = 4, 256, 256, 2
    stack = StackConfig(
        width=width,
        layers=(LayerConfig(mixer="seqarena.mixers.state_space.mamba:Mamba"),) * depth,
        channel_mixer="none",
        norm="rms",
    )
    model = LanguageModel(ModelConfig(vocab_size=VOCABULARY, stack=stack))
    config = MambaConfig(
        vocab_size=VOCABULARY, hidden_size=width, num_hidden_layers=depth, state_size=16,
        tie_word_embeddings=True, use_cache=False,
    )  # fmt: skip
    theirs = MambaForCausalLM(config)
    tokens = batch(B, T)
    contenders = [
        _trained("seqarena", True, model, partial(_our_logits, model), tokens, dtype),
        _trained(
            "transformers Mamba (slow path)",
            False,
            theirs,
            partial(_their_logits, theirs),
            tokens,
            dtype,
        ),
    ]
    settings = {"batch": B, "T": T, "layers": depth, "width": width, "ours": model.algorithms[0]}
    return Row("training step, Mamba", B * T, settings, contenders)


ROWS: dict[str, Callable[[str], Row]] = {
    "transformer": transformer,
    **{kind: partial(recurrent, kind) for kind in RECURRENT},
    "ragged": ragged,
    "decoding": lambda dtype: decoding(),
    "scans": lambda dtype: scans(),
    "mamba": mamba,
    **layers.ROWS,
    **matrix_recurrence.ROWS,
    **serving.ROWS,
}


class _TorchRecurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], width: int, depth: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.layers = kind(width, width, depth, batch_first=True)
        self.head = nn.Linear(width, VOCABULARY, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens_BT: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        x_BTD = self.tokens(tokens_BT)
        if lengths_B is None:
            return self.head(self.layers(x_BTD)[0])
        packed = pack_padded_sequence(x_BTD, lengths_B, batch_first=True, enforce_sorted=False)
        h_BTD, _ = pad_packed_sequence(
            self.layers(packed)[0], batch_first=True, total_length=tokens_BT.shape[1]
        )
        return self.head(h_BTD)


def _trained(
    name: str,
    is_ours: bool,
    model: nn.Module,
    logits: Callable[[Tensor], Tensor],
    tokens: tuple[Tensor, Tensor],
    dtype: str,
) -> Contender:
    return Contender(name, is_ours, training_step(model, logits, tokens, dtype), count(model))


def _our_logits(model: LanguageModel, tokens_BT: Tensor) -> Tensor:
    return model(tokens_BT)[0]


def _their_logits(model: nn.Module, tokens_BT: Tensor) -> Tensor:
    return model(tokens_BT, use_cache=False).logits


def _plain_loop(a_BTD: Tensor, b_BTD: Tensor) -> Tensor:
    h_BD, states = torch.zeros_like(b_BTD[:, 0]), []
    for a_BD, b_BD in zip(a_BTD.unbind(1), b_BTD.unbind(1), strict=True):
        h_BD = a_BD * h_BD + b_BD
        states.append(h_BD)
    return torch.stack(states, dim=1)
