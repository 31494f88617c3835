# %% [markdown]
# # How far back a convolution sees
#
# **The question.** A convolution looks at a few positions at a fixed distance, everywhere at once:
# nothing waits for the step before. The texts say that "to connect distant tokens, CNNs need many
# layers". How many? Does a stack see all that is within its reach? And does it use what it sees?
#
# Below is WaveNet (van den Oord et al. 2016) by hand, equal to the package's. Then we measure its
# sight, ask it for bits of long ago, and look at ByteNet, which translates so.

# %%
import itertools
import os

import torch
import torch.nn.functional as F

import seqarena as sa
from seqarena.core.batch import Batch
from shared import chart

QUICK = "SEQARENA_QUICK" in os.environ  # the tests run this lesson in seconds
torch.set_num_threads(1)  # the matrices are too small to share


# %% [markdown]
# ## One layer, and WaveNet
#
# A *causal* convolution of $K$ taps with a *gap* (a dilation) of $g$ positions is
#
# $$c_t = b + \sum_{k=0}^{K-1} W_k\, x_{t - k g}$$
#
# with zeros before the start. WaveNet has two of them in a layer, one of which opens and closes the
# other. What comes out goes to two places: on to the next layer, and straight to the answer.
#
# $$z = \tanh(W^f * x) \odot \sigma(W^g * x), \qquad x \leftarrow x + R z, \qquad s \leftarrow s + S z$$


# %%
def convolved(x, weight, bias, gap):
    """x [T, D], weight [F, K, D], its oldest tap first -> [T, F]: a sum of shifted products."""
    y, taps = bias.repeat(len(x), 1), weight.shape[1]
    for k in range(taps):
        back = (taps - 1 - k) * gap
        y[back:] += x[: len(x) - back] @ weight[:, k].T
    return y


def wavenet(w, tokens, gaps, kernel=2):
    """Tokens [T] -> logits [T, V], with the weights `w` of the package's model."""

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def taps(name):
        return w[f"{name}.weight"].unflatten(1, (kernel, -1)), w[f"{name}.bias"]

    x, skips = w["tokens.weight"][tokens], 0.0
    x = convolved(x, *taps("first"), 1)
    for number, gap in enumerate(gaps):
        found, gate = convolved(x, *taps(f"layers.{number}.gates"), gap).chunk(2, -1)
        z = found.tanh() * gate.sigmoid()
        skips = skips + linear(z, f"layers.{number}.skip")
        if number < len(gaps) - 1:  # nothing reads what the last layer would hand on
            x = x + linear(z, f"layers.{number}.residual")
    return linear(linear(skips.relu(), "narrow").relu(), "output")


def built(**options):
    return sa.build("wavenet", vocab_size=16, width=16, options=options, seed=0).double()


GAPS = (1, 2, 4, 8)
draw = torch.Generator().manual_seed(0)
model = built(layers_per_cycle=len(GAPS))
tokens = torch.randint(16, (60,), generator=draw)
with torch.no_grad():
    ours, theirs = wavenet(model.state_dict(), tokens, GAPS), model(tokens[None])[0][0]
    x, weight = (torch.randn(size, generator=draw).double() for size in ((60, 5), (7, 3, 5)))
    torchs = F.conv1d(F.pad(x.T, (8, 0)), weight.mT, dilation=4).T
    own = convolved(x, weight, torch.zeros(7).double(), 4)
apart = (ours - theirs).abs().max(), (own - torchs).abs().max()
print(
    f"WaveNet by hand and the package's differ by {apart[0]:.0e}, one layer and torch's by {apart[1]:.0e}"
)
assert max(apart) < 1e-12

# %% [markdown] tags=["prediction"]
# **Predict: depth.** With two taps and no gaps, a layer sees one position farther than the one
# below it. With gaps that double, 1, 2, 4, 8, ..., the last layer sees as far as all before it together.
# How many layers does each need to see 1,000 positions back? With 32 features, how many
# parameters is that?

# %% [markdown]
# Each layer adds $(K-1)g$ positions. Without gaps $L$ layers reach $L$ back, with gaps that double it is
# the sum $1 + 2 + 4 + \dots = 2^L - 1$; WaveNet's first convolution adds one. We do not trust the formula: every
# token of the past is changed in turn, and the last answer either changes or not.


# %%
def sight(model, length):
    """The distances at which a token of the past changes the last answer."""
    same = torch.randint(16, (length + 1,), generator=draw).repeat(length + 1, 1)
    other = same.clone()
    there = torch.arange(length + 1)
    other[there, length - there] = (other[there, length - there] + 1) % 16
    with torch.no_grad():
        change = (model(other)[0] - model(same)[0])[:, -1].abs().amax(-1)
    return (change > 1e-14).nonzero().flatten().tolist()


depths = range(1, 7 if QUICK else 9)
reach = {"gaps double": [], "no gaps": []}
for depth in depths:
    doubling = built(layers_per_cycle=depth)
    reach["gaps double"].append(max(sight(doubling, 2**depth + 4)))
    reach["no gaps"].append(max(sight(built(layers_per_cycle=1, cycles=depth), depth + 4)))
    assert reach["gaps double"][-1] == doubling.reach() == 1 + 2**depth - 1
    assert reach["no gaps"][-1] == 1 + depth  # the first convolution of all adds one to both
figure = chart("Reach by depth, found by changing tokens", "layers", "positions back")
figure.update_yaxes(type="log", tickvals=[2**k for k in range(10)])
for name, found in reach.items():
    figure.add_scatter(x=list(depths), y=found, name=name)
figure.show()
for name, layers in (("gaps double", 10), ("no gaps", 999)):
    options = {"layers_per_cycle": 10} if layers == 10 else {"layers_per_cycle": 1, "cycles": 999}
    big = sa.build("wavenet", vocab_size=256, width=32, options=options)
    size = sum(p.numel() for p in big.parameters())
    print(f"{name}: {layers} layers see {big.reach():,.0f} positions back", end="; ")
    print(f"{size:,} parameters,\n    and writing keeps {big.state_bytes(1):,} bytes")

# %% [markdown]
# "More layers, bigger models" is true without gaps. With gaps the layers grow as the *logarithm* of
# the distance. The price stands elsewhere: whoever writes must keep every input that some layer still
# has to see. That memory grows with the reach itself, by either way.
#
# Here are the paths from the past to the last answer. Move the slider.

# %%
figure = chart("What the last answer sees, two taps, gaps that double", "positions back", "layer")
figure.update_xaxes(autorange="reversed", zeroline=False).update_yaxes(dtick=1, zeroline=False)
for depth in range(1, 6):
    x, y, seen = [], [], [0]
    for layer in reversed(range(depth)):
        for back, tap in itertools.product(seen, (0, 2**layer)):
            x += [back, back + tap, None]
            y += [layer + 1, layer, None]
        seen = sorted({back + tap for back in seen for tap in (0, 2**layer)})
    figure.add_scatter(
        x=x, y=y, mode="lines+markers", marker_size=5, visible=depth == 3, showlegend=False
    )
steps = [
    {"label": str(n), "method": "restyle", "args": [{"visible": [n == m for m in range(1, 6)]}]}
    for n in range(1, 6)
]
slider = {"steps": steps, "active": 2, "currentvalue": {"prefix": "layers: "}, "pad": {"t": 50}}
figure.update_layout(sliders=[slider], margin_b=100).show()

# %% [markdown] tags=["prediction"]
# **Predict: holes.** A stack has three taps a layer, and gaps of 1, 4, 16 and 64. Its reach is 170. Does
# its answer depend on the token 3 positions back? Of the 171 distances from 0 to 170, how many does it
# see?


# %%
def distances(taps, gaps):
    """Every sum of one tap of each layer: what a stack can see, by the formula."""
    return sorted({sum(one) for one in itertools.product(*(range(0, taps * g, g) for g in gaps))})


def with_gaps(model, gaps):
    """The package's `conv` with other gaps than its own."""
    for block, gap in zip(model.stack.blocks, gaps):
        block.mixer.dilation, block.mixer.history = gap, 2 * gap
    return model


own = sa.build("conv", vocab_size=16, width=16, depth=4, seed=0).double()
assert sight(own, 180) == distances(3, (1, 3, 9, 27)) == list(range(81))  # no holes
conv = with_gaps(own, (1, 4, 16, 64))
seen = sight(conv, 180)
print(
    f"the stack reaches {max(seen)} and sees {len(seen)} of {max(seen) + 1} distances: {seen[:7]} ..."
)
print(f"3 positions back: {'seen' if 3 in seen else 'not seen'}")
assert seen == distances(3, (1, 4, 16, 64))
assert conv.reach() == max(seen)
assert sight(built(layers_per_cycle=4), 20) == distances(2, (1, *GAPS))  # WaveNet: no holes

# %% [markdown]
# Three taps make the digits 0, 1 and 2. With gaps that are powers of *four*, the distances are the numbers
# that have no digit 3 in base four. Powers of two or three leave no hole. The package's own `conv` had
# these gaps, for their reach, until this lesson was written and found the holes. With 1, 3, 9 and 27
# it reaches half as far and predicts text better (the lab log has by how much).
#
# ## What is seen, and what is used
#
# Now they learn. The inputs are random bits. At each position the model is asked for all of the
# last 24 bits at once. What it cannot see it can only guess, and guessing is right half of the time.

# %%
BACK = 24


def echo(name, options, depth, steps, seed=0):
    """The share of right answers by distance, after `steps` of training."""
    problem = sa.Problem(vocab_size=2, num_outputs=2 * BACK, max_length=96)
    model = sa.build(name, problem=problem, width=32, depth=depth, options=options, seed=seed)
    if name == "conv":
        with_gaps(model, (1, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    draw = torch.Generator().manual_seed(seed)
    for step in range(steps + 1):
        bits = torch.randint(2, (16 if step < steps else 128, 96), generator=draw)
        logits = model(bits)[0][:, BACK:].unflatten(-1, (BACK, 2))
        wanted = bits.unfold(1, BACK, 1)[:, 1:].flip(-1)  # the last one first
        loss = F.cross_entropy(logits.flatten(0, 2), wanted.flatten())
        if step < steps:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return (logits.argmax(-1) == wanted).double().mean((0, 1)).numpy().round(3)


asked = {
    "WaveNet, reach 16": ("wavenet", {"layers_per_cycle": len(GAPS)}, 1, 400),
    "the same, 3 times as long": ("wavenet", {"layers_per_cycle": len(GAPS)}, 1, 1200),
    "conv, gaps 1 and 4": ("conv", {}, 2, 400),
    "LSTM": ("lstm", {}, 1, 400),
}
figure = chart("The last 24 bits, asked all at once", "positions back", "share of right answers")
for name, (architecture, options, depth, steps) in asked.items():
    right = echo(architecture, options, depth, steps // 8 if QUICK else steps)
    figure.add_scatter(y=right, name=name, mode="lines+markers")
    known, sees = (
        (right > 0.9).nonzero()[0].tolist(),
        {"conv": (3, (1, 4)), "wavenet": (2, (1, *GAPS))},
    )
    seen = set(distances(*sees[architecture]) if architecture in sees else range(BACK))
    print(
        f"{name:25s} sees {len(seen)} of {BACK}, knows {len(known)} (more than 90 % right)", end=";"
    )
    print(
        f" not seen and known: {len(set(known) - seen)},\n    seen and not known: {sorted(seen - set(known))}"
    )
figure.show()

# %% [markdown]
# ## ByteNet: one translation on top of another
#
# ByteNet (Kalchbrenner et al. 2016) reads the source with centred convolutions and writes the target
# with causal ones, which stand *on top*: target position $t$ gets the source's column $t$. No
# attention looks for the right place. So which source words can a target word depend on? Here
# with three taps and gaps of 1, 2 and 4 on both sides: each source word is changed in turn.

# %%
LONG = 40
problem = sa.Problem(
    form="pairs", vocab_size=16, source_vocab_size=16, num_outputs=16, max_length=LONG
)
bytenet = sa.build(
    "bytenet", problem=problem, width=16, options={"largest_dilation": 4}, seed=0
).double()
source = torch.randint(16, (1, LONG), generator=draw).repeat(LONG, 1)
target = torch.randint(16, (1, LONG), generator=draw).repeat(LONG, 1)
other = source + torch.eye(LONG, dtype=torch.long)
with torch.no_grad():
    same, changed = (
        bytenet.answer(Batch(target, target, source_BS=words % 16)) for words in (source, other)
    )
sees = (changed - same).abs().amax(-1).T > 1e-12  # [target, source]
figure = chart("ByteNet: the source that a target word sees", "source position", "target position")
figure.update_yaxes(autorange="reversed")
figure.add_heatmap(z=sees.int().numpy(), colorscale="Cividis", showscale=False)
figure.show()
ahead = [
    int(row.nonzero().max()) - t for t, row in enumerate(sees) if row.nonzero().max() < LONG - 1
]
behind = [t - int(row.nonzero().min()) for t, row in enumerate(sees)]
print(
    f"a target word sees {max(ahead)} source words ahead of its place and {max(behind)} behind it"
)
assert (set(ahead), max(behind)) == ({1 + 2 + 4}, 3 * (1 + 2 + 4))

# %% [markdown]
# The picture is a band. Both lengths cost time in proportion, and no word can move out of the
# band. A target that begins with the last word of a long source needs another network: that
# is what attention is for ([lesson 4](04_attention.md)). ByteNet's answer was depth: six sets of five
# gaps on each side.
#
# ## Does reach help?

# %% [markdown] tags=["prediction"]
# **Predict: text.** Three WaveNets of 30,000 parameters read the same text, for the same short time: one
# reaches 4 bytes back, one 16, one 64. At equal size more layers are narrower ones. Rank
# them by bits per byte on new text. Will the difference be larger than that between two seeds?

# %%
layers = (2, 4) if QUICK else (2, 4, 6)
size = {"params": "30k", "tokens": "10k" if QUICK else "100k", "seeds": 1 if QUICK else 2}
fast = {"rates": (5e-3,), "widen": 0, "repeats": 0, "measure": False, "verbose": False}
names = [f"wavenet+layers_per_cycle={n}" for n in layers]
run = sa.compare(models=names, name="lesson-5", **size, **fast)
for row in run.rows:
    number = int(row.architecture.rpartition("=")[2])
    values = ", ".join(f"{one:.2f}" for one in row.seed_values)
    print(f"reach {2**number:3d}: {row.mean:.2f} bits per byte (seeds: {values})")
for baseline in run.ranking.baselines:
    print(f"{baseline.name}: {baseline.value:.2f}")
means = [row.mean for row in run.rows]
seeds = max(max(row.seed_values) - min(row.seed_values) for row in run.rows)
print(f"between the reaches lie {max(means) - min(means):.2f}, between two seeds up to {seeds:.2f}")

# %% [markdown] tags=["conclusion"]
# **Why so?** The reach of a stack is a sum of gaps, and gaps may double: in layers, distance costs its
# logarithm. But reach is a bound and no gift. Below it there may be holes, which no training fills.
# Inside it, the farther a distance, the fewer its paths: the last one of all has a single path, through
# every layer's gate and past no residual, so that it takes longest to learn (the two WaveNets).
# Beyond it nothing is known, however long one trains. A recurrent network has no such edge; it
# has to carry every bit from step to step, and must learn to. On text a longer reach is paid for: at
# equal size with width, at equal time with steps. The last lines say whether it paid back here. Counts of
# short pieces of text, the n-gram, tell how much the nearest letters hold.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# **1.** How many *paths* lead from each distance to the answer, with two taps and without residuals?
# Show: with gaps that double there is one for each distance, and without gaps they pile up in
# the middle (as a bell: Luo et al. 2016 call it the effective receptive field).

# %% [markdown] tags=["exercise"]
# **2.** Writing, a naive loop computes the whole reach again for each new sample. Keep a queue of the
# inputs of each layer instead (Le Paine et al. 2016). Show that both say the same, and how often each
# multiplies.

# %% [markdown] tags=["exercise"]
# **3.** Which gaps give three taps the longest reach *without holes*? Show that powers of three do, and
# which distances powers of four leave out.
