"use strict";
// Text to tokens and back, as data/text/tokenizers.py has it, and drawing the next token.
window.seqarenaText = (() => {
  const utf8 = new TextEncoder();
  const toText = (bytes) => new TextDecoder().decode(Uint8Array.from(bytes));

  // Each gives: encode(text) -> { tokens, lost: characters without a token }; bytes: of each token.
  const kinds = {
    byte() {
      return {
        encode: (text) => ({ tokens: [...utf8.encode(text)], lost: [] }),
        bytes: Array.from({ length: 256 }, (_, value) => [value]),
      };
    },

    char({ characters, byte_fallback: spelled }) {
      const known = [...characters];
      const index = new Map(known.map((character, i) => [character, i]));
      const bytes = known.map((character) => [...utf8.encode(character)]);
      if (spelled) for (let value = 0; value < 256; value++) bytes.push([value]);
      return {
        encode(text) {
          const tokens = [];
          const lost = [];
          for (const character of text) {
            if (index.has(character)) tokens.push(index.get(character));
            else if (spelled) for (const value of utf8.encode(character)) tokens.push(known.length + value);
            else lost.push(character);
          }
          return { tokens, lost };
        },
        bytes,
      };
    },

    // Byte-level byte-pair encoding: the pair that was learned first is joined first.
    bpe({ tokens: spelled, merges }) {
      const visible = (value) => (value > 0x20 && value < 0x7f) || (value > 0xa0 && value !== 0xad);
      const signs = Array.from({ length: 256 }, (_, value) => value);
      const others = signs.filter((value) => !visible(value));
      const sign = signs.map((value) => String.fromCharCode(visible(value) ? value : 256 + others.indexOf(value)));
      const valueOf = new Map(sign.map((character, value) => [character, value]));
      const index = new Map(spelled.map((token, i) => [token, i]));
      const first = sign.map((character) => index.get(character));
      const ranks = new Map(merges.map(([a, b, joined], rank) => [`${a} ${b}`, { rank, joined }]));
      const words = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
      function joined(word) {
        const parts = [...utf8.encode(word)].map((value) => first[value]);
        for (;;) {
          let best = null;
          for (let i = 0; i + 1 < parts.length; i++) {
            const pair = ranks.get(`${parts[i]} ${parts[i + 1]}`);
            if (pair && (best === null || pair.rank < best.pair.rank)) best = { pair, i };
          }
          if (best === null) return parts;
          parts.splice(best.i, 2, best.pair.joined);
        }
      }
      return {
        encode: (text) => ({ tokens: (text.match(words) ?? []).flatMap(joined), lost: [] }),
        bytes: spelled.map((token) => [...token].flatMap((character) =>
          valueOf.has(character) ? [valueOf.get(character)] : [...utf8.encode(character)])),
      };
    },
  };

  function tokenizer(data) {
    const made = kinds[data.kind](data);
    return {
      ...made,
      decode: (tokens) => toText(tokens.flatMap((token) => made.bytes[token])),
      // A token by itself, for a label: what is no text by itself is its bytes in hexadecimal.
      label(token) {
        const text = toText(made.bytes[token]);
        if (text.includes("\ufffd") || /[\u0000-\u0008\u000b-\u001f\u007f]/.test(text)) {
          return made.bytes[token].map((value) => value.toString(16).padStart(2, "0")).join("");
        }
        return text.replaceAll("\n", "⏎").replaceAll("\t", "⇥").replaceAll(" ", "·");
      },
    };
  }

  function softmax(logits, temperature = 1) {
    const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
    const parts = Float64Array.from(logits, (x) => Math.exp((x - most) / temperature));
    const sum = parts.reduce((a, b) => a + b, 0);
    return parts.map((part) => part / sum);
  }

  // A token at random, or at temperature 0 the likeliest. `random` gives numbers from 0 to 1.
  function sample(logits, temperature, random) {
    if (temperature === 0) return logits.indexOf(logits.reduce((a, b) => Math.max(a, b), -Infinity));
    const probabilities = softmax(logits, temperature);
    let left = random();
    let last = 0;
    for (let token = 0; token < probabilities.length; token++) {
      if (probabilities[token] > 0) last = token;
      left -= probabilities[token];
      if (left < 0) return token;
    }
    return last;
  }

  // mulberry32: the same numbers for the same seed.
  function randoms(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let x = Math.imul(state ^ (state >>> 15), 1 | state);
      x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
      return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
    };
  }

  return { tokenizer, softmax, sample, randoms };
})();
