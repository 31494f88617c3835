# %% [markdown]
# # Gates, and what a network keeps
#
# **The question.** A plain recurrent network computes its state anew at each step. The LSTM and the GRU
# have *gates*: numbers between 0 and 1 that say how much of a memory is kept and how much is written.
# The texts say that this cures fading gradients. Does it, and is it the gates that do?
#
# Below both are built from their equations, and equal torch's and ours. Then we follow the gradient
# through a memory, and train: how far does each remember, and what does training do to the gates?

# %%
import math
import os

import numpy as np
import torch

import seqarena as sa
from seqarena.core.results.estimates import decay, half_life
from seqarena.measure.flow.gradient import gradient_flow_series
from shared import BELOW, chart

QUICK = "SEQARENA_QUICK" in os.environ  # the tests run this lesson in seconds
torch.set_num_threads(1)  # small products gain nothing by more
_ = torch.set_flush_denormal(True)  # as every training of the package does


# %% [markdown]
# ## The LSTM
#
# Hochreiter and Schmidhuber (1997) add a memory $c_t$ beside the state; Gers et al. (2000) add the
# forget gate $f_t$. All four parts read the input and the last state:
#
# $$i_t, f_t, o_t = \sigma(W x_t + U h_{t-1} + b), \qquad g_t = \tanh(W x_t + U h_{t-1} + b)$$
#
# $$c_t = f_t \odot c_{t-1} + i_t \odot g_t, \qquad h_t = o_t \odot \tanh c_t$$
#
# Each of the four has its own rows of $W$, $U$ and $b$. Here they are, in ten lines.


# %%
def lstm(x, w, u, b):
    """Inputs [T, B, D] -> states, memories, forget gates and input gates, each [T, B, H]."""
    h = c = torch.zeros(x.shape[1], u.shape[1], dtype=x.dtype)
    found = []
    for now in x:
        i, f, g, o = (now @ w.T + h @ u.T + b).chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        found.append(torch.stack([h, c, f.sigmoid(), i.sigmoid()]))
    return torch.stack(found, 1)


def largest(one, other):
    return float((one - other).abs().max())


H = 16
torch.manual_seed(0)
x = torch.randn(30, 4, H, dtype=torch.float64)
theirs = torch.nn.LSTM(H, H).double()  # it has two biases, which are added
package = sa.build("lstm", vocab_size=2, width=H, depth=1).double().stack.blocks[0].mixer
w, u, b, more = (p.detach() for p in theirs.parameters())
with torch.no_grad():
    for mine, value in zip(
        (package.input_FD, package.recurrent_FE, package.bias_F), (w, u, b + more)
    ):
        mine.copy_(value)
    h, *_ = lstm(x, w, u, b + more)
    apart = largest(h, theirs(x)[0]), largest(h, package(x.transpose(0, 1))[0].transpose(0, 1))
print(
    f"our states differ from torch's by at most {apart[0]:.0e}, from the package's by {apart[1]:.0e}"
)
assert max(apart) < 1e-14

# %% [markdown]
# ## Two networks called GRU
#
# Cho et al. (2014) make do with one state and two gates. A *reset* gate $r$ hides the old state from
# the candidate $n$, and an *update* gate $z$ mixes. The longest of [the texts](texts.md) gives
#
# $$n_t = \tanh(W x_t + U (r_t \odot h_{t-1})), \qquad h_t = (1 - z_t) \odot h_{t-1} + z_t \odot n_t$$
#
# while torch computes $n_t = \tanh(W x_t + r_t \odot (U h_{t-1}))$ and lets $z_t$ *keep* instead of
# write. The second is only a name. Is the first?


# %%
def gru(x, w, u, b, inner, reset):
    """Inputs [T, B, D] -> states [T, B, H]; `inner` is a bias of U h, inside the reset."""
    (w, wn), (u, un), (b, bn) = ((m[: 2 * H], m[2 * H :]) for m in (w, u, b))
    h, found = torch.zeros(x.shape[1], H, dtype=x.dtype), []
    for now in x:
        r, z = (now @ w.T + h @ u.T + b).sigmoid().chunk(2, -1)
        past = r * (h @ un.T + inner) if reset == "after" else (r * h) @ un.T
        h = (1 - z) * (now @ wn.T + past + bn).tanh() + z * h
        found.append(h)
    return torch.stack(found)


theirs = torch.nn.GRU(H, H).double()
w, u, b, more = (p.detach() for p in theirs.parameters())
b, inner = b + torch.cat([more[: 2 * H], 0 * more[2 * H :]]), more[2 * H :]
with torch.no_grad():
    after, before = (gru(x, w, u, b, inner, reset) for reset in ("after", "before"))
    print(f"reset after the product: {largest(after, theirs(x)[0]):.0e} from torch's")
    for reset, mine in {"after": after, "before": before}.items():
        options = {"reset": reset}
        package = sa.build("gru", vocab_size=2, width=H, depth=1, options=options).double()
        package = package.stack.blocks[0].mixer
        package.input_FD.copy_(w)
        package.recurrent_FE.copy_(u)
        package.bias_F.copy_(b)
        if reset == "after":
            package.inner_bias_E.copy_(inner)
        apart = largest(mine, package(x.transpose(0, 1))[0].transpose(0, 1))
        print(f"reset {reset} the product: {apart:.0e} from the package's")
        assert apart < 1e-14
    print(f"before and after, with the same weights: {largest(after, before):.2f} apart")

# %% [markdown] tags=["prediction"]
# **Predict.** "... the cell state passes through the network via addition, not repeated multiplication",
# says a text. But $c_t = f_t \odot c_{t-1} + \ldots$, so that $k$ steps multiply by $k$ forget gates. A
# new network's gates lie near $\sigma(b)$, with $b$ the bias of the forget gate. After how many steps
# has half of the gradient gone, for $b = 0$, 1 and 3? And how many of these steps are owed to gates
# that *read*: what is left if every gate is held at its bias, whatever the input?

# %%
LENGTH, SEEDS = 64, 2 if QUICK else 5
COLOURS = {0.0: "#0072b2", 1.0: "#d55e00", 3.0: "#00875f", 5.0: "#b3548b"}  # of each bias
figure = chart(
    "Gradient of an LSTM's whole state, k steps back", "steps back", "size", legend=BELOW
)
figure.update_yaxes(type="log", exponentformat="power")
print("steps to one half:  sigma(b)^k   gates that read   gates that are held")
apart = 0.0
for bias, colour in COLOURS.items():
    lives = []
    for held in (False, True):
        (series,) = gradient_flow_series(
            "lstm", length=LENGTH, width=32, seeds=SEEDS, of="state",
            options={"forget_bias": bias}, held_gates=held,
        )  # fmt: skip
        lives.append(half_life(decay(series).value))
        mean = [math.exp(np.mean(np.log(point.repeats))) for point in series.points]
        line = {"color": colour, "dash": "dot" if held else "solid"}
        figure.add_scatter(y=mean, name=f"{bias:g}, held" if held else f"bias {bias:g}", line=line)
    if max(lives) < math.inf:
        apart = max(apart, abs(lives[0] / lives[1] - 1))
    half = math.log(2) / -math.log(1 / (1 + math.exp(-bias)))
    read, held = (f"{life:.1f}" if life < math.inf else "never" for life in lives)
    print(f"   bias {bias:g} {half:18.1f} {read:>17s} {held:>21s}")
print(f"where it halves at all, holding the gates changes the half-life by at most {apart:.0%}")
figure.show()

# %% [markdown] tags=["conclusion"]
# **Why so?** The memory's own path is the product of its forget gates, a multiplication like any
# other. What is measured is longer than $\sigma(b)^k$, since a memory acts on the next one by a second
# way too: through $h$, and what is written next. With the gates wide open, that adds up to more than is
# lost. And at the start the gates hardly read: their weights are small, and each gate stays near its
# bias. What a new LSTM remembers is owed to a constant, which Gers et al. (2000) and Jozefowicz et al.
# (2015) recommend to set, and which `torch.nn.LSTM` leaves near zero.

# %% [markdown]
# ## How far do they remember?
#
# The first symbol, one of four, is to be said at the end. Between lies nothing, or symbols at random.
# That is as easy as a memory can be asked. *Chrono* is a start that knows the distance $T$: forget
# biases $\log u$, $u$ between 1 and $T - 1$, and input biases of minus that (Tallec and Ollivier 2018).


# %%
WIDTH, KINDS, ROWS = 32, 4, 32
STEPS, NETWORKS = (120, 2) if QUICK else (300, 3)
CELLS = {"plain": torch.nn.RNN, "LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}


def begin(kind, distance, seed):
    """A network of one kind, such as "LSTM, bias 5"."""
    torch.manual_seed(seed)
    cell, _, how = kind.partition(", ")
    network = CELLS[cell](2 * KINDS + 1, WIDTH)
    second = slice(WIDTH, 2 * WIDTH)  # rows of the gate that keeps: the LSTM's f, the GRU's z
    with torch.no_grad():
        if how == "rotation":
            torch.nn.init.orthogonal_(network.weight_hh_l0)
        elif how == "chrono":
            biases = torch.empty(WIDTH).uniform_(1, distance - 1).log()
            network.bias_ih_l0[: 2 * WIDTH] = torch.cat([-biases, biases])
            network.bias_hh_l0[: 2 * WIDTH] = 0
        elif how:
            network.bias_ih_l0[second] = float(how.removeprefix("bias "))
            network.bias_hh_l0[second] = 0
    return network, torch.nn.Linear(WIDTH, KINDS)


def sequences(distance, noise, generator):
    """First symbols [ROWS], and what is read [1 + distance, ROWS, 2 KINDS + 1]."""
    first = torch.randint(KINDS, (1, ROWS), generator=generator)
    rest = torch.randint(KINDS, (distance, ROWS), generator=generator) + KINDS
    read = torch.cat([first, rest if noise else torch.full_like(rest, 2 * KINDS)])
    return first[0], torch.nn.functional.one_hot(read, 2 * KINDS + 1).float()


def train(kind, distance, seed, noise=False, rate=3e-3):
    """The network, and after how many steps it was right in 20 batches on end; nan: in none."""
    network, out = begin(kind, distance, seed)
    generator = torch.Generator().manual_seed(1000 + seed)
    weights = [*network.parameters(), *out.parameters()]
    optimizer, right = torch.optim.Adam(weights, rate), 0
    for step in range(STEPS):
        first, read = sequences(distance, noise, generator)
        y = out(network(read)[0][-1])
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(y, first).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        right = right + 1 if torch.equal(y.argmax(1), first) else 0
        if right == 20:
            return network, step + 1
    return network, math.nan


# %% [markdown] tags=["prediction"]
# **Predict.** "Vanilla RNNs struggle to learn dependencies beyond roughly 10–20 timesteps"; LSTMs
# learn them "across 100 or even 1,000", says one text, and "struggle with dependencies longer than
# 100-200", says another. We give each network the same 300 steps of training, and nothing between.
# Which are right after 20, 50, 100 steps: the plain network as torch begins it; the plain one from a
# rotation; LSTMs with bias 0, 1, 5 and chrono; a GRU as it begins, and with bias 3? Write down an order.

# %%
DISTANCES = (20,) if QUICK else (20, 50, 100)
LSTMS = ("LSTM, bias 0", "LSTM, bias 1", "LSTM, bias 5", "LSTM, chrono")
NOTHING = ("plain", "plain, rotation", *LSTMS, "GRU", "GRU, bias 3")
NOISE = ("plain, rotation", "LSTM, bias 1", "LSTM, bias 5")
taken, trained = {}, {}
for noise, kinds in ((False, NOTHING), (True, NOISE)):
    for kind in kinds:
        for distance in DISTANCES:
            runs = [train(kind, distance, seed, noise) for seed in range(NETWORKS)]
            taken[kind, noise, distance] = [steps for _, steps in runs]
            trained[kind, noise, distance] = [network for network, _ in runs]
            if all(math.isnan(steps) for _, steps in runs):
                break  # what is farther is harder


def learned(kind, noise, distance):
    """How many of the networks; None where none was tried, since none had learned less."""
    steps = taken.get((kind, noise, distance))
    return None if steps is None else sum(not math.isnan(each) for each in steps)


rows = [(kind, False) for kind in NOTHING] + [(kind, True) for kind in NOISE]
counts = [[learned(*row, distance) for distance in DISTANCES] for row in rows]
names = [f"{kind}{', noise' if noise else ''}" for kind, noise in rows]
title = f"Networks, of {NETWORKS}, that learned to remember so far (blank: not tried)"
figure = chart(title, "distance", "network", legend=BELOW).update_layout(height=460)
figure.update_yaxes(autorange="reversed")
figure.add_heatmap(
    x=[f"{distance} steps" for distance in DISTANCES], y=names, z=counts, texttemplate="%{z}",
    colorscale="Blues", zmin=0, zmax=NETWORKS, showscale=False, xgap=2, ygap=2,
    hovertemplate="%{y}: %{z} networks over %{x}<extra></extra>",
)  # fmt: skip
figure.show()

# %%
print(f"steps of training until right in 20 batches on end, of {STEPS} (-: not within them)")
for name, row in zip(names, rows):
    cells = []
    for distance in DISTANCES:
        steps = taken.get((*row, distance))
        each = ["-" if math.isnan(n) else f"{n}" for n in steps] if steps else ["not tried"]
        cells.append(f"{distance}: {' '.join(each):15s}")
    print(f"{name:24s}", *cells)


# %%
def reach(kind, noise=False):
    """The farthest distance that most of the networks learned; 0 where none was."""
    return max((d for d in DISTANCES if 2 * (learned(kind, noise, d) or 0) > NETWORKS), default=0)


far = {row: reach(*row) for row in rows}
words = {row: f"{n} steps" if n else f"under {DISTANCES[0]}" for row, n in far.items()}
for one, other in (
    (("LSTM, bias 0", False), ("plain", False)),  # a pair in which a text expects the first to win
    (("LSTM, bias 1", False), ("plain, rotation", False)),
    (("GRU", False), ("GRU, bias 3", False)),
    (("LSTM, bias 1", False), ("LSTM, bias 5", False)),
    (("LSTM, bias 5", True), ("plain, rotation", True)),
    (("LSTM, bias 5", False), ("LSTM, bias 5", True)),
):
    says = ("as far as", "farther than", "less far than")[np.sign(far[one] - far[other])]
    name, rival = (f"{kind}{', noise' if noise else ''}" for kind, noise in (one, other))
    print(f"{name} ({words[one]}) remembers {says} {rival} ({words[other]})")

# %% [markdown]
# All had one learning rate, 0.003. It may favour one of them: here is another, over the shortest
# distance. (An honest comparison tunes each alike, as `seqarena compare` does: lesson 10.)

# %%
for kind in ("plain", "LSTM, bias 0", "LSTM, bias 1"):
    steps = [train(kind, DISTANCES[0], seed, rate=0.01)[1] for seed in range(NETWORKS)]
    count = sum(not math.isnan(each) for each in steps)
    print(f"{kind:14s} rate 0.003: {learned(kind, False, DISTANCES[0])} of {NETWORKS}, "
          f"rate 0.01: {count} of {NETWORKS}")  # fmt: skip

# %% [markdown] tags=["conclusion"]
# **Why so?** The task is a memory of two bits. It asks that something of the first step be left at the
# last, and that a gradient come back along it. Where the forget gates lie near one half, $2^{-20}$ is
# left after 20 steps: there is nothing that training could get hold of. A rotation keeps all of it, as
# long as tanh is nearly straight and nothing else comes in. Gates near one keep it, whatever comes in
# between. None of these numbers is a limit of an architecture. They say what so many steps of training
# find, from where a network begins. A GRU's gate $z$ is a forget gate too, and takes the same cure.

# %% [markdown]
# ## What training does to the gates
#
# "The forget gate decides what to erase. The input gate decides what to write", say the texts. Do the
# trained ones decide? We run them on new sequences with our own equations. A unit whose forget gate
# is $\bar f$ in the mean over the steps between keeps a memory for $-1 / \log \bar f$ steps.

# %%
cases = [("LSTM, bias 5", True, 20 if QUICK else 50), ("LSTM, chrono", False, 20 if QUICK else 100)]
title = "How long each unit keeps its memory, as begun and as trained"
figure = chart(title, "units, by rank", "steps until 1/e is left", legend=BELOW)
figure.update_yaxes(type="log")
for kind, noise, distance in cases:
    _, read = sequences(distance, noise, torch.Generator().manual_seed(7))
    for when in ("begun", "trained"):
        network = (
            begin(kind, distance, 0)[0] if when == "begun" else trained[kind, noise, distance][0]
        )
        w, u, b, more = (p.detach() for p in network.parameters())
        _, _, f, i = lstm(read, w, u, b + more)
        kept = -1 / f[1:].mean((0, 1)).log()
        figure.add_scatter(
            y=kept.sort().values, name=f"{kind}, {when}", mode="lines+markers",
            line={"dash": "dot" if when == "begun" else "solid"},
        )  # fmt: skip
        first, later, units = i[0].mean(), i[1:].mean(), f[1:].mean((0, 1)).std()
        print(f"{kind}, {distance} steps, {when}:\n   input gate {first:.2f} at the first symbol, {later:.2f} "
              f"later; forget gate {f.mean():.3f},\n   with a deviation of {units:.4f} from unit to unit "
              f"and of {f[1:].std((0, 1)).mean():.4f} from step to step")  # fmt: skip
    if abs(first - later) < 0.1:
        print("   its input gate does not tell the first symbol from the others")
figure.show()

# %% [markdown]
# That is a small task, and on language a gate has more to tell apart. Still, a part of what gates do
# needs no gates that read: only units that forget at different speeds. Networks whose gates do not see
# the state (*minimal* ones: `mingru`, `minlstm`), and those in which a unit's forgetting is a constant
# (`s4d`, `lru`), are built on that. Lesson 8 comes back to them.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# **1.** Which forget bias leaves half of a memory after $n$ steps? Derive it, and check it at
# 1, 10 and 1000 steps. Why is `forget_bias=1` a compromise?

# %% [markdown] tags=["exercise"]
# **2.** Chrono draws $b = \log u$ with $u$ between 1 and $T - 1$. Show that a unit then forgets
# a share $1 / (1 + u)$ a step: the lengths of the memories are spread evenly up to $T$.

# %% [markdown] tags=["exercise"]
# **3.** "Even LSTMs struggle with dependencies longer than 100-200 time steps", says a text. Set the
# weights of a `torch.nn.LSTM` by hand so that it repeats its first symbol after 10,000 symbols of
# noise.
