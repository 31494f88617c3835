"""What each architecture is held against: the published code, and the largest difference seen.

The same weights and inputs, float64 on a CPU, over all of our algorithms; gradients are those of
the input and of every parameter. The tests beside each mixer allow 1e-9 unless a row says another.
docs/parity.md shows this table.
"""

from typing import Literal, NamedTuple

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py


class Parity(NamedTuple):
    """One comparison; the reference runs in the test, or its results are stored beside it."""

    name: str
    note: str  # which form, where that is not the default one
    reference: str
    output: str
    gradients: str
    how: Literal["live", "stored"]


ROWS = (
    Parity("retnet", "",
           "fla-core 0.6.0 `MultiScaleRetention`, `naive_retention`",
           "3e-16 relative", "5e-16 relative", "stored"),
    Parity("gla", "",
           "fla-core 0.6.0 `GatedLinearAttention`, `naive_recurrent_gla`",
           "0", "2e-16 relative", "stored"),
    Parity("hgrn2", "",
           "fla-core 0.6.0 `HGRN2Attention`, `naive_recurrent_gla`",
           "4e-16 relative", "2e-15 relative", "stored"),
    Parity("mlstm", "",
           "xlstm 2.0.6 `mLSTMLayer`, its cell by its own step",
           "6e-16 relative", "9e-15 relative", "stored"),
    Parity("based", "",
           "fla-core 0.6.0 `BasedLinearAttention.forward_reference` (its epsilon is 1e-12)",
           "8e-13 relative", "1e-12 relative", "stored"),
    Parity("lightning_attention", "",
           "transformers `MiniMaxLightningAttention`, its norm without rounding",
           "1e-9", "1e-9", "live"),
    Parity("rwkv6", "",
           "fla-core 0.6.0 `RWKV6Attention`, `naive_recurrent_rwkv6`",
           "4e-16 relative", "9e-16 relative", "stored"),
    Parity("deltanet", "",
           "fla-core 0.6.0 `DeltaNet`, `delta_rule.naive`; also in [-1, 1]",
           "8e-16 relative", "2e-15 relative", "stored"),
    Parity("gated_delta", "",
           "fla-core 0.6.0 `GatedDeltaNet`, `gated_delta_rule.naive`",
           "7e-16 relative", "1e-15 relative", "stored"),
    Parity("gated_delta", "",
           "transformers `Qwen3NextGatedDeltaNet`",
           "4e-15", "6e-14", "live"),
    Parity("gated_delta", "in [-1, 1]",
           "transformers `OlmoHybridGatedDeltaNet`",
           "3e-15", "1e-13", "live"),
    Parity("delta_product", "n = 3",
           "fla-core 0.6.0 `GatedDeltaProduct` and its naive form",
           "5e-16 relative", "2e-15 relative", "stored"),
    Parity("kimi_delta", "",
           "fla-core 0.6.0 `KimiDeltaAttention`, `kda.naive`; also bounded",
           "9e-16 relative", "5e-15 relative", "stored"),
    Parity("kimi_delta", "",
           "transformers `KimiLinearDeltaAttention`",
           "3e-15", "9e-14", "live"),
    Parity("gated_delta2", "",
           "fla-core 0.6.0 `GatedDeltaNet2`, `gdn2.naive`, in [-1, 1]",
           "6e-16 relative", "2e-15 relative", "stored"),
    Parity("rwkv7", "",
           "fla-core 0.6.0 `RWKV7Attention`, `dplr.naive`",
           "2e-16 relative", "1e-15 relative", "stored"),
    Parity("mamba2", "",
           "transformers `Mamba2Mixer`, which computes in float32 (2e-5 allowed)",
           "3e-7", "7e-7", "live"),
    Parity("mamba2", "its recurrence",
           "state-spaces/mamba e9594ce `ssd_minimal_discrete`",
           "3e-15", "8e-15", "stored"),
    Parity("mamba3", "",
           "state-spaces/mamba e9594ce `Mamba3` with `mamba3_siso_step_ref`",
           "2e-14", "2e-13", "stored"),
    Parity("s4", "",
           "state-spaces/s4 e757cef `S4Block` (DPLR, LegS)",
           "9e-15 relative", "9e-14 relative", "stored"),
    Parity("s5", "",
           "lindermanlab/S5 3c18fdb `S5SSM`",
           "1e-15", "9e-15", "stored"),
    Parity("lru", "",
           "NicolasZucchet/minimal-LRU bbd71b1 `LRU`",
           "4e-15", "2e-13", "stored"),
    Parity("hawk", "RG-LRU",
           "transformers `RecurrentGemmaRecurrentBlock`, from its second position on",
           "3e-15", "4e-14", "live"),
    Parity("h3", "",
           "HazyResearch/H3 5c4d06b `H3`",
           "4e-16 relative", "2e-15 relative", "stored"),
    Parity("hyena", "",
           "HazyResearch/safari 02220c6 `HyenaOperator`",
           "1e-9", "1e-9", "stored"),
    Parity("slstm", "",
           "xlstm 2.0.6 `sLSTMLayer`, backend vanilla",
           "3e-15", "2e-14", "stored"),
    Parity("qrnn", "",
           "salesforce/pytorch-qrnn 1634991 `QRNNLayer`",
           "2e-16 relative", "3e-16 relative", "stored"),
    Parity("sru", "",
           "asappresearch/sru 9ddc8da `SRUCell`",
           "2e-16 relative", "4e-16 relative", "stored"),
    Parity("stack_rnn", "",
           "the equations in NumPy, after `StackRNNCore` 2b8eb4b",
           "1e-12", "finite differences", "live"),
    Parity("lstm_peephole", "",
           "the equations of Graves 2013 in NumPy",
           "1e-13", "finite differences", "live"),
    Parity("latent_attention", "",
           "transformers `DeepseekV3Attention`",
           "4e-15", "8e-14", "live"),
    Parity("attention_sinks", "",
           "mit-han-lab/streaming-llm 2e50426",
           "1e-15", "2e-15 relative", "stored"),
    Parity("sliding_window", "with a learned sink",
           "transformers `GptOssAttention`",
           "7e-15", "5e-14", "live"),
    Parity("longformer", "",
           "transformers `LongformerSelfAttention`",
           "2e-15", "1e-14", "live"),
    Parity("bigbird", "",
           "transformers `BigBirdBlockSparseAttention`, our random blocks",
           "1e-15", "9e-15", "live"),
    Parity("forgetting_attention", "",
           "fla-core 0.6.0 `naive_forgetting_attn`",
           "1e-15", "2e-14 relative", "stored"),
    Parity("qwen3_next", "its attention with a gate",
           "transformers `Qwen3NextAttention` without its norms",
           "1e-6", "1e-6 (of the input)", "live"),
)  # fmt: skip


def parity_of(name: str) -> str:
    """In words, of the row's first comparison; empty where there is none."""
    for row in ROWS:
        if row.name == name:
            return f"equal to {row.reference.replace('`', '')} within {row.output}"
    return ""


def parity_table() -> str:
    """All rows as a table of Markdown."""
    lines = ["| name | reference | output | gradients | how |", "|---|---|---|---|---|"]
    for row in ROWS:
        name = f"`{row.name}`" + (f", {row.note}" if row.note else "")
        lines.append(f"| {name} | {row.reference} | {row.output} | {row.gradients} | {row.how} |")
    return "\n".join(lines)
