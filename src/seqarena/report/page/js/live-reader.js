"use strict";
// A model that has read some tokens, and what it did at each of them.
window.seqarenaReader = (() => {
  const { Machine, difference } = window.seqarenaMachine;
  const { tokenizer: tokenizerOf, softmax } = window.seqarenaText;
  const patience = 12; // milliseconds of reading between two pictures

  class Reader {
    constructor({ dataset, textContent }) {
      const { tokenizer, prompt, model } = JSON.parse(textContent);
      Object.assign(this, { name: dataset.architecture, facts: dataset.facts, idea: dataset.idea, prompt });
      this.tokenizer = tokenizerOf(tokenizer);
      this.machine = new Machine(model);
      this.difference = difference(this.machine, model.test);
      this.room = model.room;
      this.tracks = model.tracks.map((track) => ({ ...track, read: this.machine.reader(track.operand, track.shape) }));
      this.history = []; // of each position: token, logits, what the state was, what tracks show
      this.waiting = [];
      this.orders = new Map();
    }

    get count() {
      return this.history.length;
    }

    get tokens() {
      return [...this.history.map(({ token }) => token), ...this.waiting];
    }

    get full() {
      return this.count + this.waiting.length >= this.room;
    }

    // Takes these tokens for the text: what is read already and still there is kept.
    take(tokens) {
      const wanted = tokens.slice(0, this.room);
      let same = 0;
      while (same < this.count && this.history[same].token === wanted[same]) same++;
      if (same < this.count) {
        this.history.length = same;
        if (same) this.machine.restore(this.history[same - 1].state);
        else this.machine.reset();
      }
      this.waiting = wanted.slice(same);
      return tokens.length - wanted.length;
    }

    // Reads on for a few milliseconds. Whether anything is left.
    read() {
      const end = performance.now() + patience;
      while (this.waiting.length && performance.now() < end) this.one(this.waiting.shift());
      return this.waiting.length > 0;
    }

    one(token) {
      const logits = this.machine.step(token).slice();
      const places = this.count + 1;
      const probabilities = softmax(logits);
      this.history.push({
        token,
        logits,
        probabilities,
        guess: probabilities.reduce((most, p, i) => (p > probabilities[most] ? i : most), 0),
        state: this.machine.snapshot(),
        tracks: this.tracks.map((track) => kept(track, track.read(), places)),
      });
    }

    // Bits that the token at position t cost, after those before it.
    surprise(t) {
      return t ? -Math.log2(this.history[t - 1].probabilities[this.history[t].token]) : null;
    }
  }

  // What of a track is kept: of attention a weight a position and head, else a number a row.
  function kept({ kind, shape, rows, shifts }, numbers, places) {
    if (kind === "attention") {
      const [heads, all] = shape;
      return Array.from({ length: heads }, (_, head) => {
        const own = numbers.subarray(head * all, (head + 1) * all);
        if (!shifts) return own.slice(0, places);
        const from = Math.max(0, places - all);
        return Float32Array.from({ length: places }, (_, s) => (s < from ? 0 : own[all - places + s]));
      });
    }
    if (numbers.length === rows) return numbers;
    const each = numbers.length / rows;
    return Float32Array.from({ length: rows }, (_, row) =>
      Math.hypot(...numbers.subarray(row * each, (row + 1) * each)));
  }

  return { Reader };
})();
