# %% [markdown]
# # Why gradients fade and explode
#
# **The question.** A network shall learn that the first word decides the last one. The error at the
# end must find its way back through every step between. The texts say what happens to it: each step
# multiplies it by a number $\lambda$, so that $\lambda^k$ is left after $k$ steps. Below one it fades,
# above one it explodes. Is that what a real network does?
#
# Below we build the chain of products, hold it against three formulas, and see what clipping does,
# what a computer's numbers do, and whether the trouble lies in the network at all.

# %%
import math
import os
import time

import numpy as np
import torch

import seqarena as sa
from shared import BELOW, chart

QUICK = "SEQARENA_QUICK" in os.environ  # the tests run this lesson in seconds
torch.set_num_threads(1)  # small products gain nothing by more; denormals are a thread's own matter


# %% [markdown]
# ## The chain
#
# Elman's network is $h_t = \tanh(W h_{t-1} + x_t)$. A small change of $h_{t-1}$ changes $h_t$ by
#
# $$J_t = \frac{\partial h_t}{\partial h_{t-1}} = \operatorname{diag}(1 - h_t^2) \, W$$
#
# and over $k$ steps by the product $J_t J_{t-1} \cdots J_{t-k+1}$. A gradient takes the same product
# from the other side. As its size we take $\|\cdot\|_F / \sqrt{H}$, which is 1 for the identity.

# %%
H = 64  # numbers in the state


def random_matrix(radius, seed):
    """[H, H] of normal numbers, scaled until the largest eigenvalue has that absolute value."""
    w = np.random.default_rng(seed).normal(size=(H, H))
    return w * (radius / abs(np.linalg.eigvals(w)).max())


def states(w, x):
    """States [T + 1, H] for inputs [T, H]; the first is zero."""
    h = [np.zeros(len(w))]
    for now in x:
        h.append(np.tanh(w @ h[-1] + now))
    return np.array(h)


def flow(w, h):
    """How large d h_T / d h_(T-k) is, for k = 0 .. T, and that matrix itself for k = T."""
    product, sizes = np.eye(len(w)), [1.0]
    for now in h[:0:-1]:
        product = (product * (1.0 - now**2)) @ w  # times diag, times W
        sizes.append(np.linalg.norm(product) / np.sqrt(len(w)))
    return np.array(sizes), product


def last_state(h):
    for now in torch.tensor(x):
        h = torch.tanh(torch.tensor(w) @ h + now)
    return h


w, x = random_matrix(1.5, seed=0), np.random.default_rng(1).normal(size=(10, H))
h = states(w, x)
ours = flow(w, h)[1]
theirs = torch.autograd.functional.jacobian(last_state, torch.zeros(H, dtype=torch.float64)).numpy()
print(f"10 steps back: derivatives up to {abs(theirs).max():.3f}, ours differ by at most "
      f"{abs(ours - theirs).max():.1e} from autograd's")  # fmt: skip
assert abs(ours - theirs).max() < 1e-12

# %% [markdown]
# The longest of [the texts](texts.md) writes $W \operatorname{diag}(\tanh'(h_{k-1}))$ for $J_k$: the
# factors in the wrong order, and the slope at the state instead of at what enters tanh. Its program
# then multiplies 1.0 fifty times by `W_hh * 0.25  # 0.25 approximates tanh derivative` and plots that:
# no network is run. And 0.25 is the steepest slope of another function.

# %%
product = np.eye(H)
for before in h[-2::-1]:
    product = product @ w @ np.diag(1 - np.tanh(before) ** 2)
print(f"the text's product is {np.linalg.norm(product) / np.linalg.norm(ours):.1f} times too large")
steepest = [torch.func.grad(f)(torch.tensor(0.0)) for f in (torch.sigmoid, torch.tanh)]
print("steepest slopes: of the sigmoid {:.2f}, of tanh {:.2f}".format(*steepest))

# %% [markdown] tags=["prediction"]
# **Predict.** We take random matrices $W$ whose largest eigenvalue is 0.5, 0.9, 1.5 and 3.0, and
# inputs $x_t$ of normal numbers with deviation 0.5. By what factor does the gradient shrink or grow
# in one step, for each of the four? Which of them explode? A text has two answers: the largest
# eigenvalue, and that times the mean slope of tanh.

# %%
RADII = (0.5, 0.9, 1.2, 1.5, 2.0, 3.0, 5.0)
INPUTS = (0.0, 0.1, 0.5, 1.0, 2.0)  # deviation of x_t
LENGTH, SKIPPED = (60, 10) if QUICK else (120, 20)
SEEDS = range(2 if QUICK else 5)
LINES = EIGEN, MEAN, SQUARES = "largest eigenvalue", "that x mean slope", "root mean squares"


def measured(radius, deviation, seed):
    """Sizes by distance, and three guesses at the factor a step."""
    w = random_matrix(radius, seed)
    h = states(w, deviation * np.random.default_rng(1000 + seed).normal(size=(LENGTH + 50, H)))
    slopes = 1.0 - h[51:] ** 2  # after 50 steps, which forget the start
    each = np.linalg.norm(w) / np.sqrt(H) * np.sqrt((slopes**2).mean())
    return flow(w, h[50:])[0], {EIGEN: radius, MEAN: radius * slopes.mean(), SQUARES: each}


def factor(sizes):
    """What each step multiplies by: the slope of the logarithm, without the first steps."""
    line = np.polyfit(np.arange(SKIPPED, len(sizes)), np.log(sizes[SKIPPED:]), 1)
    return float(np.exp(line[0]))


found = {(r, s): [measured(r, s, seed) for seed in SEEDS] for r in RADII for s in INPUTS}
shown = (0.5, 0.9, 1.5, 3.0)
buttons = []
for radius in shown:
    visible = [radius == one for one in shown for _ in range(4)]  # of the curves, in their order
    buttons.append({"label": f"{radius:g}", "method": "restyle", "args": [{"visible": visible}]})
title = "The gradient k steps back; buttons: largest eigenvalue of W"
figure = chart(title, "steps back", "size", margin={"t": 90}, height=460, legend=BELOW)
place = {"x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "direction": "right"}
figure.update_layout(updatemenus=[{"type": "buttons", "buttons": buttons, "active": 2, **place}])
figure.update_yaxes(type="log", exponentformat="power")
guess = {
    radius: {name: np.mean([lines[name] for _, lines in found[radius, 0.5]]) for name in LINES}
    for radius in RADII
}
for radius in shown:
    curve = np.exp(np.mean([np.log(sizes) for sizes, _ in found[radius, 0.5]], 0))
    figure.add_scatter(y=curve, name="measured", line={"width": 4}, visible=radius == 1.5)
    for name, rate in guess[radius].items():
        powers = rate ** np.arange(LENGTH + 1.0)
        figure.add_scatter(y=powers, name=name, line={"dash": "dot"}, visible=radius == 1.5)
figure.show()

rates = {key: [factor(sizes) for sizes, _ in runs] for key, runs in found.items()}
print(f"factor a step, inputs of deviation 0.5: mean of {len(SEEDS)} seeds (lowest to highest)")
print(f"eigenvalue   measured              {MEAN}  {SQUARES}")
for radius in RADII:
    some = rates[radius, 0.5]
    print(f"{radius:8g}     {np.mean(some):.3f} ({min(some):.3f} to {max(some):.3f})"
          f" {guess[radius][MEAN]:14.3f} {guess[radius][SQUARES]:18.3f}")  # fmt: skip
fading = [f"{r:g}" for r in RADII if r > 1 and max(rates[r, 0.5]) < 1]
print("fades in every seed, though an eigenvalue is above one:", ", ".join(fading) or "none")
top = max(guess[r][MEAN] for r in RADII)
if top < 1 < max(map(np.mean, rates.values())):
    print(f"the mean slope's line never says that a gradient explodes: it ends at {top:.2f}")

# %% [markdown] tags=["conclusion"]
# **Why so?** A matrix of independent normal numbers of deviation $g / \sqrt{H}$ turns any vector $v$
# into one whose expected squared length is $g^2 |v|^2$. The slopes $s_i = 1 - h_i^2$ then scale its
# numbers. If matrix and slopes were independent, one step would multiply the squared length by
#
# $$g^2 \cdot \frac{1}{H} \sum_i s_i^2, \qquad \text{so the factor is } \;
# \lambda = g \sqrt{\overline{s^2}}$$
#
# Not the mean of the slopes counts but the mean of their *squares*. At large weights most slopes are
# near zero and a few are near one. Those few carry the gradient, and a mean hides them (the theory:
# Sompolinsky, Crisanti and Sommers 1988; Poole et al. 2016). And since slopes depend on the states,
# they depend on the *inputs*. With none the state is zero, each slope is 1, and $\lambda$ is the largest
# eigenvalue; the louder they are, the later the gradient explodes:

# %%
figure = chart(
    "Factor a step, by the deviation of the inputs",
    "largest eigenvalue of W",
    "factor a step",
    legend=BELOW,
)
figure.update_xaxes(type="log", tickvals=list(RADII), ticktext=[f"{r:g}" for r in RADII])
figure.update_yaxes(type="log")
for deviation in INPUTS:
    here = np.array([rates[radius, deviation] for radius in RADII])
    mean = here.mean(1)
    bars = {"array": here.max(1) - mean, "arrayminus": mean - here.min(1)}
    figure.add_scatter(x=RADII, y=mean, error_y=bars, name=f"input {deviation:g}")
figure.add_hline(y=1, line={"dash": "dot", "color": "gray"})
figure.show()
worst = max(
    abs(rate / lines[SQUARES] - 1)
    for key, runs in found.items() if key[1]
    for rate, (_, lines) in zip(rates[key], runs)
)  # fmt: skip
print(f"with inputs, the root mean squares are nowhere more than {worst:.0%} off")

# %% [markdown]
# ## Eigenvalue, or singular value?
#
# "If the largest singular value of that matrix exceeds one, gradients explode. If it's below one,
# they vanish", says one text. $|\lambda_{\max}|^k$, with the largest eigenvalue, says another. Pascanu,
# Mikolov and Bengio (2013) are careful: a singular value below one is *enough* to vanish, one above
# is only *necessary* to explode. Four matrices, without tanh:

# %%
N = 16
rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(N, N)))[0]
matrices = {
    "a rotation": rotation,
    "a rotation, times 0.95": 0.95 * rotation,
    "each 0.7 of itself, 0.5 of the next": 0.7 * np.eye(N) + 0.5 * np.eye(N, k=1),
    "each becomes the next": np.eye(N, k=1),
}
figure = chart(
    "Powers that no single number foretells", "steps back", "largest singular value", legend=BELOW
)
figure.update_yaxes(type="log", exponentformat="power")
for name, m in matrices.items():
    sizes = [np.linalg.norm(np.linalg.matrix_power(m, k), 2) for k in range(201)]
    line = {"width": 5 if name == "each becomes the next" else 2}
    figure.add_scatter(y=[size or None for size in sizes], name=name, line=line)
    eigenvalue = abs(np.linalg.eigvals(m)).max()
    print(f"{name}: eigenvalue {eigenvalue:.2f}, singular value {sizes[1]:.2f}; its powers' largest "
          f"{max(sizes):.3g}, after 200 steps {sizes[-1]:.2g}")  # fmt: skip
figure.show()

# %% [markdown]
# The third has a singular value above one. It grows at first, and then it vanishes. The last has no
# eigenvalue but zero. By $|\lambda|^k$ it forgets at once; it passes a gradient on undiminished, one
# place a step, for 15 steps, and then nothing is left.
#
# ## The cliff, and clipping
#
# Take the smallest network there is: one unit, $a_t = w \, \sigma(a_{t-1}) + b$ from $a_0 = 0.5$, which
# shall have $\sigma(a_{50}) = 0.7$. Pascanu et al. (2013) drew its loss: a plain that ends at a wall. A
# step of gradient descent that begins at the wall is thrown far away. Their cure: a gradient whose
# norm is above 1 is scaled down to 1.


# %%
def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-np.clip(a, -500, 500)))


def loss_and_gradient(w, b, steps=50):
    """The loss for each pair (w, b) at once, and its derivatives by w and by b."""
    a = [np.full_like(w, 0.5)]
    for _ in range(steps):
        a.append(w * sigmoid(a[-1]) + b)
    s = sigmoid(a[-1])
    g, dw, db = 2 * (s - 0.7) * s * (1 - s), 0.0, 0.0
    for before in reversed(a[:-1]):
        s = sigmoid(before)
        dw, db, g = dw + g * s, db + g, g * w * s * (1 - s)
    return (sigmoid(a[-1]) - 0.7) ** 2, np.stack([dw, db])


def by_norm(gradient):
    return gradient / np.maximum(1.0, np.hypot(*gradient))


RULES = {
    "not clipped": lambda gradient: gradient,
    "norm at most 1": by_norm,
    "each number at most 5": lambda gradient: np.clip(gradient, -5, 5),
    "each number at most 0.7": lambda gradient: np.clip(gradient, -0.7, 0.7),
}


def descend(w, b, clipped, steps=300, rate=0.5):
    """The path [steps + 1, 2, ...] of gradient descent."""
    path = [np.stack([w, b])]
    for _ in range(steps):
        path.append(path[-1] - rate * clipped(loss_and_gradient(*path[-1])[1]))
    return np.array(path)


ws, bs = np.linspace(3, 9, 61), np.linspace(-4, 6, 76)
figure = chart("The wall, and two ways from one start", "w", "b", legend=BELOW)
plane = np.round(loss_and_gradient(*np.meshgrid(ws, bs))[0], 3)
figure.add_heatmap(x=ws, y=bs, z=plane, colorscale="Greys", colorbar={"title": "loss"})
for name in ("not clipped", "norm at most 1"):
    x, y = descend(np.array(5.5), np.array(-2.5), RULES[name]).T.round(4)
    figure.add_scatter(x=x, y=y, name=name, mode="lines+markers", marker={"size": 4})
figure.show()

# %% [markdown] tags=["prediction"]
# **Predict.** That was one start. Now we take 441 of them, $w$ from 3 to 7 and $b$ from -4 to -1, and
# descend 300 steps from each. How many in a hundred end with a loss below 0.01: without clipping,
# with the norm clipped to 1, and with each *number* clipped to $\pm 5$, as the texts' network has it?
# And to $\pm 0.7$, which leaves a norm of at most 1 as well?

# %%
w, b = (each.ravel() for each in np.meshgrid(np.linspace(3, 7, 21), np.linspace(-4, -1, 21)))
for name, rule in RULES.items():
    losses, _ = loss_and_gradient(*descend(w, b, rule)[-1])
    print(f"{name:22s} {np.mean(losses < 0.01):4.0%} of {w.size} arrive")

# %% [markdown] tags=["conclusion"]
# **Why so?** A step of 5 is still a throw. And clipped by its norm, a gradient gets shorter and keeps
# its direction. Clipped number by number it turns: both parts end at the same size, and the step goes
# along a diagonal, whatever the loss.
#
# Clipping does not bring back what has faded. It multiplies the whole gradient, the part of the
# nearest step and that of the farthest, by the same number. Their ratio stays as it was.

# %% [markdown]
# ## What is left in a computer's numbers
#
# A number in float32 has about 7 digits. Below $2^{-126}$ it loses them one by one (a *denormal*
# number), and below $2^{-149}$ it is zero. With a factor $\lambda$ a step, a number falls to $m$ of its
# size after about $\log m / \log \lambda$ steps.

# %%
T = 400
w = random_matrix(0.9, seed=0)
h = states(w, np.random.default_rng(2).normal(size=(T, H)) / 2)


def backward(dtype, reach=T):
    """The gradient of W for a loss at the last step, and the largest g at each of `reach` steps."""
    w_, h_ = torch.tensor(w, dtype=dtype), torch.tensor(h, dtype=dtype)
    g, dw, sizes = torch.ones(H, dtype=dtype), torch.zeros(H, H, dtype=dtype), []
    for t in range(T, T - reach, -1):
        sizes.append(float(g.abs().max()))
        da = g * (1 - h_[t] ** 2)
        dw, g = dw + da.outer(h_[t - 1]), da @ w_
    return dw, np.array(sizes)


_ = torch.set_flush_denormal(False)
rate = np.exp(np.polyfit(range(20, 200), np.log(backward(torch.float64)[1][20:200]), 1)[0])
for dtype in (torch.float16, torch.bfloat16, torch.float32):
    limits, sizes = torch.finfo(dtype), backward(dtype)[1]
    says = math.log(limits.smallest_normal * limits.eps) / math.log(rate)
    print(f"{dtype!s:15s} all zero {np.argmax(sizes == 0)} steps back; by the formula {says:.0f}")
whole = backward(torch.float32)[0]
needed = next(k for k in range(1, T) if torch.equal(backward(torch.float32, k)[0], whole))
print(f"float32: the last {needed} of {T} steps give the weights' gradient to the last bit")
torch.set_flush_denormal(True)
assert torch.equal(backward(torch.float32)[0], whole)
print("with denormal numbers taken for zero it is the same, bit by bit")
_ = torch.set_flush_denormal(False)


# %%
def train():
    """Forwards and backwards, with one loss after 400 steps."""
    gru(words)[0][-1].sum().backward()


def seconds(work, flush):
    """Processor seconds, with denormal numbers kept or taken for zero."""
    torch.set_flush_denormal(flush)
    begin = time.process_time()
    for _ in range(1 if work is train else 20 if QUICK else 100):
        work()
    return time.process_time() - begin


gru, words = torch.nn.GRU(64, 64), torch.randn(400, 16, 64)
small, other = torch.full((256, 256), 1e-41), torch.full((256, 256), 0.7)
for name, work in {
    "product, number by number": lambda: small * other,
    "quotient": lambda: small / other,
    "product of matrices": lambda: small @ other,
    "a GRU's step of training": train,
}.items():
    ratio = np.median([seconds(work, False) / seconds(work, True) for _ in range(9)])
    print(f"{name:26s} with denormal numbers {ratio:5.2f} times the time")
_ = torch.set_flush_denormal(True)

# %% [markdown]
# Denormal numbers are known to be slow. How slow, and in which arithmetic, the processor decides: in
# the project's [lab log](../lab_log.md) (2026-11-21, bAbI task 3) a GRU with a single loss at the end
# of 160 to 260 words took 2.9 to 3.2 times as long a training step. Nothing is lost by taking them for
# zero, as the bits above say. `seqarena` does so in every training, and records it.
#
# ## Is it the network?
#
# "In practice, vanilla RNNs struggle to learn dependencies beyond roughly 10–20 timesteps. This isn't
# a tuning problem. It's a structural property of repeated matrix multiplication", says a text. Here
# are models of the package as they begin: how much of the last loss's gradient arrives at the input a
# distance $k$ before. `irnn` is Elman's network, with ReLU and with another matrix to begin from, the
# identity (Le, Jaitly and Hinton 2015). `lstm` and `gru` have gates.

# %%
found = sa.measure("gradient", models="elman,irnn,gru,lstm", length=64, seeds=3, verbose=False)
left = {}
for series in found.measurements:
    left[series.architecture] = [math.exp(np.mean(np.log(p.repeats))) for p in series.points]
for name, shares in left.items():
    print(f"{name:6s}", *(f"  k = {k}: {shares[k]:.1e}" for k in (1, 10, 30, 60)))
times = left["irnn"][60] / left["elman"][60]
print(f"over 60 steps, from another start and with ReLU, {times:.0e} times as much is left")

# %% [markdown]
# How far these remember once they are trained is measured in the next lesson, Elman's network among
# them.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# **1.** In a network $J_t$ is another matrix at each step. Find two matrices whose eigenvalues are all
# zero, and whose products, taken in turn, explode.

# %% [markdown] tags=["exercise"]
# **2.** Adam divides a gradient by its own size. Does that cure fading? Show that multiplying the
# loss by a millionth changes nothing of Adam's path, and nothing of the share that a far step has.

# %% [markdown] tags=["exercise"]
# **3.** In float16 one multiplies the loss by $2^{15}$ before going back, and divides afterwards
# (*loss scaling*, Micikevicius et al. 2018). How many steps farther does a gradient get, if
# the factor a step is 0.7?
