"use strict";
(() => {
  const root = document.documentElement;
  const darkOf = JSON.parse(document.getElementById("dark-of-light").textContent);
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const coarse = matchMedia("(pointer: coarse)").matches;
  const config = {
    responsive: true,
    displaylogo: false,
    displayModeBar: coarse ? false : "hover",
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d"]], // save.js saves pictures
  };
  const plots = [...document.querySelectorAll(".plot")].map((place) => ({
    place,
    source: document.getElementById(place.dataset.figure).textContent,
    hidden: new Set(), // the curves that its own legend has switched off
    axes: {}, // the kind of axis that its own buttons have chosen
  }));
  const hidden = new Set();
  let printing = false;

  const isDark = () =>
    !printing && (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);

  function figureOf({ place, source, hidden: off, axes }, dark = isDark()) {
    const figure = JSON.parse(source, (_, value) =>
      dark && typeof value === "string" && Object.hasOwn(darkOf, value) ? darkOf[value] : value);
    Object.assign(figure.layout, { showlegend: false, uirevision: "kept", dragmode: coarse ? false : "zoom" });
    if (figure.layout.meta?.plain_names && place.clientWidth >= 700) {
      const { categoryarray: tickvals } = figure.layout.yaxis;
      Object.assign(figure.layout.yaxis, { tickvals, ticktext: figure.layout.meta.plain_names });
    }
    if (Object.keys(axes).length) figure.layout.uirevision = JSON.stringify(axes);
    for (const [axis, type] of Object.entries(axes)) {
      if (figure.layout[axis].type !== type) {
        delete figure.layout[axis].range;
        delete figure.layout[axis].dtick; // it names digits, which a linear axis does not have
      }
      figure.layout[axis].type = type;
    }
    for (const trace of figure.data) {
      if (trace.meta?.groups) trace.visible = !trace.meta.groups.some((name) => off.has(name));
      if (figure.layout.meta?.toggled) trace.visible = !hidden.has(trace.legendgroup);
      if (figure.layout.meta?.named_points && trace.text) trace.mode = "markers";
    }
    return figure;
  }

  // Printing leaves no time to measure: the width is fixed and the names keep their places.
  const paperWidth = 660;
  async function draw(plot) {
    const { place } = plot;
    const { data, layout } = figureOf(plot);
    if (printing) {
      const color = layout.font.color;
      const kept = (place.layout?.annotations ?? []).map((name) => ({ ...name, font: { ...name.font, color } }));
      Object.assign(layout, { width: paperWidth, annotations: layout.annotations ?? kept });
      return Plotly.react(place, data, layout, { ...config, responsive: false });
    }
    await Plotly.react(place, data, layout, config);
    for (const tool of place.querySelectorAll(".modebar-btn")) tool.tabIndex = -1; // for a pointer only
    for (const part of document.querySelectorAll(".modebar-container, #js-plotly-tester")) {
      part.setAttribute("aria-hidden", "true");
    }
    if (layout.meta?.named_points) await placeNames(place);
  }
  window.seqarenaPage = { plots, figureOf };
  const drawAll = () => Promise.all(plots.map(draw));

  // Names of the points of a chart: each takes the nearest free place round its point.
  const overlap = (a, b) =>
    Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) *
    Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
  const box = (x, y, width, height) => ({
    left: x - width / 2, right: x + width / 2, top: y - height / 2, bottom: y + height / 2,
  });

  const span = (x0, x1, y0, y1) => ({
    left: Math.min(x0, x1) - 1, right: Math.max(x0, x1) + 1,
    top: Math.min(y0, y1) - 1, bottom: Math.max(y0, y1) + 1,
  });

  function places(point, width) {
    const found = [];
    for (const reach of [4, 16, 30, 46, 64]) {
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, -1], [0, 1], [1, -1], [-1, -1], [1, 1], [-1, 1]]) {
        const across = dx * (width / 2 + 7 + (dy ? reach * 0.5 - 8 : reach));
        found.push([point.x + across, point.y + dy * (14 + reach)]);
      }
    }
    return found;
  }

  // Boxes that names keep clear of: the point, its bars, the steps of the front.
  function occupied(trace, xaxis, yaxis) {
    const at = trace.x.map((x, i) => ({ x: xaxis.d2p(x), y: yaxis.d2p(trace.y[i]) }));
    if (!trace.text) {
      return at.slice(1).flatMap((to, i) => [
        span(at[i].x, to.x, at[i].y, at[i].y),
        span(to.x, to.x, at[i].y, to.y),
      ]);
    }
    const [x] = trace.x;
    const [y] = trace.y;
    const { error_x: across, error_y: along } = trace;
    return [
      box(at[0].x, at[0].y, 14, 14),
      span(xaxis.d2p(x - across.arrayminus[0]), xaxis.d2p(x + across.array[0]), at[0].y, at[0].y),
      span(at[0].x, at[0].x, yaxis.d2p(y - along.arrayminus[0]), yaxis.d2p(y + along.array[0])),
    ];
  }

  async function placeNames(place) {
    const { xaxis, yaxis, font } = place._fullLayout;
    const width = xaxis._length;
    const height = yaxis._length;
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `12px ${font.family}`;
    const points = place.data
      .filter((trace) => trace.text)
      .map((trace) => ({ x: xaxis.d2p(trace.x[0]), y: yaxis.d2p(trace.y[0]), text: trace.text[0] }))
      .filter(({ x, y }) => x >= 0 && x <= width && y >= 0 && y <= height);
    const taken = place.data.flatMap((trace) => occupied(trace, xaxis, yaxis));
    const plain = document.createElement("textarea");
    const annotations = points.map((point) => {
      plain.innerHTML = point.text;
      const wide = pen.measureText(plain.value).width + 6;
      let best = null;
      for (const [x, y] of places(point, wide)) {
        const own = box(x, y, wide, 16);
        const outside = own.left < 0 || own.right > width || own.top < 0 || own.bottom > height;
        const cost = (outside ? 1e6 : 0) + taken.reduce((sum, other) => sum + overlap(own, other), 0);
        if (best === null || cost < best.cost) best = { x, y, own, cost };
        if (cost === 0) break;
      }
      taken.push(best.own);
      const far = Math.hypot(Math.max(0, Math.abs(best.x - point.x) - wide / 2), best.y - point.y) > 24;
      return {
        xref: "paper", yref: "paper", x: point.x / width, y: 1 - point.y / height,
        ax: best.x - point.x, ay: best.y - point.y, text: point.text,
        showarrow: true, arrowhead: 0, arrowwidth: 1, standoff: 7,
        arrowcolor: far ? getComputedStyle(place).color : "rgba(0,0,0,0)", opacity: 0.95,
        font: { size: 12, color: getComputedStyle(root).getPropertyValue("color") },
        borderpad: 0, captureevents: false,
      };
    });
    await Plotly.relayout(place, { annotations });
  }

  function followSize({ place, source }) {
    if (!JSON.parse(source).layout.meta?.named_points) return;
    let waiting = 0;
    const later = () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => placeNames(place), 120);
    };
    new ResizeObserver(later).observe(place);
    place.on("plotly_relayout", (change) => "annotations" in change || later());
  }

  function applyHidden() {
    for (const chip of document.querySelectorAll(".chip[data-architecture]")) {
      chip.setAttribute("aria-pressed", String(!hidden.has(chip.dataset.architecture)));
    }
    plots.filter(({ place }) => place.layout.meta?.toggled).forEach(draw);
  }

  for (const chip of document.querySelectorAll(".chip[data-architecture]")) {
    const name = chip.dataset.architecture;
    chip.addEventListener("click", () => {
      if (!hidden.delete(name)) hidden.add(name);
      applyHidden();
    });
  }
  for (const button of document.querySelectorAll("[data-show]")) {
    button.addEventListener("click", () => {
      hidden.clear();
      for (const chip of document.querySelectorAll(".chip[data-architecture]")) {
        if (button.dataset.show === "leaders" && !("leader" in chip.dataset)) {
          hidden.add(chip.dataset.architecture);
        }
      }
      applyHidden();
    });
  }

  const plotOf = (button) => plots.find(({ place }) => place.dataset.figure === button.dataset.figure);
  for (const chip of document.querySelectorAll(".chip[data-curve]")) {
    const plot = plotOf(chip);
    chip.addEventListener("click", () => {
      const name = chip.dataset.curve;
      if (!plot.hidden.delete(name)) plot.hidden.add(name);
      chip.setAttribute("aria-pressed", String(!plot.hidden.has(name)));
      draw(plot);
    });
  }
  for (const button of document.querySelectorAll(".axis")) {
    const plot = plotOf(button);
    const { axis } = button.dataset;
    const shown = () => plot.axes[axis] ?? JSON.parse(plot.source).layout[axis].type;
    const showState = () => button.setAttribute("aria-pressed", String(shown() === "log"));
    button.addEventListener("click", () => {
      plot.axes[axis] = shown() === "log" ? "linear" : "log";
      showState();
      draw(plot);
    });
    showState();
  }

  for (const button of document.querySelectorAll(".plot-range")) {
    button.addEventListener("click", () => {
      const near = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(near));
      const { place } = plots.find((plot) => plot.place.dataset.figure === button.dataset.figure);
      Plotly.relayout(place, near
        ? { "xaxis.range": [...place.layout.meta.near] }
        : { "xaxis.autorange": true });
    });
  }

  function sortBy(table, column, heading) {
    const upwards = heading.getAttribute("aria-sort") !== "ascending";
    const value = (row) => row.cells[column].dataset.sort ?? "";
    const body = table.tBodies[0];
    const compare = (a, b) => {
      if (a === "" || b === "") return (a === "") - (b === "");
      const order = isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
      return upwards ? order : -order;
    };
    body.append(...[...body.rows].sort((a, b) => compare(value(a), value(b))));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", upwards ? "ascending" : "descending");
  }
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((heading, column) =>
      heading.querySelector("button").addEventListener("click", () => sortBy(table, column, heading)));
  }

  const toggle = document.getElementById("theme");
  function showTheme() {
    toggle.textContent = isDark() ? "Light" : "Dark";
    toggle.setAttribute("aria-label", isDark() ? "Switch to the light theme" : "Switch to the dark theme");
  }
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("seqarena-theme", root.dataset.theme);
    } catch { /* storage is closed to this page: the choice lasts until it is closed */ }
    showTheme();
    drawAll();
  });
  systemDark.addEventListener("change", () => { showTheme(); drawAll(); });
  for (const [event, value] of [["beforeprint", true], ["afterprint", false]]) {
    addEventListener(event, () => { printing = value; drawAll(); });
  }

  // A chart that was drawn inside a closed part has no width of its own yet.
  for (const part of document.querySelectorAll("details")) {
    part.addEventListener("toggle", () => {
      if (part.open) part.querySelectorAll(".plot").forEach((place) => Plotly.Plots.resize(place));
    });
  }

  showTheme();
  drawAll().then(() => {
    plots.forEach(followSize);
    root.dataset.drawn = "true";
  });
})();
