(() => {
  const data = read("data");
  const columns = [
    ["Verdict", (one) => badge(one.outcome), null],
    ["Case", nameOf, (one) => one.name],
    ["Virtual time", (one) => one.virtual, (one) => one.ns],
    ["Requests", (one) => one.requests, (one) => one.requests],
    ["Real time", (one) => `${one.wall.toFixed(2)}s`, (one) => one.wall],
    ["Tags", (one) => one.tags.join(", "), null],
  ];
  const numbers = new Set(["Virtual time", "Requests", "Real time"]);
  // By which column the table is sorted, and whether downwards; null is the order of the data, the worst first.
  let order = null;

  function nameOf(one) {
    const name = one.page ? h("a", { href: one.page }, one.name) : h("span", {}, one.name);
    return h("div", {}, name, h("div", { class: "title" }, one.title), one.why ? h("div", { class: "why" }, one.why) : null);
  }

  function counts() {
    const cases = data.cases.length;
    byId("counts").append(
      ...data.counts.flatMap(([outcome, number]) => [badge(outcome), ` ${number}`, h("span", { class: "space" })]),
      `${cases} ${cases === 1 ? "case" : "cases"}, ${data.virtual} of virtual time in ${data.wall}`,
    );
  }

  function section(id, rows, row) {
    byId(id).hidden = rows.length === 0;
    byId(id).querySelector("ul, ol").append(...rows.map(row));
  }

  function filters() {
    byId("filter-outcome").append(...data.counts.map(([outcome]) => h("option", {}, outcome)));
    byId("filter-tag").append(...data.tags.map((tag) => h("option", {}, tag)));
    byId("filters").addEventListener("input", table);
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
  }

  function head() {
    const cell = ([name, , key]) => {
      if (!key) return h("th", { scope: "col" }, name);
      return h("th", { scope: "col", "data-column": name }, h("button", { on: { click: () => sort(name) } }, name));
    };
    byId("table").tHead.append(h("tr", {}, columns.map(cell)));
  }

  function sort(name) {
    const downwards = order && order.name === name ? !order.downwards : numbers.has(name);
    order = { name, downwards };
    for (const cell of byId("table").tHead.querySelectorAll("[data-column]")) {
      if (cell.dataset.column === name) cell.setAttribute("aria-sort", downwards ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    table();
  }

  function sorted(cases) {
    if (!order) return cases;
    const key = columns.find(([name]) => name === order.name)[2];
    const sign = order.downwards ? -1 : 1;
    return [...cases].sort((a, b) => sign * (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
  }

  function table() {
    const [outcome, tag] = [byId("filter-outcome").value, byId("filter-tag").value];
    const text = byId("filter-text").value.toLowerCase();
    const cases = data.cases.filter(
      (one) =>
        (!outcome || one.outcome === outcome) &&
        (!tag || one.tags.includes(tag)) &&
        `${one.name} ${one.title} ${one.why}`.toLowerCase().includes(text),
    );
    const row = (one) =>
      h("tr", {}, columns.map(([name, cell]) => h("td", { class: numbers.has(name) ? "number" : null, "data-label": numbers.has(name) || name === "Tags" ? name : null }, cell(one))));
    byId("table").tBodies[0].replaceChildren(...sorted(cases).map(row));
    byId("shown").textContent = `${cases.length} of ${data.cases.length} cases`;
  }

  counts();
  section("warnings", data.warnings, ([name, text]) => h("li", {}, h("code", {}, name), ` ${text}`));
  section("slowest", data.slowest, ([name, wall]) => h("li", {}, h("code", {}, name), ` ${wall}`));
  filters();
  head();
  table();
})();
