# %% [markdown]
# # Which one should I use?
#
# **The question.** You have a text of your own, a laptop, and a handful of architectures. Which one
# should you use, and how do you know that the difference is not luck?
#
# Texts answer it in general: "Transformers solved both problems". This lesson answers it for one
# data set, with the means of anyone: equal size, equal budget, equal tuning, several seeds, and a
# forecast for a size that was not trained. In the end the winner runs behind an address.

# %%
import inspect
import json
import os
import urllib.request
from itertools import product
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

import seqarena as sa

QUICK = "SEQARENA_QUICK" in os.environ  # the tests run this lesson in seconds
MODELS = ["gru", "mingru"] if QUICK else ["gru", "mingru", "attention", "conv"]

# %% [markdown]
# ## Your data
#
# Any file will do: a text, a table, a folder of recordings. Here it is something that every reader
# has: the source code of Python's own library, a few modules of it, in one file.

# %%
import argparse
import difflib
import inspect as inspect_module
import optparse
import typing

modules = [difflib] if QUICK else [argparse, difflib, inspect_module, optparse, typing]
text = "\n".join(inspect.getsource(module) for module in modules)
Path("my_code.txt").write_text(text, encoding="utf-8")
print(
    f"my_code.txt: {len(text):,} characters, {text.count(chr(10)):,} lines of {len(modules)} module(s)"
)
print(text[:280])

# %% [markdown]
# ## One command
#
# `sa.compare` solves each width until all have the same number of parameters, gives all the same
# tokens in the same order, tries the same learning rates for each (and further ones while the best
# is at the edge), and trains the best rate with several seeds. The last tenth of the file is the
# test; nothing is chosen on it.

# %% [markdown] tags=["prediction"]
# **Predict.** Write down the order of the four: a gated recurrent unit (`gru`), its parallel cousin
# without a state in its gates (`mingru`), a Transformer (`attention`) and a stack of dilated
# convolutions (`conv`), each of 30,000 parameters, after 40,000 bytes of code. And a second guess:
# if you ran the comparison once with one seed each, how often would you get the *wrong* order for
# the two best?

# %%
run = sa.compare(
    "my_code.txt",
    models=MODELS,
    params="30k",
    tokens="12k" if QUICK else "40k",
    rates=(6e-3, 2e-2),
    widen=0 if QUICK else 2,
    seeds=2 if QUICK else 3,
    leader_seeds=2 if QUICK else 3,
    measure=False,
    jobs=1 if QUICK else None,
    name="lesson-10",
    verbose=False,
)
print(run.ranking.verdict)

# %% [markdown]
# The verdict speaks of baselines first. An n-gram model counts what followed each string of bytes;
# it is no network at all, and it learns in a second. A small network after a short training is
# often behind it, and then the honest answer to "which one?" is: none of these yet.

# %%
rows = run.rows
figure = go.Figure(
    layout={
        "title": {"text": "Bits per byte on the test: each seed, the mean and its 95 % interval"},
        "xaxis": {"title": "bits per byte (lower is better)"},
        "yaxis": {"autorange": "reversed", "type": "category"},
    }
)
means, names = [row.mean for row in rows], [row.architecture for row in rows]
figure.add_scatter(
    x=means,
    y=names,
    mode="markers",
    name="mean, 95 %",
    marker={"size": 11},
    error_x={
        "symmetric": False,
        "array": [row.high - row.mean for row in rows],
        "arrayminus": [row.mean - row.low for row in rows],
    },
)
figure.add_scatter(
    x=[value for row in rows for value in row.seed_values],
    y=[row.architecture for row in rows for _ in row.seed_values],
    mode="markers",
    name="one seed",
    marker={"symbol": "circle-open", "size": 8},
)
figure.show()
for baseline in run.ranking.baselines:
    lead = "ahead of" if baseline.lead < 0 else "behind"
    print(f"{baseline.name}: {baseline.value:.2f}, {lead} {names[0]} by {abs(baseline.lead):.2f}")

# %% [markdown]
# ## How much of it is luck?
#
# A seed changes the initial weights and the order of the data, and nothing else. So two trainings
# of *one* architecture are a comparison in which nobody can be better. Their difference is the
# noise. A published "A beats B" from one run each is a draw from the dots above.

# %%
first, second = rows[0], rows[1]
pairs = list(product(first.seed_values, second.seed_values))
wrong = np.mean([one >= other for one, other in pairs])
print(
    f"two equal architectures differ by up to {run.ranking.noise_floor:.3f} in 95 % of such comparisons"
)
print(
    f"{first.architecture} is ahead of {second.architecture} by {second.gap_to_leader:.3f} on average"
)
print(f"one seed each: {wrong:.0%} of the {len(pairs)} pairs say the opposite")
for parting in run.ranking.open_questions:
    print(parting)

# %% [markdown] tags=["conclusion"]
# **Why so?** The interval is wider than the spread of the dots suggests, for two more reasons. Three
# seeds say little about how much seeds differ: by themselves they would need Student's factor of 4.3
# in the place of 2 (the package lets all entries vote on that spread). And the test is a sample of
# code as well: its neighbouring pieces are alike, so that they count for fewer.

# %% [markdown]
# ## Equal tuning
#
# A learning rate that suits one architecture spoils another. With one rate for all, the comparison
# measures who happens to like that rate.

# %%
figure = go.Figure(
    layout={
        "title": {"text": "Every learning rate that was tried, on validation"},
        "xaxis": {"title": "learning rate", "type": "log"},
        "yaxis": {"title": "bits per byte (lower is better)"},
    }
)
for row in rows:
    tried = [one for one in row.tried_rates if one.validation_value is not None]
    figure.add_scatter(
        x=[one.learning_rate for one in tried],
        y=[one.validation_value for one in tried],
        mode="lines+markers",
        name=row.architecture,
    )
figure.show()
by_rate = {}
for row in rows:
    for one in row.tried_rates:
        if one.validation_value is not None:
            by_rate.setdefault(one.learning_rate, {})[row.architecture] = one.validation_value
orders = {
    rate: sorted(found, key=found.get) for rate, found in by_rate.items() if len(found) == len(rows)
}
best = {
    row.architecture: min(one.validation_value for one in row.tried_rates if one.validation_value)
    for row in rows
}
for rate, order in sorted(orders.items()):
    print(f"if all had used {rate:g}: {', '.join(order)}")
print(f"each at its own best: {', '.join(sorted(best, key=best.get))}")

# %% [markdown]
# ## And at a hundred times the size?
#
# You will not train 30,000 parameters in earnest. Orders change with size, in both directions, and
# gaps move more smoothly than losses. `sa.forecast` trains a ladder of small comparisons and
# carries the *gap* on, by the method that predicts the hidden top rungs best. Its answer is a
# probability, or that it cannot be told.

# %% [markdown] tags=["prediction"]
# **Predict.** The two best of above are trained at four sizes. By which factor must the training
# grow until you would dare to bet on one of them?

# %%
ladder = sa.forecast(
    "my_code.txt",
    models=names[:2],
    rungs=(1500, 2500, 4000, 6000) if QUICK else (3000, 6000, 12000, 24000),
    tokens_per_parameter=1.0 if QUICK else 2.0,
    rates=(6e-3,) if QUICK else (6e-3, 2e-2),
    widen=0,
    seeds=1 if QUICK else 2,
    jobs=1 if QUICK else None,
    target="10x",
    name="lesson-10-ladder",
    verbose=False,
)
print(ladder.decision)
for warning in ladder.forecast.warnings:
    print(f"- {warning}")
pair = ladder.pairs[0]
low, high = pair.gap_80
print(f"{pair.better} is the better one there with probability {pair.probability:.2f}")
print(f"{pair.worse} is behind it by {low:.3f} to {high:.3f} bits per byte (80 %)")

# %%
scale, gap, low_80, high_80, *_ = np.array(pair.path).T
figure = go.Figure(
    layout={
        "title": {"text": f"How far {pair.worse} is behind {pair.better}, and where that leads"},
        "xaxis": {"title": "training compute over that of the top rung", "type": "log"},
        "yaxis": {"title": "bits per byte (below 0: ahead)"},
    }
)
figure.add_scatter(
    x=[*scale, *scale[::-1]],
    y=[*high_80, *low_80[::-1]],
    fill="toself",
    mode="lines",
    line={"width": 0},
    opacity=0.4,
    name="forecast, 80 %",
    hoverinfo="skip",
)
figure.add_scatter(x=scale, y=gap, mode="lines", name="forecast")
at, seen, seen_low, seen_high = np.array(pair.measured).T
figure.add_scatter(
    x=at,
    y=seen,
    mode="markers",
    marker={"size": 10},
    name="measured, 80 %",
    error_y={"symmetric": False, "array": seen_high - seen, "arrayminus": seen - seen_low},
)
figure.show()

# %% [markdown]
# The fan opens with the distance: that is the price of a bet on a size that nobody tried. Where it
# holds zero, the sentence above says that it cannot be told. It is an answer, and often the right
# one: `docs/decisions.md` has how often such forecasts came true.
#
# The best quality is one reason among others: what a token costs, and what a state costs, is the
# theme of [the lesson before](09_costs.md). `sa.compare` measures those too, unless
# `measure=False` leaves them out, as here.

# %% [markdown]
# ## Hand it over
#
# `sa.train(from_run=...)` takes the winner's settings and carries its learning rate to a larger
# size. `sa.serve` puts it behind the address that OpenAI's clients speak to. The request below is
# plain HTTP: any program can send it.

# %%
product_run = sa.train(
    from_run=run.path,
    params="40k" if QUICK else "100k",
    tokens="12k" if QUICK else "300k",
    name="lesson-10-product",
    verbose=False,
)
winner = product_run.best
print(f"{winner.architecture}: {product_run.rows[0].mean:.2f} bits per byte")
print("def " + winner.generate("def ", count=160, temperature=0.5, seed=0))

# %%
PROMPT = "def "
with sa.serve(product_run.path, port=0) as server:
    stop = server.start()
    wanted = {"model": winner.architecture, "prompt": PROMPT, "max_tokens": 60, "temperature": 0}
    request = urllib.request.Request(
        f"{server.address}/v1/completions",
        json.dumps(wanted).encode(),
        {"Content-Type": "application/json"},
    )
    answer = json.load(urllib.request.urlopen(request))
    stop()
served = answer["choices"][0]["text"]
print(PROMPT + served)
assert served == winner.generate(PROMPT, count=60, temperature=0)

# %% [markdown]
# The server's text is the model's own, letter by letter. From here: `seqarena compare your_file.txt`
# for your data, and its page for everything that was measured.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# **1.** Fifteen *identical* architectures are compared with three seeds each. The best mean is
# declared the winner by a paired t test against the second, at 5 %. How often does that crown a
# winner, and why is it not 5 % of the cases for *any* pair of them?

# %% [markdown] tags=["exercise"]
# **2.** Test pieces are alike where they are neighbours: their scores follow
# $s_i = \rho s_{i-1} + \varepsilon_i$. With $\rho = 0.8$, by which factor is the usual standard
# error of the mean too small? Derive it and simulate it.

# %% [markdown] tags=["exercise"]
# **3.** Two architectures' losses follow $a + b C^{-c}$ with the same $a$ and $c$ and different $b$.
# Show that their order never changes with $C$, and that with different $c$ it may change once.
