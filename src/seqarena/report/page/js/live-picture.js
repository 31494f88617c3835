"use strict";
// Draws what a model did, position by position: strips of equal columns, one below the other.
window.seqarenaPicture = (() => {
  const monospace = 'ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace';
  const narrow = 14; // pixels of a column, at least

  // The colours of the page as it is now: numbers of red, green and blue.
  function colours(place) {
    const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const probe = document.createElement("i");
    place.append(probe);
    const found = {};
    for (const role of ["ink", "muted", "paper", "panel", "line", "accent", "other"]) {
      probe.style.color = `var(--${role})`;
      pen.fillStyle = getComputedStyle(probe).color;
      pen.fillRect(0, 0, 1, 1);
      found[role] = [...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    }
    probe.remove();
    return found;
  }
  const css = ([r, g, b], opacity = 1) => `rgb(${r} ${g} ${b} / ${opacity})`;

  // Which positions are seen: as many as fit, with the chosen one among them.
  function frame(width, count, chosen) {
    const columns = Math.max(1, Math.floor(width / narrow));
    const first = count <= columns ? 0
      : Math.max(0, Math.min(count - columns, chosen - Math.floor(columns * 0.8)));
    // `last` is not seen; `step` pixels are a column
    return { first, last: Math.min(count, first + columns), step: width / columns };
  }

  class Strip {
    constructor(place, { name, words, height }) {
      this.figure = document.createElement("figure");
      this.figure.className = "live-track";
      const caption = document.createElement("figcaption");
      this.name = document.createElement("b");
      this.name.textContent = name;
      this.words = document.createElement("span");
      this.words.textContent = words ? ` ${words}` : "";
      caption.append(this.name, this.words);
      this.canvas = document.createElement("canvas");
      this.canvas.setAttribute("aria-hidden", "true");
      this.height = height;
      this.figure.append(caption, this.canvas);
      place.append(this.figure);
    }

    say(words) {
      this.words.textContent = ` ${words}`;
    }

    // A clean pen; lengths are in pixels of the page.
    pen(width, height = this.height) {
      const sharp = window.devicePixelRatio || 1;
      const { canvas } = this;
      canvas.width = Math.round(width * sharp);
      canvas.height = Math.round(height * sharp);
      canvas.style.height = `${height}px`;
      const pen = canvas.getContext("2d");
      pen.scale(sharp, sharp);
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      return pen;
    }
  }

  // The chosen column framed; what comes after it pale.
  function mark(pen, view, colour, height) {
    const { first, last, chosen, step } = view;
    const left = (chosen - first) * step;
    pen.fillStyle = css(colour.paper, 0.72);
    pen.fillRect(left + step, 0, (last - chosen - 1) * step, height);
    pen.strokeStyle = css(colour.ink, 0.85);
    pen.lineWidth = 1.5;
    pen.strokeRect(left + 0.75, 0.75, step - 1.5, height - 1.5);
  }

  // numbers(t) gives the rows of a column: from -1 to 1 where `signed`, else from 0 to 1.
  function heat(strip, view, colour, rows, numbers, signed) {
    const { first, last, width, step } = view;
    const height = strip.height;
    const pen = strip.pen(width, height);
    const count = last - first;
    const image = new ImageData(count, rows);
    for (let c = 0; c < count; c++) {
      const column = numbers(first + c);
      for (let r = 0; r < rows; r++) {
        const value = column ? column[r] : 0;
        const strength = Math.min(1, Math.abs(value));
        const [red, green, blue] = signed && value < 0 ? colour.other : colour.accent;
        const at = 4 * (r * count + c);
        image.data[at] = red;
        image.data[at + 1] = green;
        image.data[at + 2] = blue;
        image.data[at + 3] = 255 * strength;
      }
    }
    const small = document.createElement("canvas");
    small.width = count;
    small.height = rows;
    small.getContext("2d").putImageData(image, 0, 0);
    pen.fillStyle = css(colour.panel);
    pen.fillRect(0, 0, count * step, height);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(small, 0, 0, count * step, height);
    mark(pen, view, colour, height);
    return pen;
  }

  // One label a column; long ones stand upright. `strength(t)` is its opacity.
  function labels(strip, view, colour, label, strength, shade) {
    const { first, last, width, step } = view;
    const texts = Array.from({ length: last - first }, (_, i) => label(first + i) ?? "");
    const upright = texts.some((text) => [...text].length > 2);
    strip.height = upright ? 66 : 24;
    const pen = strip.pen(width);
    texts.forEach((text, i) => {
      const x = (i + 0.5) * step;
      const dark = shade ? shade(first + i) : 0;
      if (dark > 0) {
        pen.fillStyle = css(colour.accent, 0.85 * dark);
        pen.fillRect(i * step, 0, step, strip.height);
      }
      pen.fillStyle = css(dark > 0.55 ? colour.paper : colour.ink, strength(first + i));
      pen.font = `${upright ? 11 : [...text].length > 1 ? 9 : 14}px ${monospace}`;
      if (!upright) {
        pen.fillText(text, x, strip.height / 2 + 1);
        return;
      }
      pen.save();
      pen.translate(x, strip.height - 4);
      pen.rotate(-Math.PI / 2);
      pen.textAlign = "left";
      pen.fillText([...text].slice(0, 9).join(""), 0, 0);
      pen.restore();
    });
    mark(pen, view, colour, strip.height);
  }

  // bars(t) in units, of which `top` fill the strip.
  function bars(strip, view, colour, amount, top) {
    const { first, last, width, step } = view;
    const pen = strip.pen(width);
    const { height } = strip;
    pen.strokeStyle = css(colour.line);
    pen.lineWidth = 1;
    for (const level of [0, 0.5, 1]) {
      const y = Math.round((height - 1) * (1 - level)) + 0.5;
      pen.beginPath();
      pen.moveTo(0, y);
      pen.lineTo((last - first) * step, y);
      pen.stroke();
    }
    for (let t = first; t < last; t++) {
      const value = amount(t);
      if (value === null) continue;
      const tall = Math.max(1, Math.min(1, value / top) * height);
      pen.fillStyle = css(colour.accent, 0.35 + 0.65 * Math.min(1, value / top));
      pen.fillRect((t - first) * step + 2, height - tall, step - 4, tall);
    }
    mark(pen, view, colour, height);
  }

  // Arcs from the chosen position to what it reads.
  function arcs(strip, view, colour, weight) {
    const { first, chosen, width, step } = view;
    const pen = strip.pen(width);
    const middle = (t) => (t - first + 0.5) * step;
    for (let t = first; t < chosen; t++) {
      const strength = weight(t);
      if (strength < 0.12) continue;
      const [from, to] = [middle(t), middle(chosen)];
      const deep = Math.min(strip.height - 3, 8 + Math.sqrt(Math.abs(to - from)) * 3.2);
      pen.strokeStyle = css(colour.accent, 0.15 + 0.85 * strength);
      pen.lineWidth = 0.8 + 3.5 * strength;
      pen.beginPath();
      pen.moveTo(from, 0);
      pen.bezierCurveTo(from, deep * 1.3, to, deep * 1.3, to, 0);
      pen.stroke();
    }
  }

  return { Strip, colours, css, frame, heat, labels, bars, arcs };
})();
