# %% [markdown]
# # Reading one sentence to write another
#
# **The question.** A network reads a sentence, however long, and keeps one vector. A second network
# writes another sentence from that vector. What does not fit into it? And when the second network
# may look back at what the first one read, where does it look?
#
# Strings of digits answer the first half, since their length can be chosen and nothing can be guessed.
# Dates and sentences answer the second. Attention is written out in torch, and is equal to ours.

# %%
import gzip
import os
import re
from collections import Counter, defaultdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import torch
from torch import nn

import seqarena as sa
from seqarena.core.batch import Batch
from seqarena.data.text.dates import make_dates

QUICK = "SEQARENA_QUICK" in os.environ  # the tests run this lesson in seconds
PROJECT = Path(sa.__file__).parent.parent.parent
DATA = Path(os.environ.get("SEQARENA_DATA", PROJECT.parent / "shared" / "data"))

# %% [markdown]
# ## Is there room?
#
# Texts that are handed out call the vector too small: "you're asking a 256- or 512-dimensional vector
# to carry hundreds of distinct facts". Then count. One *exact* number holds any string of digits $x_t$:
#
# $$h_t = \frac{h_{t-1} + x_t}{10}$$
#
# and gives it back:
#
# $$x_t = \lfloor 10\, h_t \rfloor, \qquad h_{t-1} = 10\, h_t - x_t$$
#
# That is a recurrent network with one unit (Siegelmann and Sontag 1995). What goes in last comes out
# first. A float has a significand of some bits, so a vector of floats has room for so many digits.

# %%
string = np.random.default_rng(0).integers(10, size=500).tolist()
h, back = Fraction(0), []
for digit in string:
    h = (h + digit) / 10
for _ in string:
    back.append(int(10 * h))
    h = 10 * h - back[-1]
assert back == string[::-1]

WIDTH, SIGNIFICAND = 64, 24  # numbers of a vector; bits of each, in float32
room = int(WIDTH * SIGNIFICAND / np.log2(10))
print(f"{WIDTH} numbers of float32 have room for {room} digits")

# %% [markdown]
# ## Two networks, and a look back
#
# One LSTM reads $x_1 \ldots x_S$ and ends in a state. Another begins in that state and writes, each
# time from the symbol before (Sutskever et al. 2014). With *attention* it compares its own output $h_t$
# with each output $a_j$ of the reader, and takes their mean by the softmax of that (Luong et al. 2015,
# "dot"; Bahdanau et al. 2015 were first, with a small network as the score):
#
# $$w_{tj} = \operatorname{softmax}_j(h_t \cdot a_j), \qquad c_t = \sum_j w_{tj}\, a_j$$
#
# $$g_t = \tanh(W_c [c_t ; h_t])$$
#
# The next symbol is read off $g_t$.
# There is no more to it: a product, a softmax, a product.


# %%
class Translator(nn.Module):
    """Sources [B, S] and what was written before [B, T] -> logits [B, T, V], weights [B, T, S]."""

    def __init__(self, sources, targets, width, attention=True):
        super().__init__()
        self.attention = attention
        self.source, self.target = nn.Embedding(sources, width), nn.Embedding(targets, width)
        self.reader = nn.LSTM(width, width, batch_first=True)
        self.writer = nn.LSTM(width, width, batch_first=True)
        self.join = nn.Linear(2 * width, width, bias=False)
        self.output = nn.Linear(width, targets)

    def forward(self, source, written):
        a, end = self.reader(self.source(source))
        h, _ = self.writer(self.target(written), end)
        weights = torch.softmax(h @ a.transpose(1, 2), -1)
        if self.attention:
            h = torch.tanh(self.join(torch.cat((weights @ a, h), -1)))
        return self.output(h), weights


# %% [markdown]
# Is it right? `seqarena` has Luong's network as `luong_dot`. It gets our weights and the same input.

# %%
torch.manual_seed(0)
mine = Translator(12, 12, 16).double()
problem = sa.Problem(form="pairs", num_outputs=12, vocab_size=12, source_vocab_size=12, causal=True)
plain = {"layers": 1, "input_feeding": False, "reverse_source": False}
ours = sa.build("luong_dot", problem=problem, width=16, options=plain).double().eval()
ours.source_tokens, ours.target_tokens = mine.source, mine.target
ours.join, ours.output = mine.join, mine.output
source, written = torch.randint(12, (3, 9)), torch.randint(12, (3, 7))
with torch.no_grad():
    for cell, lstm in ((ours.encoder[0], mine.reader), (ours.decoder[0], mine.writer)):
        cell.input_FD.copy_(lstm.weight_ih_l0)
        cell.recurrent_FE.copy_(lstm.weight_hh_l0)
        cell.bias_F.copy_(lstm.bias_ih_l0 + lstm.bias_hh_l0)
    logits, weights = mine(source, written)
    batch = Batch(written, written, source_BS=source)
    apart = max(abs(logits - ours.answer(batch)).max(), abs(weights - ours.attention(batch)).max())
print(f"logits and weights differ from the package's by at most {apart:.1e}")
assert apart < 1e-12

# %% [markdown] tags=["prediction"]
# **Predict.** The networks, with vectors of 64 numbers, learn to write back strings of 1 to 20 random
# digits. By the count above there is room for hundreds. From which length on is less than half of the
# strings right in every digit, (a) when the vector is all that the writer gets, (b) when the reader
# reads backwards, which Sutskever et al. found "extremely valuable", (c) with attention? And what
# happens beyond the 20 digits of training?

# %%
LONGEST = 20
LENGTHS = [1, 5, 10, 20, 40] if QUICK else [1, 2, 4, 6, 8, 10, 12, 14, 16, 20, 26, 32, 40]
WAYS = {"vector": (False, False), "vector, backwards": (False, True), "attention": (True, False)}


def descend(net, steps, example):
    """Adam, at a rate that rises and falls: `example()` gives source, written and targets."""
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, steps, pct_start=0.1)
    for _ in range(steps):
        source, written, targets = example()
        loss = nn.functional.cross_entropy(net(source, written)[0].transpose(1, 2), targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def learn_digits(attention, backwards, seed):
    """The share of strings that are right in every digit, by length."""
    torch.manual_seed(seed)
    net = Translator(10, 11, WIDTH, attention)

    def strings(length, count):
        x = torch.randint(10, (count, length))
        before = torch.cat((torch.full((count, 1), 10), x[:, :-1]), 1)  # 10 begins
        return (x.flip(1) if backwards else x), before, x

    descend(net, 150 if QUICK else 450, lambda: strings(int(torch.randint(1, LONGEST + 1, ())), 64))
    right = []
    for length in LENGTHS:  # each digit after right ones: all are right where it writes by itself
        *seen, x = strings(length, 200)
        with torch.no_grad():
            right.append(float((net(*seen)[0].argmax(-1) == x).all(1).float().mean()))
    return right


seeds = range(1 if QUICK else 3)
exact = {way: np.array([learn_digits(*how, seed) for seed in seeds]) for way, how in WAYS.items()}
means = {way: shares.mean(0) for way, shares in exact.items()}

# %%
figure = go.Figure()
for way, mean in means.items():
    bars = {"array": exact[way].max(0) - mean, "arrayminus": mean - exact[way].min(0)}
    figure.add_scatter(x=LENGTHS, y=mean, name=way, mode="lines+markers", error_y=bars)
figure.update_layout(
    title="Strings written back without a fault",
    xaxis_title=f"digits in the string (trained on 1 to {LONGEST})",
    yaxis_title="share of strings (bars: seeds)",
    yaxis_tickformat=".0%",
)
figure.show()

for way, mean in means.items():
    half = next((length for length, share in zip(LENGTHS, mean) if share < 0.5), None)
    print(f"{way:18s} less than half right " + (f"from {half} digits on" if half else "nowhere"))
fails = LENGTHS[np.argmax(means["vector"] < 0.5)]
print(f"the vector fails at {fails} digits: {fails / room:.1%} of its room")
gain = means["vector, backwards"] - means["vector"]
print(f"reading backwards gains {gain.max():.0%} of the strings at {LENGTHS[gain.argmax()]} digits")

# %% [markdown] tags=["conclusion"]
# **Why so?** The vector has room. What it lacks is a *learned code*: gradient descent must invent a way
# to pack digits, and the writer must learn to unpack them, both from the errors of the last layer.
# Reading backwards does not add a bit. It puts the digit that is needed first next to where writing
# begins, as in the one number above, whose last digit comes out first. Attention needs no code: a digit
# stays where it was read, and the writer learns *where* to look.
#
# The price is a vector kept for each symbol of the source instead of one in all, and a comparison of
# each written symbol with each read one. Nor is it faster: reader and writer still go step by step.

# %% [markdown]
# ## Where does it look?
#
# One of the texts draws a map of attention from `np.random.rand(seq_len, seq_len)`, times
# `np.exp(-distance / 3)`, then sets the weight of "it" on "cat" to 0.6 by hand. No sentence enters.
# Ours is trained: Bahdanau's network (`rnnsearch`), whose reader goes both ways, learns to turn dates
# of ten languages into ISO dates, letter by letter.

# %%
steps = 100 if QUICK else 400
run = sa.train(
    task="translation", model="rnnsearch", params="60k", steps=steps, batch=64, rate=1e-2,
    evaluations=1, baselines=False, name=f"dates-{steps}", verbose=False,
)  # fmt: skip
print(f"dates that it never saw, right in every letter: {run.rows[0].mean:.1%}")

# %% [markdown] tags=["prediction"]
# **Predict.** It reads "mercredi 4 mars 1987" and writes 1987-03-04. Which letter has the largest weight
# when it writes the first digit of the year? When it writes the 3 of the month? And the hyphen, which
# is always the same? Then hide one letter of the source behind an unknown sign: which one must be
# hidden to make the written letter least likely? Is that the letter it looked at?

# %%
reader = run.best.predictor()
model, codec = reader.model, reader.codec


@torch.no_grad()
def looks_and_needs(source, target):
    """Two tables [T, S]: the weights, and the probability of the written letter that is lost when a
    letter of the source is hidden."""
    hidden = [source[:j] + "~" + source[j + 1 :] for j in range(len(source))]
    batch = codec.encode([source, *hidden])
    y = torch.tensor(codec.sides.target.encode(target)).expand(len(hidden) + 1, -1)
    batch = batch._replace(inputs_BT=torch.cat((batch.inputs_BT, y[:, :-1]), 1))
    p = model.answer(batch).softmax(-1).gather(2, y[..., None])[..., 0]
    return model.attention(batch)[0].numpy(), (p[0] - p[1:]).T.numpy()


def maps(title, read, written, entries):
    """A figure of one map at a time: entries are label, table [T, S], its T rows and S columns."""
    figure, buttons = go.Figure(), []
    for k, (label, table, rows, columns) in enumerate(entries):
        figure.add_heatmap(z=table.round(3), zmin=0, zmax=1, colorscale="Viridis", visible=k == 0)
        axes = {"xaxis.tickvals": [*range(len(columns))], "xaxis.ticktext": list(columns)}
        axes |= {"yaxis.tickvals": [*range(len(rows))], "yaxis.ticktext": list(rows)}
        change = {"visible": [k == other for other in range(len(entries))]}
        buttons.append({"label": label, "method": "update", "args": [change, axes]})
    for name, value in buttons[0]["args"][1].items():
        figure.layout[name] = value
    above = {"x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    figure.update_layout(updatemenus=[{"buttons": buttons, **above}], margin_t=48, height=520)
    figure.update_layout(title=title, xaxis_title=read, yaxis_title=written)
    figure.update_yaxes(autorange="reversed")
    figure.show()


entries = []
for source in ("mercredi 4 mars 1987", "4. maaliskuuta 1987", "March 4, 1987", "4.3.1987"):
    for word, table in zip(("looks at", "needs"), looks_and_needs(source, "1987-03-04")):
        entries.append((f"{word}: {source}", table, "1987-03-04", source.replace(" ", "␣")))
title = "What each letter looks at, and needs"
maps(title, "letter that is read", "letter that is written", entries)

# %% [markdown]
# Not one date, but many that it never saw. Every one has its year in four digits, so we know where
# each digit of the year stands in the source.

# %%
tests = make_dates().test[: 30 if QUICK else 200]
off, same = Counter(), np.zeros(10)
for source, target in tests:
    looks, needs = looks_and_needs(source, target)
    same += looks.argmax(1) == needs.argmax(1)
    for digit in range(4):
        off[digit, int(looks[digit].argmax()) - source.index(target[:4]) - digit] += 1
for (digit, place), count in sorted(off.items()):
    if count > len(tests) / 10:
        where = f"{abs(place)} {'behind' if place > 0 else 'before'} it" if place else "at itself"
        print(f"digit {digit + 1} of the year looks {where} in {count} of {len(tests)} dates")
parts = {"the year": [0, 1, 2, 3], "the month": [5, 6], "the day": [8, 9], "the hyphens": [4, 7]}
for name, places in parts.items():
    print(f"{name:12s} most looked at is most needed in {same[places].mean() / len(tests):.0%}")

# %% [markdown] tags=["conclusion"]
# **Why so?** It does not look at letters. It looks at *states* of a reader that goes both ways, and a
# state knows its neighbours. "The year begins here" can be found one letter further on just as well,
# and a month at the end of its name, where the reader has seen all of it. Where nothing is needed, the
# softmax must still hand out a whole 1. A map of attention shows where a network fetches something.
# What it fetches there may come from elsewhere (Jain and Wallace 2019; Wiegreffe and Pinter 2019).

# %% [markdown]
# ## Sentences
#
# Now German to English (Multi30k: captions of pictures), word by word, with the network in torch from
# above. To be trained in seconds it gets short sentences of frequent words.


# %%
def captions(part):
    """Pairs of German and English words in lower case; [] where the data are not here."""
    files = [DATA / "multi30k-en-de" / f"{part}.{side}.gz" for side in ("de", "en")]
    if not all(file.exists() for file in files):
        return []
    texts = [gzip.decompress(file.read_bytes()).decode().lower().splitlines() for file in files]
    sides = [[tuple(re.findall(r"\w+|[^\w\s]", line)) for line in text] for text in texts]
    return list(zip(*sides))


def frequent(sentences):
    """Word -> number, of the commonest; 0 begins a sentence and 1 ends it."""
    words = [word for word, _ in Counter(w for words in sentences for w in words).most_common(800)]
    return {word: number for number, word in enumerate(["<begin>", "<end>", *words])}


train, test = captions("train"), captions("test_2016_flickr")
if not train:
    print("Multi30k is not on this machine: the lesson ends with the dates above.")
german, english = (frequent(pair[side] for pair in train) for side in (0, 1))
known = [p for p in train if len(p[0]) <= 12 and {*p[0]} <= {*german} and {*p[1]} <= {*english}]
new = {x for x, _ in test if len(x) <= 12 and {*x} <= {*german}} - {x for x, _ in known}
by_length = defaultdict(list)  # sources of one length need no padding
for x, y in known:
    by_length[len(x)].append(([german[w] for w in x], [english[w] for w in y]))
print(f"{len(known):,} pairs to learn from, {len(new)} new sentences")


def tensors(chosen):
    """Source, what is written before each word, targets; behind a target's end nothing is asked."""
    longest = max(len(y) for _, y in chosen) + 1
    written = [[0, *y, *[1] * (longest - 1 - len(y))] for _, y in chosen]
    targets = [[*y, 1, *[-100] * (longest - 1 - len(y))] for _, y in chosen]
    return torch.tensor([x for x, _ in chosen]), torch.tensor(written), torch.tensor(targets)


def some_captions():
    """64 pairs with sources of one length."""
    alike = by_length[len(known[int(torch.randint(len(known), ()))][0])]
    return tensors([alike[k] for k in torch.randint(len(alike), (64,)).tolist()])


@torch.no_grad()
def translate(x):
    """The words that the network writes, the likeliest each time, and their weights [T, S]."""
    source, written = torch.tensor([[german[w] for w in x]]), [0]
    while written[-1] != 1 and len(written) < 16:
        logits, weights = net(source, torch.tensor([written]))
        written.append(int(logits[0, -1].argmax()))
    return [[*english][k] for k in written[1:]], weights[0].numpy()


if train:
    torch.manual_seed(0)
    net = Translator(len(german), len(english), 96)
    descend(net, 80 if QUICK else 500, some_captions)
    entries = [
        (" ".join(x)[:30], *reversed(translate(x)), x) for x in sorted(new)[:: len(new) // 7]
    ]
    for _, _, words, x in entries:
        print(f"{' '.join(x):60s} {' '.join(words[:-1])}")
    maps("Where each English word looks", "German, read", "English, written", entries)

# %% [markdown] tags=["prediction"]
# **Predict.** A dictionary comes out of these maps. For each English word, add up its weights over all
# sentences of the training and take the German word that got most. What do you expect for "two", for
# "on", and for "is", which German has no word for in "ein mann läuft"? And a rival: *count* in how many
# pairs two words occur together, and take the word with the largest share, $2 n_{ef} / (n_e + n_f)$
# (Dice 1945). Which of the two makes the better dictionary of the thirty commonest words?

# %%
if train:
    looked = torch.zeros(len(english), len(german))
    for alike in by_length.values():
        source, before, targets = tensors(alike)
        with torch.no_grad():
            weights, real = net(source, before)[1], targets >= 0
        cell = targets[..., None] * len(german) + source[:, None]
        looked.view(-1).index_add_(0, cell[real].flatten(), weights[real].flatten())
    occurs = [torch.zeros(len(known), len(words)) for words in (english, german)]
    for k, (x, y) in enumerate(known):
        occurs[0][k, [english[w] for w in y]] = 1
        occurs[1][k, [german[w] for w in x]] = 1
    together, counts = occurs[0].T @ occurs[1], [one.sum(0) for one in occurs]
    dice = 2 * together / (counts[0][:, None] + counts[1]).clamp(min=1)
    share, place = (looked / looked.sum(1, keepdim=True).clamp(min=1e-9)).max(1)
    by_looking, by_counting = ([[*german][k] for k in best] for best in (place, dice.argmax(1)))
    rows = list(zip(english, by_looking, by_counting))[2:32]
    figure = go.Figure(go.Bar(orientation="h", x=share[2:32].tolist()))
    figure.data[0].y = [f"{word} → {looked}" for word, looked, _ in rows]
    figure.data[0].hovertext = [f"by counting {counted}" for *_, counted in rows]
    figure.update_layout(
        title="What each English word looks at most",
        xaxis_title="share of the English word's attention",
        xaxis_tickformat=".0%",
        yaxis_title="the thirty commonest words",
        yaxis_autorange="reversed",
        height=700,
    )
    figure.show()
    differ = [f"{word}: {looked} {counted}" for word, looked, counted in rows if looked != counted]
    print(f"{len(differ)} of {len(rows)} differ. The word, by looking, by counting:")
    for first in range(0, len(differ), 3):
        print("   " + "".join(f"{text:26s}" for text in differ[first : first + 3]))

# %% [markdown] tags=["conclusion"]
# **Why so?** It was given no dictionary, and not told that words belong to words. Its only teacher is
# the next word, and states serve as well as words do: this reader goes from left to right, so that its
# state at "männer" has just read "zwei", and both can be fetched there. Where the writer knows the word
# from what it has written, the weights matter little, and lie where they happened to lie. Attention
# learns to *translate*. For a dictionary it is enough to count (Brown et al. 1993, exercise 3).

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# **1.** Attention knows no order. Shuffle the vectors $a_j$: what happens to $c_t$? So how can a writer
# look at "the word behind the last one"?

# %% [markdown] tags=["exercise"]
# **2.** The one number $h_t$ holds any string when it is exact. Up to how many digits does a float64 hold
# every string of them? And a float32?

# %% [markdown] tags=["exercise"]
# **3.** IBM's first model (Brown et al. 1993): $t(e \mid f)$ begins even; each English word is shared out
# among the German words of its sentence by $t$; the shares, counted, are the next $t$. Run it on *das
# Haus, the house*; *das Buch, the book*; *ein Buch, a book*. Which word is "das"?
