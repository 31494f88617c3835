// Saves tables as CSV and charts as PNG. Nothing is fetched: both are made from the page itself.
(() => {
  const { plots, figureOf } = window.seqarenaPage;
  const escaped = document.createElement("p"); // plotly reads a title as a kind of HTML
  escaped.textContent = document.querySelector("h1").textContent;
  const runName = escaped.innerHTML;
  const sharp = 1600; // pixels across a picture, at least

  function save(address, ending, name) {
    const link = document.createElement("a");
    link.href = address;
    link.download = `${document.body.dataset.file}-${name}.${ending}`;
    link.click();
  }

  function saveTable(button) {
    const text = JSON.parse(button.parentElement.querySelector("script").textContent);
    // the mark at the start tells a spreadsheet that the letters are UTF-8
    const file = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
    save(file, "csv", button.dataset.csv);
    setTimeout(() => URL.revokeObjectURL(file), 10000);
  }

  // As it is on the page, with its title and a legend, and always in the light theme.
  async function savePicture(button) {
    const plot = plots.find(({ place }) => place.dataset.figure === `figure-${button.dataset.png}`);
    const { place } = plot;
    const { data, layout } = figureOf(plot, false);
    const color = layout.font.color;
    const width = place.clientWidth;
    const head = place.dataset.title ? 34 : 0;
    const curves = layout.meta?.toggled || layout.meta?.own_legend;
    const names = place.layout.annotations ?? [];
    const shown = Object.fromEntries(["xaxis", "yaxis"].map((axis) => [axis, {
      ...layout[axis], range: [...place.layout[axis].range], autorange: false,
    }]));
    Object.assign(layout, shown, {
      width,
      height: layout.height + head + (curves ? 30 * Math.ceil((data.length * 130) / width) : 0),
      paper_bgcolor: getComputedStyle(document.documentElement).getPropertyValue("--picture"),
      showlegend: Boolean(curves),
      legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0 },
      margin: { ...layout.margin, t: (layout.margin.t ?? 12) + head, l: 16, r: 20 },
      annotations: names.map((name) => ({
        ...name, arrowcolor: name.arrowcolor && (name.arrowcolor.startsWith("rgba(0") ? name.arrowcolor : color),
        font: { ...name.font, color },
      })),
      title: { text: `${place.dataset.title} <span style="font-weight:400">· ${runName}</span>`, x: 0, xref: "paper", y: 1, yref: "container", yanchor: "top",
        pad: { t: 14 }, font: { size: 16, color } },
    });
    const picture = { format: "png", width: layout.width, height: layout.height, scale: Math.max(2, sharp / width) };
    save(await Plotly.toImage({ data, layout }, picture), "png", button.dataset.png);
  }

  const kinds = { csv: saveTable, png: savePicture };
  for (const button of document.querySelectorAll(".save")) {
    const kind = Object.keys(kinds).find((name) => name in button.dataset);
    button.hidden = false;
    button.addEventListener("click", () => kinds[kind](button));
  }
})();
