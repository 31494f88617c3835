"use strict";
// What each strip of the picture shows, and the words beside it. `now` gives the reader, `colour`
// the colours of the page, `chosen` is what the person has chosen.
window.seqarenaStrips = ({ now, colour, chosen }) => {
  const draw = window.seqarenaPicture;

  function words({ kind, shape, rows, span, words: own }) {
    const each = shape.reduce((all, n) => all * n, 1) / rows;
    if (kind === "gate") return `${rows} numbers from 0 (closed, faint) to 1 (open, strong); ${own || "open lets through what it multiplies"}`;
    if (kind === "window") return `what enters the layer, which sees the newest and the ${span - 1} before it, and nothing older`;
    if (each > 1) return `${rows} rows, each the size (norm) of ${each} numbers; those that change least are at the top${own ? `; ${own}` : ""}`;
    return `${rows} numbers, one a row, those that change least at the top: a band that keeps its colour is something that is remembered${own ? `; ${own}` : ""}`;
  }

  function scale(tracks) {
    const line = document.createElement("p");
    line.className = "live-scale";
    const entry = (kind, low, high) => {
      const ramp = document.createElement("i");
      ramp.className = kind;
      const made = document.createElement("span");
      made.append(low, ramp, high);
      line.append(made);
    };
    if (tracks.some((track) => signed(track))) entry("signed", "negative", "positive");
    if (tracks.some((track) => !signed(track))) entry("amount", "little", "much");
    return line;
  }
  const total = ({ shape }) => shape.reduce((all, n) => all * n, 1);
  const signed = (track) => ["state", "window"].includes(track.kind) && total(track) === track.rows;

  const weights = (track, t) => {
    const heads = now().history[t].tracks[track.i];
    if (chosen.head !== null) return heads[chosen.head];
    return Float32Array.from(heads[0], (_, s) => heads.reduce((sum, one) => sum + one[s], 0) / heads.length);
  };

  function paintGuess(strip, view) {
    const { history, tokenizer } = now();
    const sure = ({ probabilities, guess }) => probabilities[guess];
    draw.labels(strip, view, colour(), (t) => tokenizer.label(history[t].guess), (t) => 0.2 + 0.8 * sure(history[t]));
  }

  function paintSurprise(strip, view) {
    const reader = now();
    const all = reader.history.map((_, t) => reader.surprise(t)).slice(1);
    const mean = all.reduce((sum, bits) => sum + bits, 0) / all.length;
    const top = Math.max(4, Math.log2(reader.machine.logits.length));
    strip.say(all.length
      ? `at each token, in bits: ${mean.toFixed(2)} a token so far, where guessing blindly costs ${Math.log2(reader.machine.logits.length).toFixed(1)}`
      : "at each token, in bits, once there are two");
    draw.bars(strip, view, colour(), (t) => reader.surprise(t), top);
  }

  // The rows of a layer, those whose state changes least first. It is found once a text is there, and
  // kept; a gate of as many numbers is in the same order.
  function orderOf(reader, track) {
    const plain = Array.from({ length: track.rows }, (_, row) => row);
    const state = reader.tracks.findIndex((one) => one.kind === "state" && one.layer === track.layer && one.rows === track.rows);
    const key = `${track.layer} ${track.rows}`;
    if (state < 0 || track.kind === "window") return plain;
    if (!reader.orders.has(key)) {
      if (reader.count < 24) return plain;
      const unrest = plain.map((row) => {
        const values = reader.history.map(({ tracks }) => tracks[state][row]);
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
        const spread = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
        const moved = values.slice(1).reduce((sum, value, t) => sum + (value - values[t]) ** 2, 0);
        return moved / (spread || 1);
      });
      reader.orders.set(key, plain.sort((a, b) => unrest[a] - unrest[b]));
    }
    return reader.orders.get(key);
  }

  function paintTrack(strip, view, track) {
    const { history } = now();
    let scale = 1;
    if (track.kind !== "gate") { // three times the usual size is full colour
      let sum = 0;
      let count = 0;
      for (let t = view.first; t < view.last; t++) {
        for (const value of history[t].tracks[track.i]) sum += value * value;
        count += track.rows;
      }
      scale = 2.5 * Math.sqrt(sum / count) || 1;
    }
    const order = orderOf(now(), track);
    draw.heat(strip, view, colour(), track.rows, (t) => {
      const column = history[t].tracks[track.i];
      return order.map((row) => column[row] / scale);
    }, signed(track));
    if (track.kind === "window") {
      const pen = strip.canvas.getContext("2d");
      const from = Math.max(view.first, view.chosen - track.span + 1);
      pen.strokeRect((from - view.first) * view.step + 0.75, 0.75, (view.chosen - from + 1) * view.step - 1.5, strip.height - 1.5);
    }
  }

  function paintAttention(strip, view, track) {
    const rows = view.last - view.first;
    strip.height = Math.max(48, Math.min(rows * view.step, 220));
    const most = Math.max(...Array.from({ length: rows }, (_, i) => Math.max(...weights(track, view.first + i).subarray(view.first))), 1e-6);
    draw.heat(strip, view, colour(), rows, (t) => {
      const own = weights(track, t);
      return Float32Array.from({ length: rows }, (_, r) => Math.sqrt((own[view.first + r] ?? 0) / most));
    }, false);
  }

  function paintTokens(strip, view, attention) {
    const { history, tokenizer } = now();
    const own = attention ? weights(attention, view.chosen) : null;
    draw.labels(strip, view, colour(), (t) => tokenizer.label(history[t].token), () => 1, own && ((t) => Math.sqrt(own[t] ?? 0)));
  }

  function paintArcs(strip, view, attention) {
    const own = weights(attention, view.chosen);
    draw.arcs(strip, view, colour(), (t) => Math.sqrt(own[t] ?? 0));
  }

  return { words, scale, paintGuess, paintSurprise, paintTrack, paintAttention, paintTokens, paintArcs };
};
