# %% [markdown]
# # What it costs
#
# **The question.** [One of the texts](texts.md) times a recurrence of 1,024 steps against "the
# Transformer way" and prints how many times as fast the second one is. What did it measure? And what do
# time, memory and state really do when a sequence gets longer?

# %%
import os
import re
import time

import numpy as np
import torch

import seqarena as sa
from seqarena.core.shapes import state_tensors
from seqarena.ops.measured import ROWS
from shared import chart, milliseconds

QUICK = "SEQARENA_QUICK" in os.environ  # the tests run this lesson in seconds
torch.set_num_threads(1)  # times below are of one core
torch.manual_seed(0)


# %% [markdown]
# ## A benchmark of random numbers
#
# These are the two halves of the text's benchmark, as they stand there. Its print calls the first one
# "Sequential (RNN-style)", the second one "Parallel (Transformer-style)".

# %%
STEPS, WIDTH = 256 if QUICK else 1024, 768


def sequential():
    hidden = torch.randn(1, WIDTH)
    for _ in range(STEPS):
        hidden = torch.tanh(hidden @ torch.randn(WIDTH, WIDTH))


def parallel():
    qkv = torch.randn(STEPS, WIDTH * 3)
    return qkv @ torch.randn(WIDTH * 3, WIDTH)


# %% [markdown] tags=["prediction"]
# **Predict.** How many times as fast is the second half? Then the random numbers are drawn before the
# clock starts, once, as weights are. How many times is it now? And between a whole recurrent layer and
# a whole layer of attention, both of width 768, one sequence, one core: which is faster?

# %%
weights, wide = torch.randn(WIDTH, WIDTH) / WIDTH**0.5, torch.randn(WIDTH * 3, WIDTH)
start, qkv = torch.randn(1, WIDTH), torch.randn(STEPS, WIDTH * 3)


def recurrence():
    hidden = start
    for _ in range(STEPS):
        hidden = torch.tanh(hidden @ weights)


def layer(name):
    """One layer of the package, called on one sequence."""
    options = {"algorithm": "fused"}  # the library's own kernels
    model = sa.build(name, vocab_size=2, width=WIDTH, depth=1, options=options, seed=0)
    mixer, x = model.stack.blocks[0].mixer, torch.randn(1, STEPS, WIDTH)
    return torch.no_grad()(lambda: mixer(x))


PAIRS = {
    "as the text has it": (sequential, parallel),
    "drawn beforehand": (recurrence, lambda: qkv @ wide),
    "Elman and attention, whole layers": (layer("elman"), layer("attention")),
}
took = {name: [milliseconds(call, 2) for call in pair] for name, pair in PAIRS.items()}
print(f"{STEPS} steps, ms                      recurrent   parallel   times as fast")
for name, (one, other) in took.items():
    print(f"{name:34s} {one:9.1f}  {other:9.1f}  {one / other:8.1f}")
drawn = 1 - took["drawn beforehand"][0] / took["as the text has it"][0]
print(f"{drawn:.0%} of the text's recurrence is the drawing of random numbers.")
one, other = took["Elman and attention, whole layers"]
print(f"Whole layers: {'the recurrent one' if one < other else 'attention'} is faster here.")

# %% [markdown] tags=["conclusion"]
# **Why so?** The loop draws a matrix of 590,000 random numbers for each product with it, and a network
# has one matrix. What stands for the Transformer is one product of matrices: no query meets a key. The
# recurrent layer has two products of width by width a token, attention's has four and its scores, and
# one core has no use for what could be done side by side. On other machines the order may be another.
# This benchmark would not see it.

# %% [markdown]
# What can be said without a clock are three numbers that a model states: operations, the longest chain
# of steps that wait for each other, and the bytes that it keeps to go on.

# %%
NAMES = ("lstm", "mamba", "gated_delta", "attention")
models = {name: sa.build(name, vocab_size=64, width=64, depth=1, seed=0) for name in NAMES}
lengths = [2**k for k in range(5, 21)]
figure = chart("Operations a token, one layer of width 64", "length", "operations")
for name, model in models.items():
    chain = [f"{model.serial_steps(length):,} steps in a row" for length in lengths]
    each = [model.flops(length) / length for length in lengths]
    figure.add_scatter(x=lengths, y=each, name=name, hovertext=chain)
figure.update_xaxes(type="log", dtick=1).update_yaxes(type="log", dtick="D2").show()

attention, flat = models["attention"], models["lstm"].flops(1024) / 1024
fixed = attention.flops(1)
double = next(n for n in range(1, 10**5) if attention.flops(n) >= 2 * n * fixed)
dearer = next(n for n in range(1, 10**5) if attention.flops(n) >= n * flat)
print(f"Looking back costs attention as much as all the rest from length {double} on;")
print(f"it needs more operations than the LSTM from length {dearer} on.")

# %% [markdown]
# ## Time
#
# The longest of the texts writes: "Training time scales with $O(1)$ instead of $O(T)$". It means the
# chain of steps, and calls it time. Another says that a sequence of 512 tokens takes "a constant number
# of matrix operations regardless of length".

# %% [markdown] tags=["prediction"]
# **Predict.** A training step (forwards, backwards) of the four models above, one sequence on one core:
# with twice the length, how many times as long does each take? And who is the fastest at 128 tokens,
# who at 4,096?

# %%
lengths = [128, 512] if QUICK else [128, 256, 512, 1024, 2048, 4096]


def step(model, length):
    tokens = torch.randint(64, (1, length))

    def training():
        logits, _ = model(tokens)
        torch.nn.functional.cross_entropy(logits[0, :-1], tokens[0, 1:]).backward()

    return training


seconds = {name: [] for name in NAMES}
for name, model in models.items():
    seconds[name] = [milliseconds(step(model, length)) for length in lengths]

figure = chart("A training step on one core", "length", "milliseconds")
for name, times in seconds.items():
    figure.add_scatter(x=lengths, y=np.round(times, 2), name=name)
for name, times in seconds.items():
    each = 1e3 * np.array(times) / lengths
    figure.add_scatter(x=lengths, y=each.round(2), name=name, visible=False)
steps = []
for place, (label, unit) in enumerate(
    {"a step": "milliseconds", "a token": "microseconds"}.items()
):
    shown = [index // len(NAMES) == place for index in range(2 * len(NAMES))]
    change = [{"visible": shown}, {"yaxis.title.text": unit}]
    steps.append({"label": label, "method": "update", "args": change})
figure.update_layout(
    sliders=[{"steps": steps, "pad": {"t": 48}, "len": 0.9, "currentvalue": {"prefix": "time of "}}]
)
figure.update_xaxes(type="log", tickvals=lengths).update_yaxes(type="log", dtick="D2").show()

for name, times in seconds.items():
    growth = times[-1] / times[-2]
    print(f"{name:12s} {times[0]:7.2f} ms at {lengths[0]}, {times[-1]:8.1f} ms at {lengths[-1]:,};"
          f" the last doubling: {growth ** (1 / np.log2(lengths[-1] / lengths[-2])):.2f} times")  # fmt: skip
for place in (0, -1):
    order = sorted(NAMES, key=lambda name, place=place: seconds[name][place])
    print(f"from the fastest at {lengths[place]:,}: {', '.join(order)}")

# %% [markdown] tags=["conclusion"]
# **Why so?** On one core time is work: linear in the length for a recurrence, and for attention a
# linear part and a quadratic one, which is small at first. A chain of steps costs time where it leaves
# a machine idle, and a core is not idle.

# %% [markdown]
# ## Memory

# %% [markdown] tags=["prediction"]
# **Predict.** Texts say that attention's memory grows with the length squared. With twice the length,
# by how much does the peak memory of a training step grow for attention written out as in its
# equation, for attention as `torch` computes it, and for an LSTM? And which keeps the least to go on
# writing?

# %%
spans = "128,512" if QUICK else "256,512,1024,2048,4096"
sizes = {"width": 64, "depth": 1, "lengths": spans, "threads": 1, "verbose": False}
records = sa.measure(
    "memory", models="attention", algorithms="explicit,fused", **sizes
).measurements
records += sa.measure("memory", models=",".join(NAMES[:-1]), **sizes).measurements
peaks = {one.label: one.points for one in records if one.quantity == "peak_training_bytes"}

figure = chart("Peak memory of a training step, width 64", "length", "megabytes")
print("peak of a training step, and what twice the length makes of it")
for name, points in peaks.items():
    length, peak = [point.x for point in points], [point.repeats[0] / 1e6 for point in points]
    figure.add_scatter(x=length, y=np.round(peak, 2), name=name)
    doubling = (peak[-1] / peak[-2]) ** (1 / np.log2(length[-1] / length[-2]))
    print(f"   {name:20s} {peak[-1]:8.1f} MB at {length[-1]:,.0f}; times {doubling:.2f}")
figure.update_xaxes(type="log", tickvals=length).update_yaxes(type="log", dtick="D2").show()

print(
    "kept to go on: kB after 1,024 tokens, after a million; tokens of attention's cache, as large"
)
for name, model in models.items():
    early, late = (model.state_bytes(length) / 1e3 for length in (1024, 10**6))
    tokens = model.state_bytes(1) / attention.state_bytes(1)
    equal = "" if name == "attention" else f"{tokens:6.0f}"
    print(f"   {name:12s} {early:8.1f} {late:12,.1f} {equal}")

# %% [markdown] tags=["conclusion"]
# **Why so?** The square is in the *matrix* of weights, and nobody needs that matrix. A softmax can be
# taken block by block with a running maximum (Milakov and Gimelshein 2018; Dao et al. 2022), and the
# backward pass computes the blocks again. Work stays quadratic. Memory does not.

# %% [markdown]
# ## A GPU
#
# This lesson uses none. The package carries what was measured on one (the table that chooses algorithms):
# an H100, torch 2.11, bfloat16, 25 million parameters, 16 sequences of 1,024 tokens, tokens a second
# in training. The same table has the CPU: one core, width 128, 8 sequences of 1,024 tokens, where a
# number is how many times as long as the fastest an algorithm takes.

# %% [markdown] tags=["prediction"]
# **Predict.** Mamba's recurrence by `scan` (rounds) and by `chunked` (a walk that recomputes): which is
# faster on a core, which on the GPU, by how much? And of an LSTM, whose steps must all wait, and
# attention, who trains faster on the GPU, by how much?

# %%
table = {(row.operation, row.device): row.source for row in ROWS if not row.case}


def on_gpu(operation):
    """Thousands of tokens a second, by algorithm."""
    found = re.findall(r"(\w+)(?: \(cuDNN\))? (\d[\d.]*)k", table[operation, "cuda"])
    return {name: float(number) for name, number in found}


def on_core(operation):
    """How many times the fastest's time, at 1,024 tokens, by algorithm."""
    longest = table[operation, "cpu"].split("T 1024: ")[1]
    return {name: float(number) for name, number in re.findall(r"(\w+) (\d[\d.]*)", longest)}


CELLS = {"elman": "elman", "gru": "gru", "lstm": "lstm", "minimal_recurrence": "minGRU",
         "selective_scan": "Mamba", "diagonal_ssm": "S4D", "attention": "attention"}  # fmt: skip
speed = {f"{CELLS[o]}, {a}": v for o in CELLS for a, v in on_gpu(o).items() if a != "minlstm"}
speed = dict(sorted(speed.items(), key=lambda item: item[1]))
figure = chart("Training on one H100, by algorithm", "thousand tokens a second", "")
figure.add_bar(x=list(speed.values()), y=list(speed), orientation="h", showlegend=False)
figure.show()

for operation, other in {"selective_scan": "chunked", "minimal_recurrence": "fused"}.items():
    gpu, core = on_gpu(operation), on_core(operation)
    there, here = gpu["scan"] / gpu[other], core[other] / core["scan"]
    print(f"{CELLS[operation]}: `scan` is {there:.1f} times as fast as `{other}` on the GPU, {here:.2f} on "
          f"a core: the order {'turns over' if (there > 1) != (here > 1) else 'stays'}")  # fmt: skip
lstm, gru = (speed[f"{name}, fused"] / speed["attention, fused"] for name in ("lstm", "gru"))
print(f"The LSTM trains at {lstm:.0%} of attention's speed, the GRU at {gru:.0%}.")

# %% [markdown] tags=["conclusion"]
# **Why so?** There rounds count: thousands of units wait for a walk, and a call costs more than its
# work. So an algorithm that was chosen on a laptop can be the wrong one. But a recurrence is not lost:
# between one step and the next there are 16 sequences and a whole layer's width to compute, and a good
# kernel (cuDNN's, for the LSTM) uses them. The GRU has fewer operations than the LSTM, and a kernel of
# the same library. Its speed is that of its kernel, not that of its equation.

# %% [markdown]
# ## A million tokens
#
# "Impossible to scale to millions of tokens", a text says of recurrent networks. We let some read a
# million, a piece of 1,024 at a time, with the state handed on.

# %% [markdown] tags=["prediction"]
# **Predict.** Models of width 32, one layer, one core. How long does an LSTM take for a million tokens?
# How long would attention take, from its time for 4,096 and for 8,192?

# %%
TOKENS = 20_480 if QUICK else 1_000_448
said = []
for name in ("lstm", "linear_attention", "gated_delta"):
    model = sa.build(name, vocab_size=64, width=32, depth=1, seed=0)
    session, start, kept = sa.Session(model), time.process_time(), set()
    for _ in range(TOKENS // 1024):
        session.read(torch.randint(64, (1024,)))
        kept.add(sum(tensor.nbytes for tensor in state_tensors(session.state)))
    took = time.process_time() - start
    said.append(
        f"{name:17s} {session.position:,} tokens in {took:5.1f} s; kept on the way: {kept} bytes"
    )

model = sa.build("attention", vocab_size=64, width=32, depth=1, seed=0)
spans = (1024, 2048) if QUICK else (4096, 8192)
reading = torch.no_grad()(lambda length: model(torch.randint(64, (1, length))))
short, long = (milliseconds(lambda n=n: reading(n), 2) / 1e3 for n in spans)
# a T + b T^2 through both
b = (long / spans[1] - short / spans[0]) / (spans[1] - spans[0])
a = short / spans[0] - b * spans[0]
minutes, cache = (a * 1e6 + b * 1e12) / 60, model.state_bytes(10**6) / 1e6
said += [
    f"attention         {span:,} tokens in {took:.2f} s" for span, took in zip(spans, (short, long))
]
said.append(f"At this rate, a million in {minutes:,.0f} minutes, with a cache of {cache:,.0f} MB.")
print("\n".join(said))

# %% [markdown] tags=["conclusion"]
# **Why so?** A recurrence's next step does not know how much came before. That is its cheapness, and
# its limit as well: a few thousand bytes cannot hold a million tokens, which are 750,000 bytes at 6
# bits each. What is kept and what is lost is the matter of the lessons before this one.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# **1.** Attention for one query without ever holding more than one block of scores: keep a maximum, a
# sum and a weighted mean, and correct them when a larger score comes. Check it against the softmax.

# %% [markdown] tags=["exercise"]
# **2.** A text of $n$ tokens is written one by one, with a cache of keys and values and without. Count
# the scores of both, and find what their ratio comes to when $n$ is large.

# %% [markdown] tags=["exercise"]
# **3.** A state of linear attention is a matrix a head. From which length on is attention's cache
# larger, for width $D$ and $H$ heads? Check it with `state_bytes` of the two models.
