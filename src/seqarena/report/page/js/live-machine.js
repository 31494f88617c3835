"use strict";
// Runs one step of a model, again and again: the interpreter of models/export/js/program.py.
//
// An instruction is [kind, function, shape, operands, ...]; an operand is [buffer, offset, strides]
// with a stride for each axis of the shape. Every instruction has one loop over typed arrays. Where
// the outer axes begin is computed once, when the model is loaded.
window.seqarenaMachine = (() => {
  // ---- numbers from base64

  const kinds = { f: Float32Array, i: Int32Array, h: Uint16Array };
  function decoded({ kind, size, data }) {
    const text = atob(data);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const found = new kinds[kind](bytes.buffer);
    const numbers = kind === "h" ? Float32Array.from(found, ofHalf) : found;
    return numbers.length === size ? numbers : new numbers.constructor(size).fill(numbers[0]);
  }
  function ofHalf(bits) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const rest = bits & 1023;
    if (exponent === 31) return rest ? NaN : sign * Infinity;
    return exponent ? sign * 2 ** (exponent - 15) * (1 + rest / 1024) : sign * 2 ** -24 * rest;
  }

  // ---- functions number by number: n numbers, from i, j, k, l on, s, t, u, v apart

  // The error function by the rational forms of W. J. Cody (1969).
  function erf(x) {
    const y = Math.abs(x);
    if (y <= 0.5) {
      const z = y * y;
      return (x * ((((1.857777061846031526730e-1 * z + 3.161123743870565596947) * z + 1.138641541510501556495e2) * z + 3.774852376853020208137e2) * z + 3.209377589138469472562e3)) /
        ((((z + 2.360129095234412093499e1) * z + 2.440246379344441733056e2) * z + 1.282616526077372275645e3) * z + 2.844236833439170622273e3);
    }
    if (y > 6) return Math.sign(x);
    const above = ((((((((2.15311535474403846343e-8 * y + 5.64188496988670089180e-1) * y + 8.88314979438837594118) * y + 6.61191906371416294775e1) * y + 2.98635138197400131132e2) * y + 8.81952221241769090411e2) * y + 1.71204761263407058314e3) * y + 2.05107837782607146532e3) * y + 1.23033935479799725272e3);
    const below = ((((((((y + 1.57449261107098347253e1) * y + 1.17693950891312499305e2) * y + 5.37181101862009857509e2) * y + 1.62138957456669018874e3) * y + 3.29079923573345962678e3) * y + 4.36261909014324715820e3) * y + 3.43936767414372163696e3) * y + 1.23033935480374942043e3);
    return Math.sign(x) * (1 - (Math.exp(-y * y) * above) / below);
  }
  function even(x) { // to the nearest whole number, halves to the even one
    const up = Math.round(x);
    return Math.abs(x % 1) === 0.5 && up % 2 !== 0 ? up - 1 : up;
  }

  const each = {
    copy(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = a[j]; },
    neg(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = -a[j]; },
    abs(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = Math.abs(a[j]); },
    exp(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = Math.exp(a[j]); },
    log(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = Math.log(a[j]); },
    log1p(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = Math.log1p(a[j]); },
    expm1(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = Math.expm1(a[j]); },
    sigmoid(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = 1 / (1 + Math.exp(-a[j])); },
    tanh(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = Math.tanh(a[j]); },
    relu(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = a[j] > 0 ? a[j] : 0; },
    elu(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = a[j] > 0 ? a[j] : Math.expm1(a[j]); },
    sqrt(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = Math.sqrt(a[j]); },
    rsqrt(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = 1 / Math.sqrt(a[j]); },
    reciprocal(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = 1 / a[j]; },
    sin(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = Math.sin(a[j]); },
    cos(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = Math.cos(a[j]); },
    round(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = even(a[j]); },
    not(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = a[j] ? 0 : 1; },
    gelu(n, o, i, s, a, j, t) { for (; n--; i += s, j += t) o[i] = 0.5 * a[j] * (1 + erf(a[j] * Math.SQRT1_2)); },
    gelu_tanh(n, o, i, s, a, j, t) {
      for (; n--; i += s, j += t) {
        const x = a[j];
        o[i] = 0.5 * x * (1 + Math.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
      }
    },
    add(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = a[j] + b[k]; },
    sub(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = a[j] - b[k]; },
    mul(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = a[j] * b[k]; },
    div(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = a[j] / b[k]; },
    pow(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = a[j] ** b[k]; },
    atan2(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = Math.atan2(a[j], b[k]); },
    remainder(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = ((a[j] % b[k]) + b[k]) % b[k]; },
    minimum(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = Math.min(a[j], b[k]); },
    maximum(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = Math.max(a[j], b[k]); },
    ge(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = a[j] >= b[k] ? 1 : 0; },
    gt(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = a[j] > b[k] ? 1 : 0; },
    le(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = a[j] <= b[k] ? 1 : 0; },
    lt(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = a[j] < b[k] ? 1 : 0; },
    eq(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = a[j] === b[k] ? 1 : 0; },
    ne(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = a[j] !== b[k] ? 1 : 0; },
    and(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = a[j] & b[k]; },
    or(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = a[j] | b[k]; },
    both(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = a[j] && b[k] ? 1 : 0; },
    either(n, o, i, s, a, j, t, b, k, u) { for (; n--; i += s, j += t, k += u) o[i] = a[j] || b[k] ? 1 : 0; },
    where(n, o, i, s, a, j, t, b, k, u, c, l, v) {
      for (; n--; i += s, j += t, k += u, l += v) o[i] = a[j] ? b[k] : c[l];
    },
    clamp(n, o, i, s, a, j, t, b, k, u, c, l, v) {
      for (; n--; i += s, j += t, k += u, l += v) o[i] = Math.min(Math.max(a[j], b[k]), c[l]);
    },
  };

  // ---- loops: `made` prepares one and gives the function that runs it

  // Where an operand begins for each index of the axes `shape`.
  function starts([, offset, strides], shape) {
    let found = [offset];
    shape.forEach((count, axis) => {
      found = found.flatMap((at) => Array.from({ length: count }, (_, i) => at + i * strides[axis]));
    });
    return Int32Array.from(found);
  }

  const made = {
    each(arrays, name, shape, operands) {
      const run = each[name];
      const outer = shape.slice(0, -1);
      const n = shape.at(-1);
      const [o, a, b, c] = arrays;
      const [i, j, k, l] = operands.map((one) => starts(one, outer));
      const [s, t, u, v] = operands.map(([, , strides]) => strides.at(-1));
      const rows = i.length;
      if (!b) return () => { for (let r = 0; r < rows; r++) run(n, o, i[r], s, a, j[r], t); };
      if (!c) return () => { for (let r = 0; r < rows; r++) run(n, o, i[r], s, a, j[r], t, b, k[r], u); };
      return () => {
        for (let r = 0; r < rows; r++) run(n, o, i[r], s, a, j[r], t, b, k[r], u, c, l[r], v);
      };
    },

    product([o, a, b], name, [G, M, N, K], operands) {
      const [, , acrossN, acrossK] = operands[2][2];
      const [oo, aa, bb] = operands.map((one) => starts(one, [G, M]));
      const stepN = operands[0][2][2];
      const stepK = operands[1][2][3];
      if (acrossN === 1) { // the inner loop runs over neighbours of b
        const sums = new Float64Array(N);
        return () => {
          for (let r = 0; r < G * M; r++) {
            sums.fill(0);
            for (let k = 0, j = aa[r], at = bb[r]; k < K; k++, j += stepK, at += acrossK) {
              const x = a[j];
              if (x !== 0) for (let n = 0; n < N; n++) sums[n] += x * b[at + n];
            }
            for (let n = 0, i = oo[r]; n < N; n++, i += stepN) o[i] = sums[n];
          }
        };
      }
      return () => {
        for (let r = 0; r < G * M; r++) {
          for (let n = 0, i = oo[r]; n < N; n++, i += stepN) {
            let sum = 0;
            for (let k = 0, j = aa[r], at = bb[r] + n * acrossN; k < K; k++, j += stepK, at += acrossK) sum += a[j] * b[at];
            o[i] = sum;
          }
        }
      };
    },

    reduce([x, o], name, shape, operands, split) {
      const [xx, oo] = operands.map((one) => starts(one, shape.slice(0, split)));
      const inner = within(operands[0], shape, split);
      const n = inner.length;
      const square = name === "norm";
      if (name === "max") {
        return () => {
          for (let r = 0; r < xx.length; r++) {
            let most = -Infinity;
            for (let q = 0; q < n; q++) most = Math.max(most, x[xx[r] + inner[q]]);
            o[oo[r]] = most;
          }
        };
      }
      return () => {
        for (let r = 0; r < xx.length; r++) {
          let sum = 0;
          for (let q = 0; q < n; q++) {
            const y = x[xx[r] + inner[q]];
            sum += square ? y * y : y;
          }
          o[oo[r]] = square ? Math.sqrt(sum) : name === "mean" ? sum / n : sum;
        }
      };
    },

    softmax([x, o], name, shape, operands, split) {
      const [xx, oo] = operands.map((one) => starts(one, shape.slice(0, split)));
      const [from, to] = operands.map((one) => within(one, shape, split));
      const n = from.length;
      return () => {
        for (let r = 0; r < xx.length; r++) {
          let most = -Infinity;
          let sum = 0;
          for (let q = 0; q < n; q++) most = Math.max(most, x[xx[r] + from[q]]);
          for (let q = 0; q < n; q++) sum += o[oo[r] + to[q]] = Math.exp(x[xx[r] + from[q]] - most);
          for (let q = 0; q < n; q++) o[oo[r] + to[q]] /= sum;
        }
      };
    },

    running([x, o], name, shape, operands, split) {
      const [xx, oo] = operands.map((one) => starts(one, shape.slice(0, split)));
      const [from, to] = operands.map((one) => within(one, shape, split));
      return () => {
        for (let r = 0; r < xx.length; r++) {
          let sum = name === "sum" ? 0 : -Infinity;
          for (let q = 0; q < from.length; q++) {
            const y = x[xx[r] + from[q]];
            o[oo[r] + to[q]] = sum = name === "sum" ? sum + y : Math.max(sum, y);
          }
        }
      };
    },

    normalise([x, o], name, shape, operands, split, eps) {
      const [xx, oo] = operands.map((one) => starts(one, shape.slice(0, split)));
      const [from, to] = operands.map((one) => within(one, shape, split));
      const n = from.length;
      return () => {
        for (let r = 0; r < xx.length; r++) {
          let mean = 0;
          let square = 0;
          for (let q = 0; q < n; q++) mean += x[xx[r] + from[q]];
          mean /= n;
          for (let q = 0; q < n; q++) square += (x[xx[r] + from[q]] - mean) ** 2;
          const factor = 1 / Math.sqrt(square / n + eps);
          for (let q = 0; q < n; q++) o[oo[r] + to[q]] = (x[xx[r] + from[q]] - mean) * factor;
        }
      };
    },

    // The first of equals wins.
    largest([x, values, places], name, shape, operands, split, count) {
      const [xx, vv, pp] = operands.map((one) => starts(one, shape.slice(0, split)));
      const [from, value, place] = operands.map(([, , strides]) => strides.at(-1));
      const used = new Uint8Array(shape.at(-1));
      return () => {
        for (let r = 0; r < xx.length; r++) {
          used.fill(0);
          for (let c = 0; c < count; c++) {
            let best = -1;
            for (let q = 0; q < used.length; q++) {
              if (!used[q] && (best < 0 || x[xx[r] + q * from] > x[xx[r] + best * from])) best = q;
            }
            used[best] = 1;
            values[vv[r] + c * value] = x[xx[r] + best * from];
            places[pp[r] + c * place] = best;
          }
        }
      };
    },

    move([o, x, ...indices], name, shape, operands, factors) {
      const all = operands.map((one) => starts(one, shape));
      const [oo, xx, ...at] = all;
      return () => {
        for (let r = 0; r < oo.length; r++) {
          let far = 0;
          for (let q = 0; q < indices.length; q++) far += indices[q][at[q][r]] * factors[q];
          if (name === "take") o[oo[r]] = x[xx[r] + far];
          else o[oo[r] + far] = x[xx[r]];
        }
      };
    },
  };
  const within = ([, , strides], shape, split) => starts([null, 0, strides.slice(split)], shape.slice(split));

  // ---- the machine

  class Machine {
    constructor(model) {
      this.room = model.room;
      this.states = model.states.map((state) => ({ ...state, initial: decoded(state) }));
      const buffers = new Map(model.buffers.map(([name, kind, count]) => [name, new kinds[kind](count)]));
      buffers.set("scalars", Float64Array.from(model.scalars, Number));
      for (const weight of model.weights) buffers.set(weight.buffer, decoded(weight));
      for (const state of this.states) buffers.set(state.buffer, state.now = state.initial.slice());
      this.input = new Int32Array(1);
      this.logits = new Float32Array(model.outputs);
      buffers.set("input", this.input);
      buffers.set("logits", this.logits);
      this.buffers = buffers;
      this.code = model.code.map(([kind, name, shape, operands, ...more]) =>
        made[kind](operands.map(([buffer]) => buffers.get(buffer)), name, shape, operands, ...more));
    }

    reset() {
      for (const state of this.states) state.now.set(state.initial);
    }

    // Reads one token; `logits` then say what may follow.
    step(token) {
      this.input[0] = token;
      for (let i = 0; i < this.code.length; i++) this.code[i]();
      return this.logits;
    }

    // What `restore` needs to go on from here. Of a cache, places beyond the last position read are
    // never looked at, so that it stays as it is.
    snapshot() {
      return this.states.map((state) => (state.grows ? null : state.now.slice()));
    }

    restore(snapshot) {
      this.states.forEach((state, i) => snapshot[i] && state.now.set(snapshot[i]));
    }

    // A function that copies the numbers of an operand as they are now.
    reader([buffer, offset, strides], shape) {
      const place = this.buffers.get(buffer);
      const at = starts([buffer, offset, strides], shape);
      return () => Float32Array.from(at, (i) => place[i]);
    }
  }

  // How far the logits of the model's test vector are from torch's, relative to the largest.
  function difference(machine, { tokens, logits }) {
    const expected = decoded(logits);
    machine.reset();
    for (const token of tokens) machine.step(token);
    const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
    const worst = expected.reduce((most, x, i) => Math.max(most, Math.abs(x - machine.logits[i])), 0);
    machine.reset();
    return Number.isFinite(worst) ? worst / largest : Infinity;
  }

  return { Machine, difference };
})();
