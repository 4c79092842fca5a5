"use strict";
(() => {
  const form = document.getElementById("filter");
  const cases = [...document.querySelectorAll(".case")];
  const texts = new Map();

  const textOf = (item) => {
    if (!texts.has(item)) texts.set(item, item.textContent.toLowerCase());
    return texts.get(item);
  };

  const apply = () => {
    const data = new FormData(form);
    const fate = data.get("fate");
    const tags = data.getAll("tag").filter(Boolean);
    const text = data.get("text").trim().toLowerCase();
    let shown = 0;
    for (const item of cases) {
      const has = item.dataset.tags.split(" ");
      const fits = (!fate || item.dataset.fate === fate) && tags.every((tag) => has.includes(tag)) &&
        (!text || textOf(item).includes(text));
      item.hidden = !fits;
      shown += fits;
    }
    document.getElementById("count").textContent = `${shown} of ${cases.length} shown`;
    document.getElementById("none").hidden = shown > 0;
  };

  // A link to a place inside a closed or hidden case opens it.
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) {
      if (at.tagName === "DETAILS") at.open = true;
      at.hidden = false;
    }
    target.scrollIntoView({ block: "center" });
  };

  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", reveal);
  apply();
  if (location.hash) reveal();
})();
