// The page of one run. It draws what the data says and works nothing out about the run.
(() => {
  const data = read("data");
  const trace = byId("trace").textContent.split("\n").slice(1);
  const events = data.events.map(([n, at, lane, text, sign], i) => ({ i, n, at, lane, text, sign, mark: data.marks[n] }));
  const indexOf = new Map(events.map((event) => [event.n, event.i]));
  const marked = events.filter((event) => event.mark).sort((a, b) => a.mark - b.mark);
  const gapBefore = new Map(data.gaps);

  // -- the verdict ------------------------------------------------------------------------------------------------
  const FINDINGS_SHOWN = 4;
  // What is to be said where nothing is wrong.
  const PRAISE = {
    PASS: "Every law that could be asked held, and every expectation was met.",
    SKIPPED: "This case was not run.",
  };

  function verdict() {
    const title = h("div", { class: "headline" }, badge(data.outcome), h("h1", {}, data.title));
    if (data.case) title.append(h("span", { class: "soft" }, `[${data.case}]`));
    const requests = `${data.requests} ${data.requests === 1 ? "request" : "requests"}`;
    const facts = `${data.virtual} of virtual time, ${requests}, ${data.total.toLocaleString("en")} events, subject ${data.subject}`;
    byId("verdict").append(title, h("p", { class: "where" }, h("code", {}, data.name), h("br"), facts));
    if (data.reason) byId("verdict").append(h("p", {}, data.reason));
    if (!data.findings.length) byId("verdict").append(h("p", {}, PRAISE[data.outcome] || ""));
    byId("verdict").append(...findings(), planWords(), commands(), copies());
  }

  function findings() {
    const cards = data.findings.map(card);
    const grid = (some) => h("div", { class: "findings" }, some);
    if (cards.length <= FINDINGS_SHOWN + 1) return [grid(cards)];
    const rest = cards.slice(FINDINGS_SHOWN);
    const more = h("details", { class: "more" }, h("summary", {}, `${rest.length} more findings`), grid(rest));
    return [grid(cards.slice(0, FINDINGS_SHOWN)), more];
  }

  function card(finding) {
    const place = finding.place ? placeOf(finding.place) : "";
    const said = finding.expected
      ? h("dl", {}, h("dt", {}, "expected"), h("dd", {}, finding.expected), h("dt", {}, "actual"), h("dd", {}, finding.actual))
      : h("p", {}, finding.text);
    const jumps = finding.events.filter((n) => indexOf.has(n)).slice(0, 9);
    const button = (n) => {
      const event = events[indexOf.get(n)];
      return h("button", { title: event.text, on: { click: () => show(event) } }, `${event.mark} at ${instant(event.at)}`);
    };
    const see = jumps.length ? h("p", {}, h("span", { class: "soft" }, "see "), jumps.flatMap((n) => [button(n), " "])) : null;
    const head = h("p", {}, h("span", { class: "law" }, finding.law), " ", h("code", { class: "soft" }, place));
    return h("div", { class: finding.unknown ? "finding unknown" : "finding" }, head, said, see);
  }

  /** A line of the scenario; its file is named where it is another one. */
  function placeOf([file, line]) {
    return file === data.file ? `line ${line}` : `${file}:${line}`;
  }

  function planWords() {
    if (!data.plan.words.length) return "";
    return h("div", { class: "plan" }, h("p", {}, "This run differs from the normal order:"), h("ul", {}, data.plan.words.map((line) => h("li", {}, line))));
  }

  function commands() {
    const row = ([what, command]) => [
      h("span", { class: "soft what" }, what),
      h("code", {}, command),
      h("button", { "aria-label": `Copy the command: ${what}`, on: { click: (event) => copy(command, event.currentTarget) } }, "Copy"),
    ];
    return h("div", { class: "commands" }, data.commands.flatMap(row));
  }

  function copies() {
    const button = (label, text) => h("button", { on: { click: (event) => copy(text(), event.currentTarget) } }, label);
    return h("div", { class: "copies" }, button("Copy as text", asText), button("Copy for an issue", asMarkdown));
  }

  function verdictLines() {
    return [
      `${data.outcome}: ${data.title}`,
      data.name,
      ...data.findings.map((one) => `- ${one.law}: ${one.text}`),
      ...data.commands.map(([what, command]) => `${what}: ${command}`),
    ];
  }

  function asText() {
    const lines = events.map((event) => `${event.mark ? `${event.mark}> ` : ""}${instant(event.at)}  ${data.lanes[event.lane]}: ${event.text}`);
    return [...verdictLines(), "", ...lines].join("\n") + "\n";
  }

  /** Markdown in which every text of the run stands inside a fence that none of its lines can end. */
  function asMarkdown() {
    const words = verdictLines().join("\n");
    const longest = Math.max(2, ...[...words.matchAll(/`+/g)].map((found) => found[0].length));
    const fence = "`".repeat(longest + 1);
    return `${fence}text\n${words}\n${fence}\n\n\`\`\`mermaid\n${read("mermaid")}\`\`\`\n`;
  }

  async function copy(text, button) {
    const copied = await written(text);
    tell(copied ? "copied" : "this browser does not let a page copy; select the text instead");
    if (!copied) return;
    const label = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = label), 1200);
  }

  async function written(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Without permission, or on a plain http page, only the old way is left.
      const area = h("textarea", { class: "unseen", "aria-label": "text to copy" });
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }

  function tell(text) {
    byId("said").textContent = text;
  }

  // -- tabs -------------------------------------------------------------------------------------------------------
  const tabs = [...byId("tabs").children];
  const drawn = new Set(["run"]);
  const drawers = { difference, conversation, laws, data: downloads };

  function openTab(tab, focus) {
    for (const one of tabs) {
      const on = one === tab;
      one.setAttribute("aria-selected", String(on));
      one.tabIndex = on ? 0 : -1;
      byId(one.getAttribute("aria-controls")).hidden = !on;
    }
    const name = tab.id.slice("tab-".length);
    // A view is made when it is first looked at: a long run opens faster.
    if (!drawn.has(name)) {
      drawn.add(name);
      drawers[name](byId(`panel-${name}`));
    }
    if (focus) tab.focus();
  }

  function tabKeys(event) {
    const here = tabs.indexOf(document.activeElement);
    const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined || here < 0) return;
    event.preventDefault();
    event.stopPropagation();
    openTab(tabs[(to + tabs.length) % tabs.length], true);
  }

  /** Go to an event from another view. */
  function show(event) {
    openTab(tabs[0], false);
    select(event.i);
    byId("drawing").focus({ preventScroll: true });
    byId("panels").scrollIntoView({ block: "start" });
  }

  // -- the time line: where everything stands -----------------------------------------------------------------------
  const LEFT = 26, STEP = 17, FOLD = 84, GAP = 130, TOP = 34, SPAN = 18, LANE = 44;
  // A short run is drawn wider, up to this, to use the room that there is.
  const STRETCH = 2.2;
  const ROWS = 5, MARK = 16;
  const SILENCE_NS = 10e9;
  let isTrue = false;
  let current = 0;
  let xs = [];
  let cursor, halo;

  /** Where events stand when silences are folded: apart by their number, and a little by the time between. */
  function foldedXs(width) {
    const steps = events.map((event, i) => (i ? stepTo(event, events[i - 1]) : 0));
    // How wide it would be without that.
    const wide = steps.reduce((sum, step) => sum + step, 0);
    const stretch = Math.max(1, Math.min(STRETCH, (width - 2 * LEFT) / Math.max(1, wide)));
    let x = LEFT;
    return steps.map((step) => (x += step * stretch));
  }

  function stepTo(event, before) {
    const ns = event.at - before.at;
    if (gapBefore.has(event.i)) return GAP;
    if (ns >= SILENCE_NS) return FOLD;
    return ns ? STEP + 7 * Math.log10(1 + ns / 1e6) : STEP;
  }

  function trueXs(width) {
    const [from, to] = [events[0].at, events[events.length - 1].at];
    return events.map((event) => LEFT + ((event.at - from) / Math.max(1, to - from)) * (width - 2 * LEFT));
  }

  /** Give every span a row of its lane on which it overlaps no other. */
  function rowsOfSpans() {
    const ends = data.lanes.map(() => []);
    const placed = data.spans.map(([lane, name, sort, first, last, ns, open]) => {
      const rows = ends[lane];
      const [from, to] = isTrue ? [xs[first], Math.max(xs[last], xs[first] + 2)] : [xs[first] - 7, xs[last] + 7];
      // A silence lies within the answer that is silent, on that answer's row.
      let row = sort === "silence" ? Math.max(0, rows.findIndex((end) => end >= to - 1)) : rows.findIndex((end) => end <= from);
      // Where very many run at once, the last row shows how dense they are.
      if (row < 0) row = Math.min(rows.length, ROWS - 1);
      rows[row] = Math.max(rows[row] ?? 0, to);
      return { lane, name, sort, from, to, row, ns, open };
    });
    return [placed, ends.map((rows) => rows.length)];
  }

  function draw() {
    const drawing = byId("drawing");
    if (!events.length) {
      byId("timeline").hidden = true;
      return;
    }
    xs = (isTrue ? trueXs : foldedXs)(Math.max(280, drawing.clientWidth));
    const [placed, rows] = rowsOfSpans();
    const heights = rows.map((count) => LANE + count * SPAN);
    const tops = heights.map((_, lane) => TOP + heights.slice(0, lane).reduce((sum, height) => sum + height, 0));
    const height = TOP + heights.reduce((sum, one) => sum + one, 0) + 4;
    const width = Math.max(drawing.clientWidth, xs[xs.length - 1] + LEFT);
    const y = (lane) => tops[lane] + LANE - 18;
    const marks = marksXs(width);
    cursor = s("line", { class: "cursor", y1: TOP - 6, y2: height });
    halo = s("circle", { class: "halo", r: 9 });
    const svg = s(
      "svg",
      { width, height, role: "img", "aria-label": `${events.length} events in the lanes ${data.lanes.join(", ")}; every one is in the list of all events` },
      hatching(),
      tops.map((top) => s("line", { class: "rule", x1: 0, x2: width, y1: top, y2: top })),
      placed.map((span) => drawSpan(span, tops[span.lane] + LANE - 3 + span.row * SPAN)),
      folds(height),
      axis(),
      data.arrows.map(([a, b]) => arrow(a, b, y)),
      cursor,
      events.map((event) => drawEvent(event, y(event.lane), marks.get(event.i))),
      halo,
    );
    svg.addEventListener("click", (event) => picked(event, (i) => select(i)));
    svg.addEventListener("pointermove", (event) => picked(event, (i) => hint(events[i])));
    svg.addEventListener("pointerleave", () => hint(null));
    drawing.replaceChildren(svg);
    laneNames(tops, height);
    place();
  }

  /** Where the numbers of deciding events stand: above their events, or beside each other where these coincide. */
  function marksXs(width) {
    const found = new Map();
    for (const lane of data.lanes.keys()) {
      const ours = marked.filter((event) => event.lane === lane).sort((a, b) => a.i - b.i);
      let free = -Infinity;
      for (const event of ours) {
        found.set(event.i, Math.max(xs[event.i], free));
        free = found.get(event.i) + MARK;
      }
      let end = width - MARK / 2;
      for (const event of ours.reverse()) {
        found.set(event.i, Math.min(found.get(event.i), end));
        end = found.get(event.i) - MARK;
      }
    }
    return found;
  }

  function laneNames(tops, height) {
    byId("lanes").style.height = `${height}px`;
    const name = (lane, i) => {
      const label = h("span", { class: `lane-${i}` }, lane);
      label.style.top = `${tops[i] + LANE - 26}px`;
      return label;
    };
    byId("lanes").replaceChildren(...data.lanes.map(name));
  }

  function hatching() {
    const line = s("path", { class: "hatch", d: "M0 8 L8 0" });
    return s("defs", {}, s("pattern", { id: "hatching", width: 8, height: 8, patternUnits: "userSpaceOnUse" }, line));
  }

  function drawSpan(span, top) {
    const width = span.to - span.from;
    const silent = span.sort === "silence";
    const label = silent ? `silence ${about(span.ns)}` : `${span.name}${span.open ? " (open)" : ""}`;
    const room = Math.floor((width - 8) / 6.2);
    const text = label.length <= room ? label : room > 4 ? `${label.slice(0, room - 1)}…` : "";
    const shape = silent
      ? { class: "silence", fill: "url(#hatching)", "fill-opacity": 0.5 }
      : { class: `span${span.open ? " open" : ""}`, fill: "currentcolor", stroke: "currentcolor" };
    // The title is what a pointer that rests here shows.
    return s(
      "g",
      { class: `lane-${span.lane}` },
      s("title", {}, `${label}, ${about(span.ns)}`),
      s("rect", { ...shape, x: span.from, y: top, width, height: SPAN - 4 }),
      // The answer's own name stands there already, where its silence covers it.
      text && !silent ? s("text", { x: span.from + 4, y: top + 11 }, text) : null,
    );
  }

  /** Break marks where time is left out: folded silences, and events that the page does not hold. */
  function folds(height) {
    return events.slice(1).flatMap((event) => {
      const before = events[event.i - 1];
      const left = gapBefore.get(event.i);
      if (!left && (isTrue || event.at - before.at < SILENCE_NS)) return [];
      const middle = (xs[event.i] + xs[event.i - 1]) / 2;
      const label = left ? `${left.toLocaleString("en")} events left out` : about(event.at - before.at);
      const zigzag = (x) => {
        const points = Array.from({ length: Math.ceil((height - TOP) / 10) }, (_, k) => `${x + (k % 2 ? 3 : -3)} ${TOP + k * 10}`);
        return s("path", { class: "fold", d: `M${points.join(" L")}` });
      };
      return [
        s("rect", { class: "foldback", x: middle - 6, y: TOP, width: 12, height: height - TOP }),
        zigzag(middle - 5),
        zigzag(middle + 5),
        s("text", { x: middle, y: 12, "text-anchor": "middle", "font-weight": 700 }, label),
      ];
    });
  }

  /** The instants, each where it begins, as far as there is room for its text. */
  function axis() {
    let free = -Infinity;
    return events.flatMap((event, i) => {
      const isNew = i === 0 || event.at !== events[i - 1].at || gapBefore.has(i);
      if (!isNew || xs[i] < free) return [];
      const text = instant(event.at);
      free = xs[i] + text.length * 6.4 + 10;
      const near = xs[i] + text.length * 6.4 > xs[xs.length - 1] + LEFT;
      return [s("text", { class: "soft", x: near ? xs[i] + 8 : xs[i] - 8, y: 27, "text-anchor": near ? "end" : "start" }, text)];
    });
  }

  function arrow(a, b, y) {
    const [x1, y1, x2, y2] = [xs[a], y(events[a].lane), xs[b], y(events[b].lane)];
    const middle = (x1 + x2) / 2;
    return s("path", { class: "arrow", d: `M${x1} ${y1} C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}` });
  }

  function drawEvent(event, y, markX) {
    const x = xs[event.i];
    return s(
      "g",
      { class: `event lane-${event.lane}`, "data-i": event.i },
      s("rect", { class: "hit", x: x - STEP / 2, y: y - 25, width: STEP, height: 36 }),
      sign(event, x, y),
      event.mark ? s("circle", { class: "mark", cx: markX, cy: y - 17, r: 7.5 }) : null,
      event.mark ? s("text", { class: "mark-text", x: markX, y: y - 13.2 }, event.mark) : null,
    );
  }

  function sign(event, x, y) {
    switch (event.sign) {
      case "fault":
        return s("path", { class: "fault", d: `M${x} ${y - 6} L${x + 6} ${y} L${x} ${y + 6} L${x - 6} ${y} Z` });
      case "cancel":
        return s("path", { class: "cancel", d: `M${x - 5} ${y - 5} L${x + 5} ${y + 5} M${x + 5} ${y - 5} L${x - 5} ${y + 5}` });
      case "piece":
        return s("path", { class: "sign piece", d: `M${x} ${y - 5} L${x} ${y + 5}` });
      case "end":
        return s("rect", { class: "sign", x: x - 4, y: y - 4, width: 8, height: 8 });
      case "silence":
        return s("rect", { class: "silence", fill: "url(#hatching)", x: x - 5, y: y - 5, width: 10, height: 10 });
      default:
        return s("circle", { class: "sign", cx: x, cy: y, r: 3.6 });
    }
  }

  function picked(event, then) {
    const group = event.target.closest("[data-i]");
    if (group) then(Number(group.dataset.i));
  }

  function hint(event) {
    byId("hover").textContent = event ? `${instant(event.at)}  ${data.lanes[event.lane]}: ${event.text}` : "";
  }

  /** Put the cursor on the current event, and bring that into view. */
  function place() {
    if (!events.length) return;
    const [x, drawing] = [xs[current], byId("drawing")];
    const lane = drawing.querySelector(`[data-i="${current}"] .hit`);
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    halo.setAttribute("cx", x);
    halo.setAttribute("cy", Number(lane.getAttribute("y")) + 25);
    const [from, width] = [drawing.scrollLeft, drawing.clientWidth];
    if (x < from + 60 || x > from + width - 60) drawing.scrollLeft = x - width / 2;
  }

  // -- stepping -----------------------------------------------------------------------------------------------------
  function select(i) {
    if (!events.length) return;
    byId(`event-${events[current].n}`).setAttribute("aria-selected", "false");
    current = Math.max(0, Math.min(events.length - 1, i));
    const event = events[current];
    const option = byId(`event-${event.n}`);
    option.setAttribute("aria-selected", "true");
    byId("list").setAttribute("aria-activedescendant", option.id);
    within(byId("list"), option);
    byId("previous").disabled = current === 0;
    byId("next").disabled = current === events.length - 1;
    byId("position").textContent = `Event ${current + 1} of ${events.length} at ${instant(event.at)}`;
    place();
    details(event);
    source(event);
    tell(`${instant(event.at)}: ${event.text}`);
  }

  /** Scroll a box so that one of its children is seen, and nothing but the box. */
  function within(box, child) {
    const top = child.getBoundingClientRect().top - box.getBoundingClientRect().top + box.scrollTop;
    if (top < box.scrollTop + 30 || top > box.scrollTop + box.clientHeight - 60) box.scrollTop = top - box.clientHeight / 3;
  }

  function keys(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, select, textarea, [role=tablist]")) return;
    if (byId("panel-run").hidden) return;
    const inList = event.target.closest("[role=listbox]");
    const to = {
      ArrowLeft: current - 1,
      ArrowRight: current + 1,
      ArrowUp: inList ? current - 1 : undefined,
      ArrowDown: inList ? current + 1 : undefined,
      Home: 0,
      End: events.length - 1,
    }[event.key];
    const number = marked.find((one) => String(one.mark) === event.key);
    if (to === undefined && !number) return;
    event.preventDefault();
    select(number ? number.i : to);
  }

  function list() {
    const option = (event) =>
      h(
        "div",
        { role: "option", id: `event-${event.n}`, "aria-selected": "false", "data-i": event.i },
        h("span", { class: "number" }, event.mark || ""),
        h("span", { class: "at" }, instant(event.at)),
        h("span", { class: `text lane-${event.lane}` }, event.text),
      );
    const rows = events.flatMap((event) => {
      const left = gapBefore.get(event.i);
      const gap = left ? [h("div", { class: "gap", role: "presentation" }, `${left.toLocaleString("en")} events left out`)] : [];
      return [...gap, option(event)];
    });
    const longest = Math.max(0, ...events.map((event) => instant(event.at).length));
    byId("list").style.setProperty("--at", `${longest + 0.5}ch`);
    byId("list").replaceChildren(...rows);
    byId("list").addEventListener("click", (event) => picked(event, select));
  }

  // -- one event ----------------------------------------------------------------------------------------------------
  // What every event has, or what the sentence says; the rest is shown as values.
  const HEAD = new Set(["at", "who", "what"]);

  function details(event) {
    const values = JSON.parse(trace[event.i]);
    const rest = Object.fromEntries(Object.entries(values).filter(([name]) => !HEAD.has(name)));
    const place = placeFor(event);
    const broken = data.findings.filter((one) => one.events.includes(event.n)).map((one) => one.law);
    const fact = (name, value) => (value ? [h("dt", {}, name), h("dd", {}, value)] : []);
    byId("event").replaceChildren(
      h("p", { class: "sentence" }, event.mark ? `${event.mark}. ${event.text}` : event.text),
      h(
        "dl",
        {},
        fact("time", instant(event.at)),
        fact("lane", data.lanes[event.lane]),
        fact("kind", values.what),
        fact("event", `${event.n}`),
        fact("decides", [...new Set(broken)].join(", ")),
        fact("scenario", place ? `${place[0]}:${place[1]}` : ""),
      ),
      ...(data.codes[event.n] || []).map(codeOf),
      ...Object.entries(rest).filter(([, value]) => isLong(value)).map(([name, value]) => folded(name, value)),
      folded("values", Object.fromEntries(Object.entries(rest).filter(([, value]) => !isLong(value))), true),
    );
    byId("event").scrollTop = 0;
  }

  /** What is worth a fold of its own: a text of several lines, or a value with parts. */
  function isLong(value) {
    return typeof value === "string" ? value.length > 120 || value.includes("\n") : value !== null && typeof value === "object";
  }

  function folded(name, value, open = false) {
    const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    return h("details", { open: open || text.length < 600 }, h("summary", {}, name), h("pre", {}, text));
  }

  function codeOf(place) {
    const known = data.code[place];
    if (!known) return h("p", {}, h("code", {}, place));
    const number = Number(place.slice(place.lastIndexOf(":") + 1));
    const rows = known.lines.map((text, k) => lineOf(known.first + k, text, known.first + k === number ? "active" : ""));
    return h("div", { class: "in-code" }, h("p", {}, "In the code ", h("code", {}, place)), h("div", { class: "code-lines", tabindex: "0", role: "region", "aria-label": `code around ${place}` }, h("div", { class: "lines" }, rows)));
  }

  function lineOf(number, text, sort) {
    return h("div", { class: sort || null }, h("span", { class: "number" }, number), h("span", {}, text));
  }

  // -- the scenario -------------------------------------------------------------------------------------------------
  const sources = new Map();
  let shownFile = null;

  /** Where the scenario causes an event; of one that it does not cause but judges, where it does that. */
  function placeFor(event) {
    const judged = data.findings.find((one) => one.place && one.events.includes(event.n));
    return data.places[event.n] || (judged ? judged.place : null);
  }

  function source(event) {
    const place = placeFor(event);
    openFile(place && data.files[place[0]] ? place[0] : shownFile || data.file);
    const rows = sources.get(shownFile);
    if (!rows) return;
    for (const row of rows) {
      row.classList.remove("active");
      row.removeAttribute("aria-current");
    }
    const active = place && place[0] === shownFile ? rows[place[1] - 1] : null;
    if (!active) return;
    active.classList.add("active");
    active.setAttribute("aria-current", "true");
    within(byId("source"), active);
  }

  function openFile(name) {
    if (name === shownFile) return;
    shownFile = name;
    const lines = data.files[name];
    if (!lines) {
      byId("source").replaceChildren(h("p", { class: "gap" }, "This run came from no scenario file."));
      return;
    }
    const blamed = new Set(data.findings.filter((one) => one.place && one.place[0] === name).map((one) => one.place[1]));
    const rows = lines.map((text, k) => lineOf(k + 1, text, blamed.has(k + 1) ? "blamed" : ""));
    sources.set(name, rows);
    byId("source").replaceChildren(h("div", { class: "name" }, name), h("div", { class: "lines" }, rows));
  }

  // -- the other views ------------------------------------------------------------------------------------------------
  function table(panel, caption, heads, rows) {
    const head = h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, name))));
    panel.append(
      h("div", { class: "table", tabindex: "0", role: "region", "aria-label": caption }, h("table", {}, h("caption", { class: "unseen" }, caption), head, h("tbody", {}, rows))),
    );
  }

  function difference(panel) {
    const found = data.difference;
    if (!found) {
      const why = data.plan.words.length
        ? "No other run of this case was given to compare with."
        : "This is the normal run of the case: there is no other to compare it with.";
      panel.append(h("p", {}, why));
      return;
    }
    const words = found.first === null ? "Both runs are the same." : `The normal run (${found.outcome}) on the left, this run (${data.outcome}) on the right.`;
    panel.append(h("p", {}, words), planWords());
    table(panel, "The normal run beside this one", ["Normal run", "", "This run", ""], found.rows.flatMap((row, k) => differenceRow(row, k === found.first)));
    if (found.left) panel.append(h("p", { class: "soft" }, `${found.left.toLocaleString("en")} later events are not compared.`));
  }

  function differenceRow([sort, normal, failing, count], isFirst) {
    if (sort === "folded") return [h("tr", { class: "folded" }, h("td", { colspan: 4 }, `${count.toLocaleString("en")} more events like those around them`))];
    const banner = isFirst ? [h("tr", { class: "banner first" }, h("td", { colspan: 4 }, "First divergence"))] : [];
    const cells = (event, name) =>
      event
        ? [h("td", { class: `at ${name}` }, instant(event[1])), h("td", { class: name }, `${data.lanes[event[2]]}: ${event[3]}`)]
        : [h("td", { class: name }), h("td", { class: name })];
    return [...banner, h("tr", { class: sort.replace(" ", "-") }, cells(normal, "normal"), cells(failing, "failing"))];
  }

  function conversation(panel) {
    if (!data.conversation.length) panel.append(h("p", {}, "Nobody said anything in this run."));
    const item = ([n, who, text, remark]) => {
      const event = events[indexOf.get(n)];
      const jump = event ? h("button", { "aria-label": `Go to the event at ${instant(event.at)}`, on: { click: () => show(event) } }, instant(event.at)) : null;
      const head = h("div", { class: "head" }, h("span", { class: "who" }, who), h("span", { class: "soft" }, remark), jump);
      return h("li", { class: who.split(" ")[0] }, head, text ? h("pre", {}, text) : null);
    };
    panel.append(h("ol", { class: "messages" }, data.conversation.map(item)));
  }

  function laws(panel) {
    const row = ([state, law, words]) =>
      h("tr", {}, h("td", { class: `state-${state.replace(" ", "-")}` }, state), h("td", {}, h("code", {}, law)), h("td", {}, words));
    table(panel, "Laws and expectations", ["State", "Law or expectation", "What it says"], data.laws.map(row));
  }

  function downloads(panel) {
    const name = (data.file.split("/").pop() || "run").replace(/\.sim\.yaml$/, "").replace(/[^\w.-]+/g, "-");
    const button = (label, file, type, text) => h("button", { on: { click: () => save(file, type, text()) } }, label);
    panel.append(
      h("p", {}, "The data of this page, for other tools. Secrets are masked in all of it."),
      data.cut ? h("p", { class: "notice" }, data.cut) : "",
      h(
        "div",
        { class: "downloads" },
        button("Download JSON lines", `${name}.jsonl`, "application/x-ndjson", () => plain(byId("trace").textContent) + "\n"),
        button("Download Perfetto trace", `${name}.perfetto.json`, "application/json", () => plain(byId("perfetto").textContent)),
        button("Download Mermaid", `${name}.mmd`, "text/plain", () => read("mermaid")),
      ),
      h("p", { class: "soft" }, "JSON lines are what --trace writes. The Perfetto trace opens in the Perfetto viewer and in chrome://tracing. Mermaid is a diagram for Markdown."),
      data.about ? h("p", {}, data.about) : "",
      data.refs.length ? h("p", {}, `References: ${data.refs.join(", ")}`) : "",
      data.tags.length ? h("p", {}, `Tags: ${data.tags.join(", ")}`) : "",
    );
  }

  /** Undo what keeps data from being taken for markup; an escaped backslash is no beginning of an escape. */
  function plain(text) {
    const meant = { "003c": "<", "003e": ">", "0026": "&" };
    return text.replace(/\\(?:u(003c|003e|0026)|.)/g, (whole, code) => (code ? meant[code] : whole));
  }

  function save(name, type, text) {
    const link = h("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    tell(`saved ${name}`);
  }

  // -- begin ----------------------------------------------------------------------------------------------------------
  verdict();
  byId("cut").textContent = data.cut;
  byId("cut").hidden = !data.cut;
  list();
  draw();
  for (const tab of tabs) tab.addEventListener("click", () => openTab(tab, false));
  byId("tabs").addEventListener("keydown", tabKeys);
  document.addEventListener("keydown", keys);
  byId("previous").addEventListener("click", () => select(current - 1));
  byId("next").addEventListener("click", () => select(current + 1));
  byId("scale").addEventListener("click", () => {
    isTrue = !isTrue;
    byId("scale").setAttribute("aria-pressed", String(isTrue));
    draw();
  });
  addEventListener("resize", draw);
  // What the first finding names is what one has come for.
  const first = data.findings.flatMap((finding) => finding.events).find((n) => indexOf.has(n));
  select(indexOf.get(first) ?? 0);
})();
