"""Makes attention_sinks.safetensors: StreamingLLM's attention and cache, one token at a time.

    python tests/mixers/references/attention_sinks.py PATH_OF_THE_CHECKOUT

github.com/mit-han-lab/streaming-llm, commit 2e5042606d69933d88fbf909bd77907456b9b4dd (MIT licence):
llama_pos_shift_attention_forward of streaming_llm/pos_shift/modify_llama.py, bound to projections
and angles made here, and StartRecentKVCache of streaming_llm/kv_cache.py, which makes room for each
token. Its softmax asks for float32; here it keeps float64.
"""

import sys
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from arrays import store

BATCH, LENGTH, WIDTH, HEADS, GROUPS = 2, 21, 24, 4, 2
SINKS, WINDOW, BASE = 3, 5, 100.0
FEATURES = WIDTH // HEADS


def angles(_: torch.Tensor, seq_len: int) -> tuple[torch.Tensor, torch.Tensor]:
    frequency = BASE ** (-torch.arange(0, FEATURES, 2).double() / FEATURES)
    angle = (torch.arange(seq_len).double()[:, None] * frequency).repeat(1, 2)
    return angle.cos()[None, None], angle.sin()[None, None]


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    from streaming_llm.kv_cache import StartRecentKVCache
    from streaming_llm.pos_shift.modify_llama import llama_pos_shift_attention_forward

    exact = torch.softmax
    F.softmax = lambda x, dim, dtype=None: exact(x, dim)
    torch.manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return (0.4 * torch.randn(*shape, dtype=torch.float64)).requires_grad_()

    sizes = (WIDTH, GROUPS * FEATURES, GROUPS * FEATURES)
    inward, outward = random(sum(sizes), WIDTH), random(WIDTH, WIDTH)
    query, key, value = inward.split(sizes)
    layer = SimpleNamespace(
        q_proj=lambda x: F.linear(x, query),
        k_proj=lambda x: F.linear(x, key),
        v_proj=lambda x: F.linear(x, value),
        o_proj=lambda x: F.linear(x, outward),
        rotary_emb=angles,
        config=SimpleNamespace(pretraining_tp=1),
        num_heads=HEADS,
        num_key_value_heads=GROUPS,
        num_key_value_groups=HEADS // GROUPS,
        head_dim=FEATURES,
        hidden_size=WIDTH,
    )
    x = torch.randn(BATCH, LENGTH, WIDTH, dtype=torch.float64, requires_grad=True)
    w = torch.randn(BATCH, LENGTH, WIDTH, dtype=torch.float64)
    cache = StartRecentKVCache(start_size=SINKS, recent_size=WINDOW)
    past, steps = None, []
    for x_t in x.split(1, dim=1):
        kept = cache.evict_for_space(past, 1)
        place = 0 if kept is None else kept[0][0].shape[2]
        y, _, new = llama_pos_shift_attention_forward(
            layer,
            x_t,
            position_ids=torch.full((BATCH, 1), place),
            past_key_value=None if kept is None else kept[0],
            use_cache=True,
        )
        past = [new]
        steps.append(y)
    y = torch.cat(steps, dim=1)
    parameters = {"projections.inward.weight": inward, "projections.outward.weight": outward}
    gradients = torch.autograd.grad((y * w).sum(), [x, inward, outward])
    store(__file__, x, w, y, parameters, dict(zip(("x", *parameters), gradients)))


if __name__ == "__main__":
    main()
