# %% [markdown]
# # The Transformer in a hundred lines
#
# **The question.** In a Transformer every position looks at every other one, in one step. The texts
# say that this "handles long-range relationships perfectly". What is in it, what does each part do,
# and what can it not do?
#
# Below is the whole network in plain torch. Weights are copied out of the package's, and both give
# the same outputs and gradients. Then it learns to look something up, and then to count modulo two.

# %%
import itertools
import math
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import seqarena as sa
from shared import chart

QUICK = "SEQARENA_QUICK" in os.environ  # the tests run this lesson in seconds
torch.set_num_threads(1)  # the matrices are too small to share


def choose(figure):
    """A button for each picture of a figure, which shows it alone."""
    names = [one.name for one in figure.data]
    shown = [{"visible": [name == one for one in names]} for name in names]
    figure.update_traces(visible=False).data[0].visible = True
    buttons = [{"label": n, "method": "restyle", "args": [s]} for n, s in zip(names, shown)]
    menu = {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    figure.update_layout(updatemenus=[menu], margin_t=60).show()


# %% [markdown]
# ## Attention
#
# A position $t$ asks a question $q_t$. Every position $c$ offers a key $k_c$ and a value $v_c$. The
# answer is the mean of the values, weighted by how well the keys fit (Vaswani et al. 2017):
#
# $$y_t = \sum_c w_{tc} v_c, \qquad w_{tc} = \operatorname{softmax}_c \frac{q_t \cdot k_c}{\sqrt{d}}$$
#
# A *head* does this with $d$ features; several heads work side by side. A *causal* model writes, so
# that $c \le t$: it must not see what it is to say. Nothing in the formula knows where $c$ is. A
# position must be added, and there are several ways:
#
# - **sinusoidal**: a vector of waves is added to the token (Vaswani et al. 2017);
# - **rotary**: $q_t$ and $k_c$ are turned by angles $t\theta_i$ and $c\theta_i$, so that their
#   product depends on $t - c$ (Su et al. 2021);
# - **alibi**: the score falls by a fixed amount with each step of distance (Press et al. 2022).


# %%
def angles(length, size):
    """[T, size / 2]: position times frequency, from one radian a step to almost none."""
    frequencies = 10_000.0 ** (-torch.arange(0, size, 2).double() / size)
    return torch.arange(length).double()[:, None] * frequencies


def turned(x):
    """Rotary positions: each pair of features (i, i + d / 2) is turned by its position's angle."""
    angle = angles(*x.shape[-2:])
    cosine, sine = angle.cos().to(x), angle.sin().to(x)
    first, second = x.chunk(2, -1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), -1)


class Attention(nn.Module):
    """[B, T, D] -> [B, T, D]. `on` can switch heads off; the last call's weights are kept."""

    def __init__(self, width, heads, positions, causal):
        super().__init__()
        self.heads, self.positions, self.causal = heads, positions, causal
        self.inward = nn.Linear(width, 3 * width, bias=False)
        self.outward = nn.Linear(width, width, bias=False)
        self.on = torch.ones(heads)

    def forward(self, x):
        batch, length, _ = x.shape
        q, k, v = self.inward(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if self.positions == "rotary":
            q, k = turned(q), turned(k)
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        distance = torch.arange(length)[:, None] - torch.arange(length)
        if self.positions == "alibi":
            slopes = 2.0 ** (-8 * torch.arange(1, self.heads + 1) / self.heads)
            scores = scores - slopes.to(x)[:, None, None] * distance
        if self.causal:
            scores = scores.masked_fill(distance < 0, -math.inf)
        self.weights = scores.softmax(-1)
        y = self.on.to(x)[:, None, None] * (self.weights @ v)
        return self.outward(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """x + attention(norm x), then x + mlp(norm x): the norms come first (Xiong et al. 2020)."""

    def __init__(self, width, heads, positions, causal):
        super().__init__()
        self.attention = Attention(width, heads, positions, causal)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x):
        x = x + self.attention(self.norms[0](x))
        return x + self.mlp(self.norms[1](x))


class Transformer(nn.Module):
    """Tokens [B, T] -> logits [B, T, V]. The same vectors read tokens and write them."""

    def __init__(self, vocabulary, width, depth, positions, heads=4, causal=True):
        super().__init__()
        self.positions = positions
        self.tokens = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(Block(width, heads, positions, causal) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens):
        x = self.tokens(tokens)
        if self.positions == "sinusoidal":
            angle = angles(*x.shape[1:])
            waves = torch.stack((angle.sin(), angle.cos()), -1).flatten(1)
            x = x * math.sqrt(x.shape[-1]) + waves.float().to(x)
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.tokens.weight.T


# %% [markdown]
# ## Is it right?
#
# The package's Transformer is built from a name. Its weights have other names and the same order.
# Outputs and every weight's gradient are compared in float64.

# %%
NAMES = {
    "rotary": ("attention", {}),
    "sinusoidal": ("attention_sinusoidal", {}),
    "alibi": ("attention_alibi", {}),
    "none": ("attention", {"positions": "none"}),
}


def pair(positions, vocabulary, seed):
    """The lines above with the weights that the package's model begins with, and that model."""
    name, options = NAMES[positions]
    theirs = sa.build(name, vocab_size=vocabulary, width=32, depth=2, options=options, seed=seed)
    ours = Transformer(vocabulary, 32, 2, positions)
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.parameters(), strict=True)))
    return ours, theirs


tokens = torch.randint(17, (4, 50), generator=torch.Generator().manual_seed(0))
for positions in NAMES:
    ours, theirs = (model.double() for model in pair(positions, 17, seed=0))
    both = ours(tokens), theirs(tokens)[0]
    for logits in both:
        F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).backward()
    apart = [(both[0] - both[1]).abs().max().item()]
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        apart.append((one.grad - other.grad).abs().max().item())
    print(f"{positions:10s} outputs differ by {apart[0]:.0e}, gradients by {max(apart[1:]):.0e}")
    assert max(apart) < 1e-12

# %% [markdown] tags=["prediction"]
# **Predict: order.** Take away the positions. Shuffle all tokens but the last one, and look at the
# answer at the last position. Does it change (a) with one layer that sees everything, (b) with two of
# them, (c) with one causal layer, (d) with two causal layers? The texts say that attention "is
# permutation-invariant".

# %%
for causal, depth in itertools.product((False, True), (1, 2)):
    torch.manual_seed(0)
    model = Transformer(17, 32, depth, "none", causal=causal).double()
    order = torch.cat((torch.randperm(49), torch.tensor([49])))
    with torch.no_grad():
        change = (model(tokens) - model(tokens[:, order]))[:, -1].abs().max()
        moved = (model(tokens)[:, order] - model(tokens[:, order])).abs().max()
    kind = "causal" if causal else "sees all"
    print(f"{kind:8s} {depth} layer(s): the last answer changes by {change:.0e}", end="; ")
    print(f"the answers move with their tokens: {'yes' if moved < 1e-12 else 'no'}")
    assert (change < 1e-12) == (not causal or depth == 1)

# %% [markdown]
# A layer that sees everything is not invariant: its answers move with their tokens
# (*equivariant*). A causal layer is neither. Its mean at position $t$ runs over $t$ tokens, so what
# it writes there depends on how many came before, and on which. The *next* layer can read that.
# A causal Transformer of two layers knows about order without being told (Haviv et al. 2022).
#
# ## What heads do
#
# Two layers learn to look up: somewhere in a row of random letters stands a mark `#`. At the end
# comes `#` again, and the answer is the letter that followed the first one. This is *induction*
# (Olsson et al. 2022). Every row has another length, up to 16.

# %%
LETTERS = "abcdefghijklmnop"


def induction(draw, length, count=32):
    """Tokens [B, length + 1] and answers [B]."""
    tokens = draw.integers(len(LETTERS), size=(count, length + 1))
    place = draw.integers(length - 1, size=count)
    tokens[np.arange(count), place] = tokens[:, -1] = len(LETTERS)
    return torch.tensor(tokens), torch.tensor(tokens[np.arange(count), place + 1])


def last_logits(model, tokens):
    found = model(tokens)
    return (found[0] if isinstance(found, tuple) else found)[:, -1]


def fit(model, task, lengths, steps, rate, seed, enough=0.01):
    """Trains until the running loss is below `enough` and the longest rows are right; at most
    `steps`. Returns the steps."""
    draw, running = np.random.default_rng(seed), math.log(2)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = rate * min(step / 50, 1 - step / steps)
        tokens, answers = task(draw, int(draw.integers(lengths[0], lengths[1] + 1)))
        loss = F.cross_entropy(last_logits(model, tokens), answers)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        running = 0.95 * running + 0.05 * loss.item()
        if running < enough and accuracy(model, task, lengths[1]) > 0.99:
            break
    return step


@torch.no_grad()
def share_right(model, tokens, answers):
    return (last_logits(model, tokens).argmax(-1) == answers).float().mean().item()


def accuracy(model, task, length, count=256):
    return share_right(model, *task(np.random.default_rng(1), length, count))


SEEDS = range(1 if QUICK else 2)
looking = {}
for positions, seed in itertools.product(("rotary", "alibi") if QUICK else NAMES, SEEDS):
    model, _ = pair(positions, len(LETTERS) + 1, seed)
    steps = fit(model, induction, (2, 16), 300 if QUICK else 700, 4e-3, seed)
    looking.setdefault(positions, []).append(model)
    found = accuracy(model, induction, 16)
    print(f"{positions:10s} seed {seed}: {steps} steps, right at length 16: {found:.0%}")

# %% [markdown]
# One row, as the heads of a rotary model see it: whose token (row) looks at whose (column). A map
# shows where a head looks. Whether the model *needs* it is another question: each head is switched
# off in turn.

# %%
model = looking["rotary"][0]
asked, answers = induction(np.random.default_rng(3), 16, 256)
place = (asked[:, :-1] == len(LETTERS)).float().argmax(1) + 1  # where the answer stands
rows = torch.arange(len(asked))
right = share_right(model, asked, answers)
maps = [block.attention.weights for block in model.blocks]
words = [f"{i} {(LETTERS + '#')[token]}" for i, token in enumerate(asked[0].tolist())]
figure = chart("Who looks at whom, by head", "position that is looked at", "position that looks")
without, found = {}, {}
print("weight from        answer to mark   end to answer   right without it")
for layer, head in itertools.product(range(2), range(4)):
    name, w = f"layer {layer + 1}, head {head + 1}", maps[layer][:, head]
    weights = w[0].numpy().round(3)
    figure.add_heatmap(z=weights, x=words, y=words, zmax=1, colorscale="Viridis", name=name)
    model.blocks[layer].attention.on[head] = 0.0
    without[name] = share_right(model, asked, answers)
    model.blocks[layer].attention.on[head] = 1.0
    mark, found[name] = w[rows, place, place - 1].mean(), w[rows, -1, place].mean()
    print(f"{name} {mark:17.2f} {found[name]:15.2f} {without[name]:18.0%}")
figure.update_yaxes(autorange="reversed")
choose(figure)
worst, spare = min(without, key=without.get), sum(one > right - 0.02 for one in without.values())
print(f"{spare} of {len(without)} heads can go, one at a time, at a cost of less than 2 points.")
print(f"{sum(one > 0.5 for one in found.values())} heads look from the end to the answer.")
print(f"With all heads {right:.0%} are right, without {worst} {without[worst]:.0%} are right.")

# %% [markdown]
# The texts say that each head "learns different types of relationships", and also that there is
# redundancy across heads. All share one wish, a small loss, and nothing asks them to differ. Look for
# the division of labour between the *layers*: one tells the letter after a mark that there was a mark,
# the next looks for the letter that knows it. Whether the heads of a language model differ by more
# than chance is measured by `sa.claims(["heads"])`.

# %% [markdown] tags=["prediction"]
# **Predict: length.** All were trained on rows of up to 16. Rank the ways to show positions by how
# often the model is right in rows of 256. The texts say that sinusoids allow the model to
# "generalize to longer sequences than seen during training". Guessing gives 1 of 16.

# %%
lengths = (8, 16, 32, 64) if QUICK else (8, 16, 32, 64, 128, 256)
figure = chart("Looking up, trained on up to 16 tokens", "length, tokens", "share of right answers")
at_last = {}
for positions, models in looking.items():
    found = np.array([[accuracy(model, induction, n, 128) for n in lengths] for model in models])
    at_last[positions] = found[:, -1]
    spread = [f"seeds: {', '.join(f'{one:.2f}' for one in column)}" for column in found.T]
    figure.add_scatter(x=lengths, y=found.mean(0).round(3), name=positions, text=spread)
figure.update_xaxes(type="log", tickvals=lengths).show()
for positions, found in sorted(at_last.items(), key=lambda one: -one[1].mean()):
    print(f"{positions:10s} right at {lengths[-1]}: {', '.join(f'{one:.0%}' for one in found)}")

# %% [markdown] tags=["prediction"]
# **Predict: parity.** Is the number of ones in a row of bits odd? A Transformer and an LSTM learn it
# from all rows of up to 4 bits, and again from all rows of up to 6, until they are right (or 1,500
# steps have passed). Write down for each of the four how often it is right in rows of 8 bits, and of
# 256. Guessing gives a half.


# %%
def parity(draw, length, count=64):
    """Bits, then a 2 that asks; the answer is 1 where the ones are odd in number."""
    bits = draw.integers(2, size=(count, length))
    return ask(bits), torch.tensor(bits.sum(1) % 2)


def ask(bits):
    return F.pad(torch.as_tensor(bits), (0, 1), value=2)


counting = {}
trained_to = (4,) if QUICK else (4, 6)
asked_at = (8, 32) if QUICK else (8, 16, 64, 256)
print(f"{'':26s}steps   right at: trained" + "".join(f"{n:6d}" for n in asked_at))
for longest, name, seed in itertools.product(trained_to, ("Transformer", "LSTM"), SEEDS):
    if name == "LSTM":
        model = sa.build("lstm_plain", vocab_size=3, width=32, depth=1, seed=seed)
    else:
        model, _ = pair("rotary", 3, seed)
    steps = fit(model, parity, (1, longest), 1500, 1e-2 if name == "LSTM" else 2e-3, seed)
    counting[name, longest, seed] = model
    found, *longer = (f"{accuracy(model, parity, n):6.0%}" for n in (longest, *asked_at))
    print(f"{name:11s} up to {longest}, seed {seed} {steps:6d} {found:>19s}{''.join(longer)}")

# %% [markdown]
# What have they learned? Every row of up to 10 bits is asked once. The picture has a cell for each
# length and number of ones: how often the answer is "odd". Parity is stripes: the column decides.

# %%
longest, most = trained_to[-1], 8 if QUICK else 10
boards = {name: np.full((most, most + 1), np.nan) for name in ("Transformer", "LSTM", "right")}
for name, n in itertools.product(boards, range(1, most + 1)):
    bits = torch.tensor(list(itertools.product((0, 1), repeat=n)))
    says = bits.sum(1) % 2
    if name != "right":
        with torch.no_grad():
            says = last_logits(counting[name, longest, 0], ask(bits)).argmax(-1)
    for ones in range(n + 1):
        boards[name][n - 1, ones] = says[bits.sum(1) == ones].double().mean().round(decimals=3)
title = f"How often it says odd, trained on up to {longest} bits"
figure = chart(title, "ones in the row", "bits in the row")
for name, board in boards.items():
    figure.add_heatmap(z=board, y0=1, xgap=1, ygap=1, colorscale="Cividis", name=name)
    wrong = np.nanmax(np.abs(board - boards["right"]), 1) > 0
    if name != "right":
        until = np.argmax(wrong) if wrong.any() else most
        print(f"{name}: right in every row of up to {until} bits")
choose(figure)

# %% [markdown]
# ## Can it not, or does it not learn it?
#
# A Transformer *can*. Here is one by hand, for any length (in the manner of Chiang and Cholak 2022),
# without norms. Position $i = 0, \dots, n$ shows $i/(n+1)$ and whether $i$ is odd. The first layer
# looks everywhere alike, so that its mean is $k/(n+1)$, with $k$ the number of ones. Three units of
# its feed-forward network make $1/(n+1)$ at position $i = k$ if $k$ is odd, three others if it is
# even; else zero. The second layer takes the mean again: how far is "odd" ahead?


# %%
def by_hand(bits):
    """Bits [B, n] -> how far "odd" is ahead of "even" [B]. Two layers, no training."""
    i = torch.arange(bits.shape[1] + 1.0, dtype=torch.float64)
    gap, step = (bits.double().sum(1, keepdim=True) - i) / len(i), 1 / len(i)
    odd, even = (
        (gap + step - 2 * off).relu() - 2 * (gap - 2 * off).relu() + (gap - step - 2 * off).relu()
        for off in ((i + 1) % 2, i % 2)  # where `off` is 1 the units stay silent
    )
    return (odd - even).mean(1)


draw = torch.Generator().manual_seed(0)
for n in range(1, 301):
    bits = torch.randint(2, (32, n), generator=draw)
    wanted = (bits.sum(1) % 2 * 2 - 1).double() / (n + 1) ** 2
    assert (by_hand(bits) - wanted).abs().max() < 1e-12
print(f"right in 32 rows of each length from 1 to {n}; the margin at {n} is {1 / (n + 1) ** 2:.0e}")

# %% [markdown] tags=["conclusion"]
# **Why so?** *Order*: a mean over a set does not know the set's order. What a causal layer knows is how
# large its set is, and the next layer builds on that.
#
# *Length*: waves and angles that training never showed are new inputs, and nothing says what to answer
# to them. A penalty for distance only goes on. But a model without positions has no new input
# either. What it meets is a larger crowd: a score that beats 15 others need not beat 255.
#
# *Parity*: a weight of attention is a share. While scores keep to a range, each of $n$ tokens has a
# share of about $1/n$, and one bit moves the answer by no more than that (Hahn 2020); parity turns on
# every bit. The network by hand lives with it: it is right at every length, by a
# margin of $1/(n+1)^2$. So "cannot" is the wrong word. Such weights exist, and training on short rows did not
# find them. Nor does an LSTM get it for nothing: a state that flips at every one is there to be
# learned, and the table says from which rows it was.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# **1.** Writing token by token, keys and values of the past do not change. Keep them: show that a
# layer that gets one position at a time says the same as the layer that gets all of them.

# %% [markdown] tags=["exercise"]
# **2.** Why $\sqrt{d}$? Draw queries and keys from a standard normal distribution. Show what becomes of
# the variance of the scores and of the largest weight as $d$ grows, with the root and without.

# %% [markdown] tags=["exercise"]
# **3.** The longest of [the texts](texts.md) compares speeds with a Transformer of
# `nn.TransformerEncoder` and gives it no mask. Show that as a language model it sees the token that
# it is to predict, and that one argument mends it.
