// Asks the server about entities and shows what it answers.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const form = $("search"), type = $("type"), field = $("id"), list = $("ids");
  const start = $("start"), answer = $("answer");
  let chosen = -1;      // the suggestion under the arrow keys
  // The newest questions: answers to earlier ones are dropped.
  let suggestion = 0, visit = 0;

  const make = (tag, attributes = {}, ...content) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...content);
    return made;
  };
  const svg = (tag, attributes, ...content) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...content);
    return made;
  };
  const ask = async (path, parameters) => {
    const reply = await fetch(`/api/${path}?${new URLSearchParams(parameters)}`);
    return reply.json();
  };
  const address = (entityType, id) =>
    `#${encodeURIComponent(entityType)}/${encodeURIComponent(id)}`;
  const link = (entityType, id) => make("a", { href: address(entityType, id) }, id);
  const digits = (value) => value.toFixed(4).replace("-", "\u2212");

  // Suggestions.

  const close = () => {
    ++suggestion;
    list.hidden = true;
    chosen = -1;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  };
  const choose = (index) => {
    const items = [...list.children];
    if (!items.length) return;
    chosen = (index + items.length) % items.length;
    items.forEach((item, place) =>
      item.setAttribute("aria-selected", String(place === chosen)));
    items[chosen].scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", items[chosen].id);
  };
  const suggest = async () => {
    const mine = ++suggestion;
    const { ids = [] } = await ask("complete", { type: type.value, prefix: field.value });
    if (mine !== suggestion) return;
    list.replaceChildren(...ids.map((id, place) =>
      make("li", { role: "option", id: `id-${place}`, "aria-selected": "false" }, id)));
    chosen = -1;
    list.hidden = !ids.length;
    field.setAttribute("aria-expanded", String(ids.length > 0));
  };

  // An entity.

  const facts = (rows) => make("table", { class: "facts num" }, make("tbody", {},
    ...rows.map(([name, value]) => make("tr", {},
      make("th", { scope: "row" }, name), make("td", {}, value)))));

  const drawVector = (values) => {
    const width = 736, height = 120, middle = height / 2;
    const largest = Math.max(...values.map(Math.abs), 1e-12);
    const step = width / values.length;
    const bars = values.map((value, place) => {
      const size = Math.abs(value) / largest * (middle - 4);
      const bar = svg("rect", {
        class: "bar is-accent", x: place * step, width: Math.max(step - 1, .5),
        y: value > 0 ? middle - size : middle, height: Math.max(size, .5),
      }, svg("title", {}, `number ${place}: ${digits(value)}`));
      return bar;
    });
    const base = svg("line", { class: "base", x1: 0, x2: width, y1: middle, y2: middle });
    return make("figure", {},
      make("figcaption", {}, make("h3", {}, "Vector")),
      svg("svg", {
        viewBox: `0 0 ${width} ${height}`, role: "img",
        "aria-label": `The ${values.length} numbers of the vector as bars`,
      }, base, ...bars));
  };

  const title = ({ relation, side, entity_type }) =>
    relation === null ? "Most alike"
      : `${relation} ${side === "rhs" ? "\u2192" : "\u2190"} ${entity_type}`;

  const drawNeighbors = (found) => {
    const { ids, scores, entity_type } = found;
    const low = Math.min(...scores), span = Math.max(...scores) - low || 1;
    const rows = ids.map((id, place) => {
      const share = 20 + 80 * (scores[place] - low) / span;
      const fill = make("i", {});
      fill.style.width = `${share}%`;
      return make("tr", {},
        make("th", { scope: "row" }, String(place + 1)),
        make("td", { class: "id text" }, link(entity_type, id)),
        make("td", {}, make("span", { class: "meter", "aria-hidden": "true" }, fill)),
        make("td", {}, digits(scores[place])));
    });
    return make("section", { class: "half" },
      make("h3", {}, title(found)),
      ids.length
        ? make("table", { class: "neighbors" }, make("tbody", {}, ...rows))
        : make("p", { class: "note" }, "None."));
  };

  const drawEdges = (edges) => {
    if (edges === null) return [];
    if (!edges.length) return [make("section", {}, make("h3", {}, "Edges"),
      make("p", { class: "note" }, "None in training."))];
    return edges.map((found) => make("section", {},
      make("h3", {}, `Training edges: ${title(found)}`),
      make("p", { class: "note" },
        `${found.num_edges.toLocaleString("en")}` +
        (found.ids.length < found.num_edges ? `, ${found.ids.length} of them shown` : "")),
      make("ul", { class: "edge-ids id" },
        ...found.ids.map((id) => make("li", {}, link(found.entity_type, id))))));
  };

  const draw = (found) => {
    const { vector } = found;
    const longer = Math.round(100 * vector.norm_quantile);
    const about = make("div", { class: "about" },
      make("h2", { class: "name", tabindex: "-1" }, found.id),
      make("p", {}, found.entity_type),
      facts([
        ["row", found.row.toLocaleString("en")],
        ["norm", digits(vector.norm)],
        ["longer than", `${longer}% of its type`],
        ["mean", digits(vector.mean)],
        ["deviation", digits(vector.deviation)],
        ["smallest", digits(vector.smallest)],
        ["largest", digits(vector.largest)],
      ]));
    const figures = make("div", { class: "figures" }, drawVector(vector.values),
      ...found.neighbors.map(drawNeighbors), ...drawEdges(found.edges));
    return make("section", { class: "section" }, about, figures);
  };

  const route = async () => {
    const [entityType, id] = location.hash.slice(1).split("/").map(decodeURIComponent);
    close();
    const mine = ++visit;
    if (id === undefined) {
      start.hidden = false;
      answer.hidden = true;
      document.title = "Explore - TwHIN";
      return;
    }
    answer.classList.add("busy");
    let shown;
    try {
      const found = await ask("entity", { type: entityType, id });
      shown = found.error ? make("p", { class: "problem" }, found.error) : draw(found);
    } catch {
      shown = make("p", { class: "problem" }, "The server does not answer any more.");
    }
    if (mine !== visit) return;
    answer.classList.remove("busy");
    answer.replaceChildren(shown);
    answer.hidden = false;
    start.hidden = true;
    if ([...type.options].some((option) => option.value === entityType)) type.value = entityType;
    field.value = id;
    document.title = `${id} - TwHIN`;
    scrollTo(0, 0);
    answer.querySelector("h2")?.focus({ preventScroll: true });
  };
  const go = (id) => {
    close();
    const target = address(type.value, id);
    if (location.hash === target) route();
    else location.hash = target;
  };

  field.addEventListener("input", suggest);
  field.addEventListener("focus", () => { if (!field.value) suggest(); });
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) suggest();
      else choose(event.key === "ArrowDown" ? chosen + 1 : chosen < 0 ? -1 : chosen - 1);
    } else if (event.key === "Escape") {
      close();
    }
  });
  field.addEventListener("blur", () => setTimeout(close, 120));
  list.addEventListener("pointerdown", (event) => {
    const item = event.target.closest("li");
    if (item) { event.preventDefault(); go(item.textContent); }
  });
  type.addEventListener("change", () => { field.value = ""; field.focus(); });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const id = chosen >= 0 ? list.children[chosen].textContent : field.value.trim();
    if (id) go(id);
    else field.focus();
  });
  for (const example of document.querySelectorAll("a[data-type]")) {
    example.href = address(example.dataset.type, example.textContent);
  }
  addEventListener("hashchange", route);
  route();
})();
