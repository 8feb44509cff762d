(() => {
  "use strict";
  const one = (id) => document.getElementById(id);
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const command = button.previousElementSibling;
      try {
        await navigator.clipboard.writeText(command.textContent);
        button.textContent = "Copied";
      } catch {
        // A browser may refuse, or have no clipboard for a page that came over plain HTTP.
        getSelection().selectAllChildren(command);
        button.textContent = "Selected: press Ctrl+C";
      }
    });
  }
  // A link into a folded part opens it.
  const unfold = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    for (let part = target; part; part = part.parentElement) {
      if (part.tagName === "DETAILS") part.open = true;
    }
    const own = target && target.querySelector(":scope > details");
    if (own) own.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();
  const table = one("all-runs");
  if (!table) return;
  const runs = [...table.querySelectorAll("tbody.run")];
  const filters = one("filters");
  filters.hidden = false;
  table.classList.add("sortable");
  filters.addEventListener("submit", (event) => event.preventDefault());
  const show = () => {
    const words = one("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const run of runs) {
      const text = run.rows[0].textContent.toLowerCase();
      const fits = words.every((word) => text.includes(word))
        && (!one("of").value || run.dataset.of === one("of").value)
        && (!one("protocol").value || run.dataset.protocol === one("protocol").value)
        && (!one("below").checked || run.dataset.verdict === "below");
      run.hidden = !fits;
      shown += fits;
    }
    one("count").textContent = `${shown} of ${runs.length} runs`;
  };
  filters.addEventListener("input", show);
  const numbers = new Set(["value", "baseline", "n"]);
  for (const head of table.querySelectorAll("th[data-key]")) {
    const key = head.dataset.key;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const read = (run) => numbers.has(key)
        ? Number.parseFloat(run.dataset[key].replace("−", "-").replace("–", "nan"))
        : run.dataset[key];
      const order = (a, b) => {
        const [x, y] = [read(a), read(b)];
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
        return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
      };
      runs.sort(order).forEach((run) => table.append(run));
    });
  }
})();
