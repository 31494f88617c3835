"use strict";
// Draws the charts of a lesson in the page's colours, and keeps the reader's predictions.
(() => {
  const colours = () => {
    const style = getComputedStyle(document.querySelector(".md-typeset"));
    const css = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
    return { ink: style.color, line: css("--md-default-fg-color--lightest"), font: style.fontFamily, paper: css("--md-default-bg-color") };
  };
  const axis = ({ line }, own) => ({
    gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true, ...own,
    title: { ...own?.title, font: { size: 13 }, standoff: 8 },
  });
  const coarse = matchMedia("(pointer: coarse)").matches;
  const above = { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom" }; // a legend
  const config = { responsive: true, displayModeBar: false, scrollZoom: false };

  function draw(place) {
    const { data, layout } = JSON.parse(place.querySelector("script").textContent);
    const now = colours();
    const theirs = { ...layout };
    delete theirs.template;
    for (const name of Object.keys(theirs).filter((key) => /^[xy]axis\d*$/.test(key))) theirs[name] = axis(now, theirs[name]);
    const narrow = place.clientWidth < 600;
    const drawn = {
      ...theirs,
      xaxis: axis(now, theirs.xaxis), yaxis: axis(now, theirs.yaxis),
      height: layout.height ?? (narrow ? 340 : 420),
      width: undefined, autosize: true,
      margin: { l: 8, r: 8, t: 24, b: 8, ...layout.margin },
      title: undefined, // it is the caption, which wraps
      colorway: ["#0072b2", "#d55e00", "#00875f", "#b3548b", "#7d7600", "#1c96b8", "#7a4a2b"],
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: now.font, size: 13, color: now.ink },
      hoverlabel: { bgcolor: now.paper, bordercolor: now.line, font: { color: now.ink } },
      legend: { ...(narrow ? above : {}), ...layout.legend, bgcolor: "rgba(0,0,0,0)" },
      dragmode: coarse ? false : (layout.dragmode ?? "zoom"),
    };
    for (const own of drawn.updatemenus ?? []) Object.assign(own, { bgcolor: "#e8ebee", bordercolor: now.line, font: { color: "#1a1f24" } }); // the chosen one is white
    const target = place.querySelector(".drawn") ?? frame(place, layout.title.text);
    return Plotly.react(target, data, drawn, config);
  }
  function frame(place, title) {
    const [caption, target] = ["p", "div"].map((name) => document.createElement(name));
    caption.className = "caption";
    caption.textContent = title.replace(/<[^>]*>/g, " ");
    target.className = "drawn";
    place.append(caption, target);
    return target;
  }
  const charts = [...document.querySelectorAll(".chart")];
  const drawAll = () => Promise.all(charts.map(draw));
  drawAll().then(() => { document.documentElement.dataset.drawn = "yes"; });
  new MutationObserver(drawAll).observe(document.body, { attributes: true, attributeFilter: ["data-md-color-scheme"] });

  const boxes = [...document.querySelectorAll(".prediction")];
  const key = (box, index) => `seqarena ${box.dataset.lesson} prediction ${index + 1}`;
  const read = (name) => { try { return localStorage.getItem(name) ?? ""; } catch { return ""; } };
  const write = (name, text) => { try { localStorage.setItem(name, text); } catch { /* a page without storage */ } };
  const shown = [...document.querySelectorAll(".conclusion")].map((place) => {
    const quote = document.createElement("blockquote");
    place.prepend(quote);
    return quote;
  });
  const show = () => {
    const texts = boxes.map((box) => box.querySelector("textarea").value.trim()).filter(Boolean);
    for (const quote of shown) {
      quote.hidden = texts.length === 0;
      quote.textContent = `You predicted: ${texts.join(" · ")}`;
    }
  };
  boxes.forEach((box, index) => {
    const area = document.createElement("textarea");
    area.rows = 3;
    area.value = read(key(box, index));
    area.placeholder = "Your prediction. It stays in this browser.";
    area.setAttribute("aria-label", "Your prediction");
    area.addEventListener("input", () => { write(key(box, index), area.value); show(); });
    box.append(area);
  });
  show();
})();
