// The four panels of the explorer and the cards of the timeline.
(() => {
  const byId = (name) => document.getElementById(name);

  for (const button of document.querySelectorAll("[data-card]")) {
    button.addEventListener("click", () => byId(button.dataset.card).showModal());
  }
  for (const dialog of document.querySelectorAll("dialog.card")) {
    dialog.querySelector(".close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }

  const data = byId("explorer-maps");
  if (!data) return;
  const maps = JSON.parse(data.textContent);
  // The word that is chosen first: the pronoun "it", else the last word.
  const initialWord = (words) =>
    words.lastIndexOf("it") < 0 ? words.length - 1 : words.lastIndexOf("it");
  const chosen = { sentence: 0, word: initialWord(maps[0].words) };
  const select = (name) => byId(`explorer-${name}`);
  const unique = (values) => [...new Set(values)];
  // Maps of the same rows and columns lie on the same axes.
  const axesOf = ({ words, columns }) => JSON.stringify([words, columns]);
  const sentences = () => unique(maps.map(axesOf));
  const here = () => maps.filter((map) => axesOf(map) === sentences()[chosen.sentence]);
  function sentence(axes) {
    const [words, columns] = JSON.parse(axes).map((side) => side.join(" "));
    return words === columns ? words : `${words} ← ${columns}`;
  }
  const named = (map) => `${map.model} · ${map.kind === "attention" ? "attention weights" : "information flow"}`;
  const models = (first) =>
    unique([...here()].sort((a, b) => (b.kind === first) - (a.kind === first)).map(named));

  function fill(name, entries, value) {
    const place = select(name);
    place.replaceChildren(...entries.map(([key, shown]) => new Option(shown, key)));
    const keys = entries.map(([key]) => String(key));
    place.value = keys.includes(String(value)) ? value : keys[0];
    place.closest("label").hidden = entries.length < 2;
    return place.value;
  }

  // Every choice follows from the ones before it: what no map has cannot be chosen.
  function choose() {
    fill("sentence", sentences().map((axes, i) => [i, sentence(axes)]), chosen.sentence);
    chosen.left = fill("left", models("attention").map((name) => [name, name]), chosen.left);
    const own = here().filter((map) => named(map) === chosen.left);
    const layers = unique(own.map((map) => map.layer)).filter((layer) => layer !== null);
    chosen.layer = fill("layer", layers.map((layer) => [layer, `layer ${layer + 1}`]), chosen.layer);
    const heads = own.filter((map) => String(map.layer) === String(chosen.layer)).map((map) => map.head);
    const real = unique(heads).filter((head) => head !== null);
    chosen.head = fill("head", real.map((head) => [head, `head ${head + 1}`]), chosen.head);
    const others = models("influence").filter((name) => name !== chosen.left);
    const compared = others.length ? others : [chosen.left];
    chosen.right = fill("right", compared.map((name) => [name, name]), chosen.right);
    const words = own[0].words;
    chosen.word = Math.min(chosen.word, words.length - 1);
    fill("word", words.map((word, i) => [i, `${i + 1}: ${word}`]), chosen.word);
    const same = (map, key) => map[key] === null || String(map[key]) === String(chosen[key]);
    const left = own.find((map) => same(map, "layer") && same(map, "head")) ?? own[0];
    return [left, here().find((map) => named(map) === chosen.right)];
  }

  const holder = document.createElement("div");
  holder.innerHTML = "<svg></svg>";
  const drawing = holder.firstChild.namespaceURI;
  function shape(name, attributes, text) {
    const made = document.createElementNS(drawing, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }
  const formatted = (weight) => weight.toFixed(weight < 0.095 ? 3 : 2);
  const longest = (words) => Math.min(12, Math.max(...words.map((word) => word.length)));
  const short = (word) => (word.length > 12 ? `${word.slice(0, 11)}…` : word.replaceAll(" ", "␣"));

  function grid(place, map) {
    const { words, columns } = map;
    const cell = Math.max(9, Math.min(30, 420 / Math.max(words.length, columns.length)));
    const size = Math.min(13, Math.max(7, cell * 0.8));
    const margin = longest(words) * size * 0.6 + 10;
    const head = longest(columns) * size * 0.6 + 10;
    const picture = shape("svg", {
      viewBox: `0 0 ${margin + cell * columns.length + 2} ${head + cell * words.length + 2}`, role: "img", tabindex: 0, "font-size": size,
      "aria-label": `${named(map)}: rows read columns. Arrow up and down choose the row.`,
    });
    const top = Math.max(...map.weights.flat());
    words.forEach((word, i) => {
      const row = shape("text", { x: margin - 6, y: head + cell * (i + 0.5), class: "row" }, short(word));
      if (i === chosen.word) row.classList.add("chosen");
      row.addEventListener("click", () => pick(i));
      picture.append(row);
    });
    columns.forEach((word, j) => picture.append(shape("text", {
      class: "column", transform: `translate(${margin + cell * (j + 0.5)} ${head - 6}) rotate(-90)`,
    }, short(word))));
    map.weights.forEach((weights, i) => weights.forEach((weight, j) => {
      const square = shape("rect", {
        x: margin + cell * j, y: head + cell * i, width: cell - 1, height: cell - 1,
        "fill-opacity": top > 0 ? (weight / top).toFixed(4) : 0, "data-row": i,
      });
      square.append(shape("title", {}, `${words[i]} reads ${columns[j]}: ${formatted(weight)}`));
      square.addEventListener("click", () => pick(i));
      picture.append(square);
    }));
    picture.append(shape("rect", {
      class: "frame", x: margin - 1, y: head + cell * chosen.word - 1,
      width: cell * columns.length + 1, height: cell + 1,
    }));
    picture.addEventListener("keydown", keys);
    place.replaceChildren(picture, scale(top));
  }

  function scale(top) {
    const line = document.createElement("p");
    line.className = "scale";
    const ramp = document.createElement("i");
    line.append("0", ramp, formatted(top));
    return line;
  }

  function bars(place, rows) {
    const { columns, words: read } = rows[0].map;
    const height = 190;
    const step = Math.max(12, Math.min(44, 460 / columns.length));
    const size = Math.min(13, Math.max(7, step * 0.75));
    const foot = longest(columns) * size * 0.6 + 14;
    const top = Math.max(1e-9, ...rows.flatMap(({ map }) => map.weights[chosen.word]));
    const width = step * columns.length + 8;
    const label = rows.map(({ map }) => named(map)).join(" and ");
    const picture = shape("svg", {
      viewBox: `0 0 ${width} ${height + foot}`, role: "img", tabindex: 0, "font-size": size,
      "aria-label": `What ${read[chosen.word]} reads: ${label}`,
    });
    picture.append(shape("line", { x1: 0, y1: height, x2: width, y2: height }));
    columns.forEach((word, j) => {
      const middle = 4 + step * (j + 0.5);
      const wide = (step - 3) / rows.length;
      rows.forEach(({ map, name }, i) => {
        const weight = map.weights[chosen.word][j];
        const tall = (weight / top) * (height - 22);
        const bar = shape("rect", {
          class: name, x: middle - (step - 3) / 2 + i * wide, y: height - tall,
          width: Math.max(1, wide - 0.5), height: tall, "data-weight": weight,
        });
        bar.append(shape("title", {}, `${word}, ${named(map)}: ${formatted(weight)}`));
        picture.append(bar);
        if (rows.length === 1 && step >= 22 && weight > 0) {
          picture.append(shape("text", {
            class: "amount", x: middle, y: height - tall - 5, "font-size": 10,
          }, formatted(weight)));
        }
      });
      const name = shape("text", {
        class: "column", transform: `translate(${middle} ${height + 8}) rotate(-90)`,
      }, short(word));
      name.classList.add("under-bar");
      picture.append(name);
    });
    picture.addEventListener("keydown", keys);
    place.replaceChildren(picture);
    if (rows.length > 1) place.append(legend(rows));
  }

  function legend(rows) {
    const line = document.createElement("p");
    line.className = "scale";
    for (const { map, name } of rows) {
      const sample = document.createElement("b");
      sample.className = name;
      const entry = document.createElement("span");
      entry.append(sample, titled(map));
      line.append(entry);
    }
    return line;
  }

  const placed = (map) => (map.layer === null ? "" : `, layer ${map.layer + 1}, head ${map.head + 1}`);
  const titled = (map) => `${named(map)}${placed(map)}`;
  const title = (letter, text) => {
    document.querySelector(`#panel-${letter} .panel-title`).textContent = text;
  };

  function show() {
    const [left, right] = choose();
    const word = left.words[chosen.word];
    title("a", titled(left));
    title("b", `what “${word}” reads: ${titled(left)}`);
    title("c", titled(right));
    title("d", `what “${word}” reads: both`);
    grid(byId("panel-weights"), left);
    grid(byId("panel-flow"), right);
    bars(byId("panel-row-of-weights"), [{ map: left, name: "one" }]);
    bars(byId("panel-both-rows"), [{ map: left, name: "one" }, { map: right, name: "other" }]);
    byId("explorer-summary").textContent = [left, right].map((map) => strongest(map, word)).join(" ");
  }

  function strongest(map, word) {
    const row = map.weights[chosen.word];
    const most = row.indexOf(Math.max(...row));
    return `${titled(map)}: “${word}” reads “${map.columns[most]}” (word ${most + 1}) most, ${formatted(row[most])}.`;
  }

  function pick(word) {
    const held = document.activeElement?.closest(".panels figure")?.id;
    chosen.word = word;
    show();
    if (held) document.querySelector(`#${held} svg`)?.focus();
  }

  function keys(event) {
    const step = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const count = here()[0].words.length;
    pick(Math.min(count - 1, Math.max(0, chosen.word + step)));
  }

  for (const name of ["sentence", "left", "layer", "head", "right", "word"]) {
    select(name).addEventListener("change", () => {
      const number = name === "sentence" || name === "word";
      chosen[name] = number ? Number(select(name).value) : select(name).value;
      if (name === "sentence") chosen.word = initialWord(here()[0].words);
      show();
    });
  }

  // A served page puts the maps of a typed sentence before the others (served.js).
  addEventListener("seqarena-maps", ({ detail }) => {
    maps.unshift(...detail);
    Object.assign(chosen, { sentence: 0, word: initialWord(detail[0].words) });
    show();
  });
  show();
})();
