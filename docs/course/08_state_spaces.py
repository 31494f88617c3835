# %% [markdown]
# # Recurrence comes back
#
# **The question.** One of [the texts](texts.md) adds the numbers 2, 5, 3, 7 and says: "You cannot skip
# to step 4 without completing steps 1-3 first." Of recurrent networks it says that the dependency
# "cannot be eliminated". Is that true of this sum? And of which recurrences is it true?
#
# Below are four of them, each freer than the one before: the decay is fixed (S4D), it is chosen by
# what is read (Mamba), the state is a matrix (the delta rule), the step is nonlinear (a tanh).

# %%
import os
from functools import partial

import numpy as np
import torch

import seqarena as sa
from seqarena.ops.diagonal import linear_recurrence
from seqarena.ops.matrix_recurrence import matrix_recurrence
from seqarena.ops.recurrent.newton import recorded_solves
from seqarena.ops.selective_scan import selective_scan
from seqarena.ops.state_space import diagonal_ssm, zero_order_hold
from shared import chart, milliseconds

QUICK = "SEQARENA_QUICK" in os.environ  # the tests run this lesson in seconds
torch.set_num_threads(1)  # times below are of one core
draw = np.random.default_rng(0)


def slide(figure, labels, prefix):
    """A slider that shows the curves of one label at a time; each has as many."""
    each, steps = len(figure.data) // len(labels), []
    for place, label in enumerate(labels):
        shown = [index // each == place for index in range(len(figure.data))]
        steps.append({"label": str(label), "method": "restyle", "args": [{"visible": shown}]})
    for index, curve in enumerate(figure.data):
        curve.visible = index < each
    now = {"prefix": prefix}
    figure.update_layout(sliders=[{"steps": steps, "currentvalue": now, "pad": {"t": 48}}])


# %% [markdown]
# ## The scan
#
# One step of $h_t = a_t h_{t-1} + b_t$ is a map from a state to the next. Two steps are a map of the
# same kind, and it does not matter which two neighbours are joined first:
#
# $$a_2 (a_1 h + b_1) + b_2 = (a_2 a_1)\, h + (a_2 b_1 + b_2)$$
#
# In the first round each position takes in its neighbour. In the second it takes in what is two
# before, which has taken in its own neighbour; then four, then eight (Hillis and Steele 1986; Blelloch
# 1990). A running sum is the case $a = 1$.


# %%
def scan(a, b):
    """Every state of h_t = a_t h_(t-1) + b_t, h_0 = 0, after each round: [rounds + 1, T]."""
    a, b, reach, rounds = a.copy(), b.copy(), 1, [b.copy()]
    while reach < len(b):
        b[reach:] = a[reach:] * b[:-reach] + b[reach:]
        a[reach:] = a[reach:] * a[:-reach]
        reach *= 2
        rounds.append(b.copy())
    return rounds


def walk(a, b):
    """The same, one position after the other."""
    h, states = 0.0 * b[0], []
    for a_t, b_t in zip(a, b):
        h = a_t * h + b_t
        states.append(h)
    return np.array(states)


def same(name, found, wanted, most=1e-12):
    """Says how far two results are apart; stops the lesson where that is too far."""
    apart = np.abs(np.asarray(found) - np.asarray(wanted)).max()
    print(f"{name}: differs by {apart:.0e}")
    assert apart < most


for round_, sums in enumerate(scan(np.ones(4), np.array([2.0, 5.0, 3.0, 7.0]))):
    print(f"after {round_} rounds: {sums}")
a, b = draw.uniform(-1, 1, 1000), draw.normal(size=1000)
same(f"1,000 positions in {len(scan(a, b)) - 1} rounds", scan(a, b)[-1], walk(a, b))

# %% [markdown]
# Step 4 of the sum is there after two rounds. Move the slider: a bar is what a position knows.

# %%
figure = chart("What each position has taken in", "positions", "position")
places = np.arange(1, 17)
for round_ in range(5):
    first = np.maximum(1, places - 2**round_ + 1)
    known = [f"position {place} knows {start} to {place}" for place, start in zip(places, first)]
    figure.add_bar(x=places - first + 1, y=places, base=first - 0.5, hovertext=known)
figure.update_traces(orientation="h", hoverinfo="text", showlegend=False)
figure.update_xaxes(range=[0.4, 16.6]).update_yaxes(autorange="reversed")
slide(figure, range(5), "after round ")
figure.show()

# %% [markdown] tags=["prediction"]
# **Predict.** A thousand dependent steps have become ten rounds. On one core of this machine, with 64
# features at each of 4,096 positions, forwards and backwards: how many times as fast as a walk is the
# scan? The walk comes in two kinds: one call of torch for each position, and one loop that is compiled
# as a whole. Write down two numbers.


# %%
NAMES = {"fused": "walk, a call each", "scan": "scan", "compiled": "walk, compiled"}
here = linear_recurrence.available("cpu", torch.float32)  # compiled: where numba is installed
lengths, took = [256, 1024] if QUICK else [256, 1024, 4096, 16384], {}
figure = chart("Processor time, forwards and backwards", "positions", "milliseconds")
for name in [name for name in NAMES if name in here]:
    took[name] = []
    for length in lengths:
        a = torch.rand(1, length, 64, requires_grad=True)
        forwards = partial(linear_recurrence, a, a, algorithm=name)
        took[name].append(milliseconds(lambda run=forwards: run().sum().backward()))
    figure.add_scatter(x=lengths, y=took[name], name=NAMES[name])
figure.update_xaxes(type="log", tickvals=lengths).update_yaxes(type="log", dtick="D2").show()

at = -1 if QUICK else lengths.index(4096)
for name, times in took.items():
    steps = linear_recurrence.serial_steps(name, lengths[at])
    print(f"{NAMES[name]:18s} {times[at]:8.2f} ms, {steps:5,} steps that wait for each other")
print("The fastest: " + NAMES[min(took, key=lambda name: took[name][at])])

# %% [markdown] tags=["conclusion"]
# **Why so?** Rounds are not time. One core does one thing after the other anyway, and a scan does more
# work than a walk. A call of torch costs microseconds of Python, whatever it computes: *that*, and not
# the order, makes the first walk slow. Where thousands of cores wait, rounds count: the [lesson on
# costs](09_costs.md) has the same on a GPU.

# %% [markdown]
# ## A state space: the decay is fixed
#
# S4D (Gu, Gupta, Goel and Ré 2022) gives each channel damped oscillators, $x' = A x + u$ with a
# complex diagonal $A$, and samples them every $\Delta$ with the input held in between:
#
# $$h_t = e^{\Delta A} h_{t-1} + \frac{e^{\Delta A} - 1}{A}\, u_t, \qquad y_t = 2 \operatorname{Re} \sum_n c_n h_{t,n}$$
#
# The decay is the same everywhere, so that the layer is a convolution. With $b$ for the fraction its
# kernel is $K_k = 2 \operatorname{Re} \sum_n c_n b_n e^{k \Delta A_n}$. Three ways to one result: walk,
# convolve by FFT, or call the package.

# %%
T, A = 1024, -0.5 + 1j * np.pi * np.arange(16)  # S4D-Lin
c, u = draw.normal(size=16) + 1j * draw.normal(size=16), draw.normal(size=T)
decay, into = np.exp(0.01 * A), (np.exp(0.01 * A) - 1) / A
walked = 2 * (walk(np.tile(decay, (T, 1)), into * u[:, None]) @ c).real
kernel = 2 * (np.exp(0.01 * A * np.arange(T)[:, None]) @ (c * into)).real


def convolved(u):
    """By FFT, with as many zeros behind, so that the end does not come round to the start."""
    return np.fft.irfft(np.fft.rfft(u, 2 * T) * np.fft.rfft(kernel, 2 * T), 2 * T)[:T]


step = torch.full((1,), 0.01, dtype=torch.float64)
system = zero_order_hold(step, torch.tensor(A)[None], torch.tensor(c)[None])
same("convolution and walk", convolved(u), walked)
same("package and walk", diagonal_ssm(torch.tensor(u)[None, :, None], system)[0][0, :, 0], walked)
moved = convolved(np.append(u[:-1], 1e9))[0] - convolved(u)[0]
print(f"A last input of a billion moves the *first* output of the FFT by {abs(moved):.0e}.")

# %% [markdown]
# The last line is a small scandal: an FFT mixes all positions and unmixes them by cancellation, so
# that a later input moves an earlier output, by rounding. The walk cannot do that.
#
# ## Selection: the decay is chosen by what is read
#
# Numbers come at random; each is marked with probability $p = 0.1$. The task is to say the number
# that was marked last. We help the fixed decay: it gets the numbers with all unmarked ones set to
# zero, and it may be *any* filter of 200 taps. Its rival is one state whose decay is chosen by the
# mark $m_t$: $h_t = (1 - m_t) h_{t-1} + m_t v_t$.

# %% [markdown] tags=["prediction"]
# **Predict.** Which share of the variance of the answers does the best of all fixed filters explain,
# and which share the one state that selects? What does the best filter look like?

# %%
TAPS, p, COUNT = 200, 0.1, 4_000 if QUICK else 30_000
marks = (draw.random(COUNT) < p).astype(float)
marked = marks * draw.normal(size=COUNT)
answers = walk(1 - marks, marked)
windows = np.lib.stride_tricks.sliding_window_view(marked, TAPS)[:, ::-1]  # column k: k before
best = np.linalg.lstsq(windows, answers[TAPS - 1 :], rcond=None)[0]
missed = np.var(answers[TAPS - 1 :] - windows @ best) / np.var(answers[TAPS - 1 :])
print(f"the best of all filters explains {1 - missed:.3f}; theory {1 / (2 - p):.3f}")
print(f"a state that selects, by a scan: {1 - np.var(answers - scan(1 - marks, marked)[-1]):.3f}")

figure = chart("The best filter: by least squares, and derived", "positions back", "weight")
figure.add_scatter(y=best[:60].round(4), mode="markers", name="least squares")
figure.add_scatter(y=((1 - p) ** np.arange(60)).round(4), mode="lines", name="(1 - p)^k")
figure.show()

# %% [markdown] tags=["conclusion"]
# **Why so?** A marked number $k$ positions back is the answer if nothing after it is marked. That has
# the probability $(1 - p)^k$, and so the best weight is a *decay*, which hedges. Of the variance it
# explains $\sum_k p (1 - p)^{2k} = 1 / (2 - p)$, however many states there are. What selects need not
# hedge. And it is still $h_t = a_t h_{t-1} + b_t$: the scan never asked for equal decays.

# %% [markdown]
# Mamba (Gu and Dao 2023) reads a step $\Delta_t$ from the input. A large one forgets and writes, a
# step of zero keeps:
#
# $$h_t = e^{\Delta_t A} h_{t-1} + \Delta_t B_t x_t, \qquad y_t = C_t h_t$$

# %%
x, steps, A = draw.normal(size=(50, 3)), draw.random((50, 3)), -draw.uniform(0.5, 2, (4, 3))
B, C = draw.normal(size=(2, 50, 4))
h = walk(np.exp(steps[:, None] * A), B[:, :, None] * (steps * x)[:, None])
x, steps, A, B, C = (torch.tensor(one) for one in (x, steps, A, B, C))
ours, _ = selective_scan(x[None], steps[None], A, B[None], C[None])
same("Mamba's recurrence, as above and the package's", ours[0], np.einsum("tn,tne->te", C, h))

# %% [markdown]
# ## The delta rule: a state that is a matrix
#
# Linear attention keeps a matrix and adds to it, $S_t = S_{t-1} + k_t v_t^\top$, and a query reads it,
# as $S^\top q$. Write one key twice, first with Paris, then with Rome: it answers Paris plus Rome. The
# delta rule (Widrow and Hoff 1960; Schlag, Irie and Schmidhuber 2021) writes the difference to what
# the key says already:
#
# $$S_t = S_{t-1} + \beta_t k_t (v_t - S_{t-1}^\top k_t)^\top = (I - \beta_t k_t k_t^\top)\, S_{t-1} + \beta_t k_t v_t^\top$$
#
# With $\beta = 1$ and a key of length 1 the second writing replaces the first, exactly. A step is
# again linear in the state, so that steps compose; the package's `chunked` form does 32 of them by a
# few products of matrices (Yang et al. 2024).


# %%
def written(keys, values, erase):
    """The matrix after all pairs were written, with beta = 1."""
    S = np.zeros((keys.shape[1], values.shape[1]))
    for k, v in zip(keys, values):
        S += np.outer(k, v - S.T @ k if erase else v)
    return S


def pairs(count, seed, size=32):
    draw = np.random.default_rng(seed)
    keys = draw.normal(size=(count, size))
    return keys / np.linalg.norm(keys, axis=1, keepdims=True), draw.normal(size=(count, size))


keys, values = pairs(100, seed=0)
k, v, empty = (torch.tensor(one)[None, None] for one in (keys, values, np.zeros((32, 32))))
for name in ("loop", "chunked"):
    _, ours = matrix_recurrence(k, k, v, empty, erase_BHTK=k, algorithm=name)
    same(f"the package's {name} and the delta rule", ours[0, 0], written(keys, values, erase=True))

# %% [markdown] tags=["prediction"]
# **Predict.** Pairs of random keys and values are written, of 32 numbers each, and each key is asked
# afterwards. An error of 1 is as bad as no answer. In both memories: what is the error of the newest
# pair and of the oldest one, of 16 pairs? Of 64?

# %%
figure = chart("Error of what is read back, by age", "pairs written since", "relative error")
MEMORIES = {"adds (linear attention)": False, "erases first (delta rule)": True}
repeats, counts, worse = 20 if QUICK else 200, (4, 16, 32, 64), []
said = [f"relative error, root mean square of {repeats} draws"]
for count in counts:
    drawn, squares = [pairs(count, seed) for seed in range(repeats)], []
    for name, erase in MEMORIES.items():
        apart = [keys @ written(keys, values, erase) - values for keys, values in drawn]
        squares.append(
            (np.array(apart) ** 2).mean(2)[:, ::-1]
        )  # [draw, age]; values have variance 1
        error = np.sqrt(squares[-1].mean(0))
        figure.add_scatter(y=error.round(3), name=name, mode="lines+markers")
        said.append(f"{count:2d} pairs, {name:26s}: newest {error[0]:.3f}, oldest {error[-1]:.3f}")
    more = squares[1][:, -1] - squares[0][:, -1]
    worse += [str(count)] * bool(more.mean() > 2 * more.std() / repeats**0.5)
said.append(
    f"Erasing is worse, by 2 standard errors, for the oldest of {' or '.join(worse) or 'no'} pairs."
)
print("\n".join(said))
slide(figure, counts, "pairs in all: ")
figure.update_yaxes(range=[0, 1.5]).show()

# %% [markdown] tags=["conclusion"]
# **Why so?** What adds has no age: any other pair disturbs a pair by the same amount. For $n$ pairs and
# keys of $K$ numbers the error is $\sqrt{(n - 1) / K}$. What erases is exact for the newest. Each later
# erasing takes a little of the old ones along. So it is a memory with another order, the new before
# the old, and not one with more room: a matrix of 32 by 32 has room for 32 pairs.

# %% [markdown]
# ## Any recurrence: Newton over all positions
#
# With a tanh no two steps make one. But guess *all* states at once, say zero. The step misses the
# next guess by something, and near the guess it is linear, with the Jacobian $J_t$. The corrections
# then obey a linear recurrence, which a scan solves:
#
# $$d_t = J_t\, d_{t-1} + f(h_{t-1}, x_t) - h_t, \qquad h_t \leftarrow h_t + d_t$$
#
# That is Newton's method on $T$ equations (Lim et al. 2024; Danieli et al. 2025). After round $r$ at
# least the first $r$ states are right. If it took $T$ rounds, it would be of no use.


# %%
def matrix_scan(J, d):
    """d_t = J_t d_(t-1) + d_t: the scan again, with matrices [T, N, N] for its decays."""
    J, d, reach = J.copy(), d.copy(), 1
    while reach < len(d):
        d[reach:] += np.einsum("tij,tj->ti", J[reach:], d[:-reach])
        J[reach:] = J[reach:] @ J[:-reach]
        reach *= 2
    return d


def newton(W, x, guess=0.0, accuracy=1e-10):
    """The states [T, N] of h_t = tanh(W h_(t-1) + x_t), and how many rounds they took."""
    h, rounds, change = guess + 0 * x, 0, np.inf
    with np.errstate(over="ignore", invalid="ignore"):
        while change > accuracy:
            after = np.tanh(np.vstack([0 * x[:1], h[:-1]]) @ W.T + x)
            d = matrix_scan((1 - after**2)[:, :, None] * W, after - h)
            d = np.where(np.isfinite(d), d, -h)  # where numbers overflow, zero is guessed again
            h, rounds, change = h + d, rounds + 1, abs(d).max()
    return h, rounds


def network(gain, length, seed=0, size=8):
    """Recurrent weights of spectral radius about `gain`, and inputs."""
    draw = np.random.default_rng(seed)
    return gain * draw.normal(size=(size, size)) / size**0.5, 0.5 * draw.normal(size=(length, size))


W, x = network(1.0, 1000)
states = [np.zeros(8)]
for x_t in x:
    states.append(np.tanh(W @ states[-1] + x_t))
same("Newton and the walk, 1,000 positions", newton(W, x)[0], states[1:])

# %% [markdown] tags=["prediction"]
# **Predict.** 8 neurons, 1,000 positions: how many rounds until nothing changes in the tenth digit?
# And what do the recurrent weights do to that? Write down rounds for gains of 0.5, 1, 2 and 4.


# %%
def growth(W, h):
    """The Lyapunov exponent: a small difference grows by e to this power in a step."""
    v, total = np.ones(len(W)), 0.0
    for h_t in h:
        v = (1 - h_t**2) * (W @ v)
        total += np.log(np.linalg.norm(v))
        v /= np.linalg.norm(v)
    return total / len(h)


few, many = (100, 200) if QUICK else (250, 1000)
gains, seeds, found = (0.5, 1, 2, 4) if QUICK else (0.5, 1, 1.5, 2, 2.5, 3, 4), range(3), {}
figure = chart("Rounds against the growth of differences", "Lyapunov exponent a step", "rounds")
for length in (few, many):
    for gain in gains:
        for seed in seeds:
            W, x = network(gain, length, seed)
            h, rounds = newton(W, x)
            found[length, gain, seed] = round(growth(W, h), 3), rounds
    rows = [(*value, f"gain {key[1]}") for key, value in found.items() if key[0] == length]
    x, y, text = zip(*rows)
    figure.add_scatter(x=x, y=y, text=text, mode="markers", name=f"{length:,} positions")
figure.update_yaxes(type="log", dtick="D2").show()

W, x = network(2, many)
h, rounds = newton(W, x)
near = newton(W, x, guess=h + 0.01 * draw.normal(size=h.shape))[1]
for gain in gains:
    short, long = (np.median([found[n, gain, s][1] for s in seeds]) for n in (few, many))
    print(f"gain {gain:3}: {short:4.0f} rounds for {few} positions, {long:4.0f} for {many:,}")
print(f"gain 2 once more: {rounds} rounds from zero, {near} from a guess that is .01 off")

# %% [markdown] tags=["conclusion"]
# **Why so?** A correction travels on through the Jacobians. Where their products shrink, a wrong guess
# far back does not matter, every stretch is solved for itself, and the rounds do not know the length.
# Where they grow (an exponent above 0: chaos) a state is known when all before it are, and rounds
# become a walk (Gonzalez et al. 2025). Between the two the guess decides, as the last line shows. So
# the order *can* be given up in any recurrence that forgets where it began.

# %% [markdown]
# What is it worth? A GRU of 16 neurons, forwards and backwards, on one core: torch's own kernel,
# Newton, and what the package chooses.

# %%
inputs, took, outputs, said = torch.randn(1, 512 if QUICK else 4096, 16), {}, [], []
for name in ("fused", "newton", "auto"):
    options = {"algorithm": name}
    model = sa.build("gru", vocab_size=2, width=16, depth=1, options=options, seed=0)
    gru = model.stack.blocks[0].mixer
    took[gru.algorithm] = milliseconds(lambda gru=gru: gru(inputs)[0].square().sum().backward())
    with recorded_solves() as solves:
        outputs.append(gru(inputs)[0].detach())
    rounds = f", {solves[0].rounds} rounds" if solves else ""
    said.append(f"{gru.algorithm:9s} {took[gru.algorithm]:8.1f} ms{rounds}")
print("\n".join(said))
same("their outputs", torch.stack(outputs), outputs[0], most=1e-4)
walks = {name for name in took if name != "newton"}
print(f"Faster than Newton: {', '.join(n for n in walks if took[n] < took['newton']) or 'none'}.")

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# **1.** $h_t = \max(h_{t-1} + a_t, b_t)$ is not linear. (Viterbi's search for the best path, 1967, is
# made of it.) Compose two steps into one, and write its scan.

# %% [markdown] tags=["exercise"]
# **2.** Is the number of ones so far odd? Write that as $h_t = a_t h_{t-1}$ with $a_t$ from the bit
# alone, and scan 10,000 bits. Then show that no decay in $[0, 1]$ can follow a row of ones.

# %% [markdown] tags=["exercise"]
# **3.** The gradient of a scan is a scan. From $\partial L / \partial h_t$ of $h_t = a_t h_{t-1} + b_t$
# derive $\partial L / \partial b_t$ and $\partial L / \partial a_t$. Check automatic differentiation.
