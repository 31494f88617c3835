# %% [markdown]
# # A recurrent network by hand
#
# **The question.** A recurrent network reads one letter at a time and keeps a state. The loss at one
# letter depends on every letter before it. So where does its gradient come from, and how far back
# must it go?
#
# Below is the whole network in NumPy: forwards, and backwards through time. Automatic differentiation
# checks it. Then it learns a sentence, and at last our own Elman network learns a book's worth of text.

# %%
import os

import numpy as np
import plotly.graph_objects as go
import torch

import seqarena as sa

QUICK = "SEQARENA_QUICK" in os.environ  # the tests run this lesson in seconds

# %% [markdown]
# ## Forwards
#
# Elman's network (1990) has a state $h_t$ of $H$ numbers and reads symbols $x_t$:
#
# $$a_t = W_x x_t + W_h h_{t-1} + b, \qquad h_t = \tanh a_t, \qquad y_t = W_y h_t + c$$
#
# A symbol is a vector of zeros with a single one, so that $W_x x_t$ is one column of $W_x$. The loss
# is the number of nats by which the network is surprised:
#
# $$L = -\sum_t \log \operatorname{softmax}(y_t)_{\text{next letter}}$$


# %%
def initial(symbols, hidden, seed):
    """Weights [H, V], [H, H], [H], [V, H], [V]; the recurrent ones keep the length of a state."""
    draw = np.random.default_rng(seed)
    orthogonal, _ = np.linalg.qr(draw.normal(size=(hidden, hidden)))
    into = draw.normal(size=(hidden, symbols)) / np.sqrt(symbols)
    out = draw.normal(size=(symbols, hidden)) / np.sqrt(hidden)
    return {"Wx": into, "Wh": orthogonal, "b": np.zeros(hidden), "Wy": out, "c": np.zeros(symbols)}


def forward(w, symbols):
    """Symbols [T] -> states [T + 1, H], the first of them zero, and log probabilities [T, V]."""
    states = [np.zeros(len(w["b"]))]
    for symbol in symbols:
        states.append(np.tanh(w["Wx"][:, symbol] + w["Wh"] @ states[-1] + w["b"]))
    states = np.array(states)
    y = states[1:] @ w["Wy"].T + w["c"]
    y = y - y.max(1, keepdims=True)  # the same probabilities, and no overflow
    return states, y - np.log(np.exp(y).sum(1, keepdims=True))


# %% [markdown]
# ## Backwards through time
#
# Write $g_t$ for $\partial L / \partial h_t$. The state $h_t$ acts in two ways: on its own output,
# and through the next state on all that follows. The chain rule has one term for each:
#
# $$g_t = W_y^\top \frac{\partial L}{\partial y_t} + W_h^\top \left((1 - h_{t+1}^2) \odot g_{t+1}\right)$$
#
# The second term is the future. It is computed from the last step to the first, and every weight's
# gradient is a sum over all steps, since every step used the same weights (Werbos 1990).
#
# `reach` cuts the future off: the loss at a letter then changes what the network did at most
# `reach` steps before, and no earlier. That is *truncated* back-propagation, in its plainest form.


# %%
def gradients(w, symbols, targets, reach=None):
    """The loss in nats, summed, and its gradient for each weight; of a loss `reach` steps back."""
    states, log_p = forward(w, symbols)
    steps = np.arange(len(symbols))
    dy = np.exp(log_p)
    dy[steps, targets] -= 1.0
    found = {name: np.zeros_like(weight) for name, weight in w.items()}
    found["Wy"] = dy.T @ states[1:]
    found["c"] = dy.sum(0)
    future = np.zeros((len(symbols), len(w["b"])))  # one row for the loss of each letter
    for t in reversed(steps):
        future[t] = w["Wy"].T @ dy[t]
        if reach is not None:
            future[t + reach :] = 0.0
        da = (1.0 - states[t + 1] ** 2) * future.sum(0)
        found["Wh"] += np.outer(da, states[t])
        found["Wx"][:, symbols[t]] += da
        found["b"] += da
        future = ((1.0 - states[t + 1] ** 2) * future) @ w["Wh"]
    return -log_p[steps, targets].sum(), found


# %% [markdown]
# ## Is it right?
#
# Automatic differentiation computes the same gradient from the forward pass alone. Both are in
# float64, where a number has about 16 digits. If the formula above had a wrong sign, a missing term
# or an index too many, the difference would be as large as the gradient itself.

# %%
SENTENCE = "the past is what the state remembers; "
alphabet = sorted(set(SENTENCE))
symbols = np.array([alphabet.index(letter) for letter in SENTENCE])
targets = np.roll(symbols, -1)  # after the last letter comes the first again


def autograd(w, symbols, targets):
    """What torch finds for the same network."""
    t = {name: torch.tensor(weight, requires_grad=True) for name, weight in w.items()}
    h, loss = torch.zeros(len(w["b"]), dtype=torch.float64), 0.0
    for symbol, target in zip(symbols, targets):
        h = torch.tanh(t["Wx"][:, symbol] + t["Wh"] @ h + t["b"])
        loss = loss - torch.log_softmax(t["Wy"] @ h + t["c"], 0)[target]
    loss.backward()
    return {name: weight.grad.numpy() for name, weight in t.items()}


w = initial(len(alphabet), 32, seed=0)
_, ours = gradients(w, symbols, targets)
theirs = autograd(w, symbols, targets)
for name in w:
    size, apart = abs(theirs[name]).max(), abs(ours[name] - theirs[name]).max()
    print(f"{name:3s} largest gradient {size:8.4f}, largest difference {apart:.1e}")
    assert apart < 1e-12 * max(1.0, size)

# %% [markdown] tags=["prediction"]
# **Predict.** The network learns the sentence by heart, in 300 steps of the same rule. We cut the
# gradient after 1 step, after 2, after 5, and not at all. To know that "t" is followed by "h" here
# and by "a" there, it must know what came several letters before. Which of the four learn the
# sentence, and how fast? Write down a loss for each, in nats a letter (guessing is about 2.5).

# %%
STEPS = 60 if QUICK else 300
REACHES = {"1 step": 1, "2 steps": 2, "5 steps": 5, "whole": None}


def learn(reach, seed, steps=STEPS, rate=0.1):
    """The loss a letter after each step, with Adagrad (each weight's rate falls as it moves)."""
    w = initial(len(alphabet), 32, seed)
    squares = {name: np.zeros_like(weight) for name, weight in w.items()}
    losses = []
    for _ in range(steps):
        loss, found = gradients(w, symbols, targets, reach)
        losses.append(loss / len(symbols))
        for name in w:
            squares[name] += found[name] ** 2
            w[name] -= rate * found[name] / np.sqrt(squares[name] + 1e-8)
    return np.array(losses), w


seeds = range(2 if QUICK else 5)
learned = {name: [learn(reach, seed) for seed in seeds] for name, reach in REACHES.items()}

figure = go.Figure(
    layout={
        "title": {"text": "The sentence is learned, with the gradient cut after some steps"},
        "xaxis": {"title": "steps of training"},
        "yaxis": {"title": "nats a letter", "type": "log", "dtick": 1},
    }
)
for name, runs in learned.items():
    figure.add_scatter(y=np.mean([losses for losses, _ in runs], 0), name=name, mode="lines")
figure.show()

# %%
print(f"after {STEPS} steps, nats a letter: the mean of {len(seeds)} seeds (worst seed)")
for name, runs in learned.items():
    last = [losses[-1] for losses, _ in runs]
    print(f"   gradient {name:8s} {np.mean(last):7.4f} ({max(last):.4f})")

# %% [markdown] tags=["conclusion"]
# **Why so?** Cutting the gradient does not cut the *state*. The recurrent weights are orthogonal at
# the start: a state keeps its length, and letters of long ago are still in it, as an echo that
# nobody trained. The last layer may learn to read that echo. What a longer gradient adds is that
# the network may learn *what to keep*. The lesson on gradients asks how far a gradient can reach.

# %% [markdown]
# ## What it writes
#
# The likeliest letter is fed back as the next input. What came before is in the state alone.


# %%
def write(w, count):
    """Letters from the first of the sentence on, each the likeliest."""
    read = [symbols[0]]
    while len(read) < count:
        _, log_p = forward(w, read)
        read.append(int(log_p[-1].argmax()))
    return "".join(alphabet[symbol] for symbol in read)


for name, runs in learned.items():
    print(f"{name:8s} {write(runs[0][1], len(SENTENCE))}")

# %% [markdown]
# ## The same network on real text
#
# One sentence says little. `seqarena` calls the network `elman`: the cell above, in a block with a
# residual path and a small feed-forward network, two blocks or more on top of each other. First: is
# its cell ours? It gets our weights and reads the sentence.

# %%
w = initial(len(alphabet), 32, seed=0)
model = sa.build("elman", vocab_size=len(alphabet), width=32, depth=1).double()
cell = model.stack.blocks[0].mixer
with torch.no_grad():
    cell.input_ED.copy_(torch.eye(32))  # it reads our W_x x_t as it is
    cell.recurrent_EE.copy_(torch.tensor(w["Wh"]))
    cell.bias_E.zero_()
    theirs, _ = cell(torch.tensor(w["Wx"][:, symbols].T)[None])
states, _ = forward(w, symbols)
apart = abs(theirs[0].numpy() - states[1:]).max()
print(f"states of our cell and of the package's differ by at most {apart:.1e}")
assert apart < 1e-12

# %% [markdown]
# Then it is trained on the text that the package carries: a reference of the Python language. A
# count of letters and their predecessors (an *n-gram* model) stands beside it, as it does in every
# comparison: a network that does not beat it has learned nothing that counting does not find.

# %%
run = sa.train(
    model="elman", params="50k", tokens="20k" if QUICK else "300k", name="lesson-1", verbose=False
)
row = run.rows[0]
print(f"elman of 50,000 parameters: {row.mean:.2f} bits per byte on text that it never saw")
for baseline in run.ranking.baselines:
    print(f"{baseline.name}: {baseline.value:.2f}")
print("The " + run.best.generate("The ", count=200, seed=0))

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# **1.** Give the network a memory that fades: $h_t = \lambda h_{t-1} + (1 - \lambda) \tanh a_t$
# (a *leaky* unit). Derive $g_t$ for it and check it against automatic differentiation.

# %% [markdown] tags=["exercise"]
# **2.** Clip the gradient: where the norm over all weights exceeds 1, scale it to 1. Which of the
# gradient's properties stays, and which does not?

# %% [markdown] tags=["exercise"]
# **3.** The longest of [the texts](texts.md) updates each weight with a gradient that was clipped
# *number by number*. Show that this changes the gradient's direction.
