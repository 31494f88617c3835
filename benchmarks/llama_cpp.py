"""The GPT-2 of gpt.py in llama.cpp, by `pip install cyllama gguf`: a binding that comes compiled.

Its weights and its cache are float32, as ours; its GELU is the tanh form.
"""

import importlib.util
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpt import HEADS, LAYERS, WIDTH
from benchmarks.training import VOCABULARY
from seqarena.models.stacks.language_model import LanguageModel

_FLOAT32 = 0  # of ggml's types


def is_installed() -> bool:
    """Whether both packages are here."""
    return all(importlib.util.find_spec(name) is not None for name in ("cyllama", "gguf"))


class LlamaCpp:
    """Greedy texts, all prompts in one batch whose rows need no padding."""

    def __init__(self, model: LanguageModel, max_length: int, rows: int, kind: str = "f32") -> None:
        """`kind` is how matrices are kept: f32, or q8_0, int8 with a factor for 32 numbers."""
        from cyllama.llama import llama_cpp

        self._library = llama_cpp
        llama_cpp.disable_logging()
        llama_cpp.ggml_backend_load_all()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.gguf")
            write_gguf(model, path, max_length, kind)
            self._model = llama_cpp.LlamaModel(str(path), llama_cpp.LlamaModelParams())
        params = llama_cpp.LlamaContextParams()
        params.n_ctx = rows * max_length
        params.n_seq_max = rows
        params.n_threads = params.n_threads_batch = torch.get_num_threads()
        params.type_k = params.type_v = _FLOAT32
        params.n_batch = params.n_ubatch = rows * max_length
        self._context = llama_cpp.LlamaContext(self._model, params)
        self._sampler = llama_cpp.LlamaSampler(llama_cpp.LlamaSamplerChainParams())
        self._sampler.add_greedy()
        self._size = rows * max_length

    def __call__(self, prompts: Sequence[Sequence[int]], count: int) -> list[list[int]]:
        """`count` tokens of each."""
        self._context.kv_cache_clear()
        batch: Any = self._library.LlamaBatch(n_tokens=self._size, embd=0, n_seq_max=1)
        last = []
        for row, prompt in enumerate(prompts):
            for place, token in enumerate(prompt):
                batch.add(token, place, [row], place == len(prompt) - 1)
            last.append(batch.n_tokens - 1)
        written: list[list[int]] = [[] for _ in prompts]
        for step in range(count):
            self._context.decode(batch)
            for row, place in enumerate(last):
                written[row].append(self._sampler.sample(self._context, place))
            batch.clear()
            for row, prompt in enumerate(prompts):
                batch.add(written[row][-1], len(prompt) + step, [row], True)
            last = list(range(len(prompts)))
        return written


def write_gguf(model: LanguageModel, path: Path, max_length: int, kind: str) -> None:
    """The weights under llama.cpp's names of a GPT-2, without a vocabulary of texts."""
    import gguf

    writer = gguf.GGUFWriter(str(path), "gpt2")
    writer.add_context_length(max_length)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(4 * WIDTH)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("none")
    quantized = {"f32": None, "q8_0": gguf.GGMLQuantizationType.Q8_0}[kind]
    for name, tensor in _tensors(model):
        array = tensor.detach().contiguous().numpy()
        if quantized is not None and array.ndim == 2 and name != "position_embd.weight":
            array = gguf.quantize(array, quantized)
            writer.add_tensor(name, array, raw_dtype=quantized)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(model: LanguageModel) -> Any:
    assert model.embedding.learned is not None
    yield "token_embd.weight", model.embedding.tokens.weight
    yield "position_embd.weight", model.embedding.learned.weight
    yield "output.weight", model.embedding.tokens.weight
    parts = [("output_norm", model.stack.last_norm)]
    for number, block in enumerate(model.stack.blocks):
        heads, mlp = block.mixer.projections, block.channel_mixer
        named = (
            ("attn_norm", block.mixer_norm), ("attn_qkv", heads.inward),
            ("attn_output", heads.outward), ("ffn_norm", block.channel_norm),
            ("ffn_up", mlp.expand), ("ffn_down", mlp.contract),
        )  # fmt: skip
        parts += [(f"blk.{number}.{name}", module) for name, module in named]
    for name, module in parts:
        yield f"{name}.weight", module.weight
        yield f"{name}.bias", module.bias
