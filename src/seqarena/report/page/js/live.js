"use strict";
// The section "Watch it run": a text, a model that reads it token by token, and pictures of both.
(() => {
  const byId = (name) => document.getElementById(`live-${name}`);
  const stage = byId("stage");
  if (!stage) return;
  const { sample, randoms } = window.seqarenaText;
  const { Reader } = window.seqarenaReader;
  const draw = window.seqarenaPicture;

  const furthest = 1e-4; // from torch, of the largest logit
  const speeds = [1, 2, 4, 8, 15, 30, 60]; // tokens a second
  const begun = 64; // tokens that the page writes when it is opened
  const shown = 10; // tokens that may come next

  // ---- what is chosen

  const readers = [...document.querySelectorAll(".live-model")].map((script) => ({ script, reader: null }));
  const chosen = { model: 0, position: 0, layer: null, head: null, speed: 8, temperature: 0.8 };
  const random = randoms(1);
  let moving = null; // "write" or "replay"
  let owed = 0; // tokens that the clock has not given yet
  let before = 0;
  let notes = "";
  let strips = [];
  let colour = null;

  const now = () => readers[chosen.model].reader;
  const { words, scale, paintGuess, paintSurprise, paintTrack, paintAttention, paintTokens, paintArcs } =
    window.seqarenaStrips({ now, chosen, colour: () => colour });
  const layersOf = (reader) => [...new Set(reader.tracks.map((track) => track.layer))];
  const tracksOf = (reader) => reader.tracks
    .map((track, i) => ({ ...track, i }))
    .filter((track) => track.layer === chosen.layer);

  // ---- pictures

  const chip = (text, pressed, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.setAttribute("aria-pressed", String(pressed));
    made.addEventListener("click", act);
    return made;
  };
  function chips(label, entries) {
    const line = document.createElement("div");
    line.className = "chips";
    line.setAttribute("role", "group");
    line.setAttribute("aria-label", label);
    line.append(...entries);
    return line;
  }

  // The strips of the chosen model and layer, empty.
  function build() {
    const reader = now();
    const place = byId("picture");
    const layers = layersOf(reader);
    if (!layers.includes(chosen.layer)) chosen.layer = layers[0] ?? null;
    place.replaceChildren();
    strips = [];
    const add = (options, paint) => {
      const strip = new draw.Strip(place, options);
      strip.canvas.addEventListener("click", (event) => pick(event.offsetX, true));
      strips.push({ strip, paint });
    };
    add({ name: "Its guess", words: "the likeliest next token, the stronger the surer", height: 24 }, paintGuess);
    add({ name: "Surprise", words: "", height: 44 }, paintSurprise);
    if (layers.length > 1) {
      place.append(chips("Layer", layers.map((layer) => chip(
        layer === null ? "outside of the layers" : `layer ${layer + 1}`, layer === chosen.layer,
        () => { chosen.layer = layer; chosen.head = null; build(); paint(); },
      ))));
    }
    const tracks = tracksOf(reader);
    const attention = tracks.find(({ kind }) => kind === "attention");
    if (attention?.rows > 1) {
      place.append(chips("Head", [null, ...Array(attention.rows).keys()].map((head) => chip(
        head === null ? "all heads" : `head ${head + 1}`, head === chosen.head,
        () => { chosen.head = head; build(); paint(); },
      ))));
    }
    for (const track of tracks) {
      if (track.kind === "attention") {
        add({ name: "Attention,", words: "a column for the token that reads, a row for each that is read, the last at the bottom; a column sums to one", height: 180 }, (strip, view) => paintAttention(strip, view, track));
      } else {
        const wanted = track.kind === "gate" ? 48 : 120; // pixels
        const height = track.rows * Math.max(1, Math.min(12, Math.round(wanted / track.rows)));
        add({ name: capital(track.name) + ",", words: words(track), height }, (strip, view) => paintTrack(strip, view, track));
      }
    }
    if (!tracks.length) {
      const none = document.createElement("p");
      none.className = "live-note";
      none.textContent = "What moves inside of this model is not drawn.";
      place.append(none);
    }
    add({ name: "What is read,", words: attention ? "and, from the chosen token, what it looks at" : "token by token", height: 24 }, (strip, view) => paintTokens(strip, view, attention));
    if (attention) add({ name: "", words: "", height: 46 }, (strip, view) => paintArcs(strip, view, attention));
    if (attention) strips.at(-1).strip.figure.classList.add("under");
    place.append(scale(tracks));
  }
  const capital = (text) => text[0].toUpperCase() + text.slice(1);

  function paint() {
    const reader = now();
    chosen.position = Math.max(0, Math.min(chosen.position, reader.count - 1));
    colour ??= draw.colours(stage);
    const width = byId("picture").clientWidth;
    if (width && reader.count) {
      const view = { ...draw.frame(width, reader.count, chosen.position), chosen: chosen.position, width };
      for (const { strip, paint: one } of strips) one(strip, view);
    }
    byId("picture").style.visibility = reader.count ? "" : "hidden";
    next(reader);
    byId("said").textContent = notes;
    byId("write").textContent = moving ? "Pause" : "Write on";
    byId("step").disabled = byId("write").disabled = reader.full && !moving && chosen.position === reader.count - 1;
    byId("replay").disabled = reader.count < 2;
  }

  // ---- what may come next

  const percent = (p) => (p >= 0.995 ? "100 %" : p >= 0.0995 ? `${(100 * p).toFixed(0)} %` : p >= 0.00095 ? `${(100 * p).toFixed(1)} %` : "<0.1 %");

  function next(reader) {
    const list = byId("next");
    const at = reader.history[chosen.position];
    if (!at) {
      list.replaceChildren();
      byId("after").textContent = "Type something, and the model answers.";
      return;
    }
    const { probabilities } = at;
    const came = reader.history[chosen.position + 1]?.token;
    const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]).slice(0, shown);
    if (came !== undefined && !order.includes(came)) order[shown - 1] = came;
    const top = probabilities[order[0]];
    const focused = [...list.children].findIndex((row) => row.contains(document.activeElement));
    list.replaceChildren(...order.map((token) => {
      const row = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.token = token;
      button.dataset.p = probabilities[token];
      if (token === came) button.className = "came";
      const part = (name, text) => {
        const made = document.createElement("span");
        made.className = name;
        made.textContent = text;
        button.append(made);
        return made;
      };
      part("token", reader.tokenizer.label(token));
      const length = document.createElement("i");
      length.style.width = `${(100 * probabilities[token]) / top}%`;
      part("bar", "").append(length);
      part("share", percent(probabilities[token]));
      button.addEventListener("click", () => write(token));
      row.append(button);
      return row;
    }));
    if (focused >= 0) list.children[Math.min(focused, order.length - 1)].firstChild.focus();
    const read = reader.history.slice(Math.max(0, chosen.position - 11), chosen.position + 1).map(({ token }) => reader.tokenizer.label(token)).join("");
    const surprise = came === undefined ? "" : ` What came is orange: it cost ${reader.surprise(chosen.position + 1).toFixed(1)} bits.`;
    byId("after").textContent = `After “${chosen.position > 11 ? "…" : ""}${read}”.${surprise}`;
  }

  // ---- reading and writing

  function pick(place, inView) { // a position, or pixels from the left of what is seen
    const reader = now();
    stop();
    const view = draw.frame(byId("picture").clientWidth, reader.count, chosen.position);
    chosen.position = Math.max(0, Math.min(reader.count - 1, inView ? view.first + Math.floor(place / view.step) : place));
    paint();
  }

  function showText() {
    const box = byId("text");
    box.value = now().tokenizer.decode(now().tokens);
    box.scrollTop = box.scrollHeight;
  }

  // Writes a token behind the chosen position; what stood there is left out.
  function write(token) {
    const reader = now();
    reader.take([...reader.tokens.slice(0, chosen.position + 1), token]);
    while (reader.read());
    chosen.position = reader.count - 1;
    showText();
    paint();
  }

  // One position on. Whether there was one.
  function forward() {
    const reader = now();
    if (!reader.count) return false;
    if (chosen.position < reader.count - 1) {
      chosen.position++;
      return true;
    }
    if (moving === "replay" || reader.full) return false;
    reader.take([...reader.tokens, sample(reader.history.at(-1).logits, chosen.temperature, random)]);
    while (reader.read());
    chosen.position = reader.count - 1;
    return true;
  }

  function stop() {
    moving = null;
  }

  function move(how) {
    if (moving) {
      stop();
      paint();
      return;
    }
    notes = "";
    moving = how;
    chosen.position = how === "write" ? now().count - 1 : 0;
    owed = 1;
    before = performance.now();
    requestAnimationFrame(tick);
    paint();
  }

  function tick(time) {
    if (!moving) return;
    owed = Math.min(8, owed + (Math.max(0, time - before) / 1000) * chosen.speed);
    before = Math.max(before, time);
    let moved = false;
    const writing = moving === "write";
    while (owed >= 1 && moving) {
      owed -= 1;
      if (forward()) moved = true;
      else {
        if (writing && now().full) notes = full();
        stop();
      }
    }
    if (moved && writing) showText();
    if (moved || !moving) paint();
    if (moving) requestAnimationFrame(tick);
  }
  const full = () => `The page keeps ${now().room} positions, and all are read: shorten the text to go on.`;

  // Reads the waiting tokens, a picture every few milliseconds.
  function pump() {
    const reader = now();
    const left = reader.read();
    chosen.position = reader.count - 1;
    paint();
    if (left) requestAnimationFrame(pump);
  }

  function typed() {
    stop();
    const reader = now();
    const { tokens, lost } = reader.tokenizer.encode(byId("text").value);
    const beyond = reader.take(tokens);
    notes = lost.length ? `Left out, since the training text had none: ${[...new Set(lost)].slice(0, 12).join(" ")}` : "";
    if (beyond) notes = full();
    pump();
  }

  // ---- models

  function use(model) {
    const text = byId("text").value;
    stop();
    chosen.model = model;
    const entry = readers[model];
    const fresh = !entry.reader;
    entry.reader ??= new Reader(entry.script);
    const reader = entry.reader;
    for (const button of byId("models").children) button.setAttribute("aria-pressed", String(Number(button.dataset.model) === model));
    const right = reader.difference <= furthest;
    for (const part of stage.querySelectorAll(".live-text, .live-controls, .live-columns")) part.hidden = !right;
    if (!right) {
      byId("facts").textContent = `${reader.name} does not run here: this browser computes other numbers than torch did (${reader.difference.toExponential(1)} of the largest logit).`;
      return;
    }
    byId("facts").textContent = `${reader.name}: ${reader.facts}. When it was loaded, its answers were compared with torch's: they differ by at most ${reader.difference.toExponential(0)} of the largest logit.`;
    byId("idea").textContent = reader.idea;
    chosen.layer = chosen.head = null;
    build();
    if (text || !fresh || readers.some((other) => other !== entry && other.reader)) {
      typed();
      return;
    }
    byId("text").value = reader.prompt;
    typed();
    while (reader.read());
    chosen.position = reader.count - 1;
    for (let i = 0; i < begun && forward(); i++);
    showText();
    paint();
  }

  byId("models").addEventListener("click", ({ target }) => target.dataset.model && use(Number(target.dataset.model)));
  byId("text").addEventListener("input", typed);
  byId("write").addEventListener("click", () => move("write"));
  byId("replay").addEventListener("click", () => { stop(); move("replay"); });
  byId("step").addEventListener("click", () => {
    stop();
    notes = "";
    const reader = now();
    const there = reader.count;
    if (!forward() && reader.full) notes = full();
    if (reader.count !== there) showText();
    paint();
  });
  byId("picture").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.target !== byId("picture")) return;
    event.preventDefault();
    pick(chosen.position + step, false);
  });
  function say() {
    chosen.temperature = Number(byId("temperature").value);
    chosen.speed = speeds[Number(byId("speed").value)];
    byId("temperature-said").textContent = chosen.temperature === 0 ? "0: the likeliest" : chosen.temperature.toFixed(1);
    byId("speed-said").textContent = `${chosen.speed} tokens/s`;
  }
  byId("temperature").addEventListener("input", say);
  byId("speed").addEventListener("input", say);
  say();

  const recolour = () => {
    colour = null;
    paint();
  };
  new MutationObserver(recolour).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);

  stage.hidden = false;
  use(0);
  let wide = 0;
  new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width && contentRect.width !== wide) paint();
    wide = contentRect.width;
  }).observe(byId("picture"));
  window.seqarenaLive = { reader: now, chosen }; // for tests, and for the curious
  stage.dataset.ready = "true";
})();
