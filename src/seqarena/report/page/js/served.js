// A served page reloads when the records change, and sends typed sentences to its server.
(() => {
  const every = 2000;
  const quiet = 8000; // milliseconds at least between two loads, so that a reader has time during a run
  const began = Date.now();
  let known = null;
  const reading = () =>
    document.querySelector("dialog[open]") || document.activeElement?.matches("input, select");

  async function look() {
    try {
      const { digest } = await (await fetch("state", { cache: "no-store" })).json();
      known ??= digest;
      if (digest !== known && Date.now() - began > quiet && !reading()) return location.reload();
    } catch {
      // the server is gone: the page stays as it is
    }
    setTimeout(look, every);
  }
  look();

  const form = document.getElementById("explorer-form");
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const status = document.getElementById("explorer-status");
    const button = form.querySelector("button");
    status.textContent = "Measuring …";
    button.disabled = true;
    try {
      const answer = await fetch("maps", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ text: form.elements.text.value }),
      });
      const reply = await answer.json();
      status.textContent = reply.words;
      if (reply.maps?.length) dispatchEvent(new CustomEvent("seqarena-maps", { detail: reply.maps }));
    } catch (error) {
      status.textContent = `The server did not answer: ${error.message}`;
    }
    button.disabled = false;
  });
})();
