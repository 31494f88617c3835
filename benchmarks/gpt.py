"""The causal Transformers that ours is measured against, loaded with our weights.

Pre-norm, learned positions, MLP of four times the width with GELU, biases everywhere, tied head.
`Reference` is a written-out GPT-2 with one query-key-value matrix and PyTorch's fused attention.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.training import VOCABULARY
from seqarena.models.stacks.language_model import LanguageModel, ModelConfig
from seqarena.models.stacks.stack import LayerConfig, StackConfig

LAYERS, HEADS, WIDTH = 6, 6, 384


def ours(max_length: int, algorithm: str = "auto") -> LanguageModel:
    """Our model of 10.8 million parameters."""
    options = {"num_heads": HEADS, "positions": "none", "bias": True, "algorithm": algorithm}
    layer = LayerConfig(mixer="seqarena.mixers.attention.attention:Attention", options=options)
    stack = StackConfig(width=WIDTH, layers=(layer,) * LAYERS, channel_width=4 * WIDTH)
    config = ModelConfig(
        vocab_size=VOCABULARY, stack=stack, positions="learned", max_length=max_length
    )
    return LanguageModel(config)


class _ReferenceBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.merge = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x_BTD: Tensor) -> Tensor:
        B, T, _ = x_BTD.shape
        qkv = self.qkv(self.norm_1(x_BTD)).split(WIDTH, dim=2)
        q, k, v = (part.view(B, T, HEADS, -1).transpose(1, 2) for part in qkv)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x_BTD = x_BTD + self.merge(y.transpose(1, 2).contiguous().view(B, T, WIDTH))
        return x_BTD + self.down(F.gelu(self.up(self.norm_2(x_BTD))))


class Reference(nn.Module):
    """What a reader of the GPT-2 paper would write down."""

    def __init__(self, model: LanguageModel, max_length: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Embedding(max_length, WIDTH)
        self.blocks = nn.ModuleList(_ReferenceBlock() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.head.weight = self.tokens.weight
        embeddings = (self.tokens.weight, self.positions.weight)
        _copy(model, embeddings, (_pairs(b) for b in self.blocks), self.norm)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        x_BTD = self.tokens(tokens_BT) + self.positions(torch.arange(tokens_BT.shape[1]))
        for block in self.blocks:
            x_BTD = block(x_BTD)
        return self.head(self.norm(x_BTD))


class TorchEncoder(nn.Module):
    """torch.nn.TransformerEncoder with a causal mask, between an embedding and a head."""

    def __init__(self, model: LanguageModel, max_length: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Embedding(max_length, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.norm = nn.LayerNorm(WIDTH)
        self.encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.head.weight = self.tokens.weight
        mask = nn.Transformer.generate_square_subsequent_mask(max_length)
        self.register_buffer("mask", mask, persistent=False)
        blocks = (
            (b.norm1, (b.self_attn.in_proj_weight, b.self_attn.in_proj_bias),
             b.self_attn.out_proj, b.norm2, b.linear1, b.linear2)
            for b in self.encoder.layers
        )  # fmt: skip
        embeddings = (self.tokens.weight, self.positions.weight)
        _copy(model, embeddings, blocks, self.norm)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        T = tokens_BT.shape[1]
        x_BTD = self.tokens(tokens_BT) + self.positions(torch.arange(T))
        x_BTD = self.encoder(x_BTD, mask=self.mask[:T, :T], is_causal=True)
        return self.head(self.norm(x_BTD))


def gpt2(model: LanguageModel, max_length: int, attention: str) -> GPT2LMHeadModel:
    """GPT-2 of the package transformers; `attention` is eager or sdpa."""
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=max_length, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS,
        activation_function="gelu", resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=0, eos_token_id=None, attn_implementation=attention,
    )  # fmt: skip
    theirs = GPT2LMHeadModel(config)
    body = theirs.transformer
    blocks = (
        (b.ln_1, b.attn.c_attn, b.attn.c_proj, b.ln_2, b.mlp.c_fc, b.mlp.c_proj) for b in body.h
    )
    _copy(model, (body.wte.weight, body.wpe.weight), blocks, body.ln_f, transposed=True)
    return theirs


def _pairs(b: nn.Module) -> tuple[object, ...]:
    return b.norm_1, b.qkv, b.merge, b.norm_2, b.up, b.down


@torch.no_grad()
def _copy(
    model: LanguageModel,
    embeddings: tuple[Tensor, Tensor],
    blocks: Iterator[tuple[object, ...]],
    norm: nn.LayerNorm,
    transposed: bool = False,
) -> None:
    """Our weights into theirs: norm, qkv, merge, norm, up, down of each block."""
    assert model.embedding.learned is not None
    embeddings[0].copy_(model.embedding.tokens.weight)
    embeddings[1].copy_(model.embedding.learned.weight)
    norm.load_state_dict(model.stack.last_norm.state_dict())
    for ours, theirs in zip(model.stack.blocks, blocks, strict=True):
        heads, mlp = ours.mixer.projections, ours.channel_mixer
        sources = (
            ours.mixer_norm, heads.inward, heads.outward, ours.channel_norm,
            mlp.expand, mlp.contract,
        )  # fmt: skip
        for source, target in zip(sources, theirs, strict=True):
            weight, bias = target if isinstance(target, tuple) else (target.weight, target.bias)
            turn = transposed and source.weight.dim() == 2
            weight.copy_(source.weight.t() if turn else source.weight)
            bias.copy_(source.bias)
