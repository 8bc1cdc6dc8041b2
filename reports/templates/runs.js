// The table of all runs. Every text comes from a method or its error: it is set as text, never as HTML.
const packed = (id) => unpacked(document.getElementById(id).textContent).json();
const { columns, lines } = await packed("data");
let details = null; // the largest part of the page, read when the first run is opened
const text = jQuery.fn.dataTable.render.text();
const decimals = (digits) => (value, type) => (type !== "display" ? value : value === null ? "–" : value.toFixed(digits));
const choices = (at) => [...new Set(lines.map((line) => line[at]))].sort()
  .map((value) => ({ label: text.display(value), value })); // else every list sorts all runs when the page opens
const runs = jQuery("#runs").DataTable({
  data: lines.map((line, number) => [number, ...line]),
  columns: [
    { title: '<span class="hidden">Details</span>', type: "num", orderable: false, searchable: false, columnControl: [], createdCell: button },
    ...columns.map(({ title, digits }, at) => digits === null
      ? { title, type: "string", render: text, columnControl: ["order", [{ extend: "searchList", options: choices(at) }]] }
      : { title, type: "num", render: decimals(digits), className: "dt-right", columnControl: ["order"] }),
  ],
  order: [], ordering: { indicators: false }, autoWidth: false, pageLength: 25, deferRender: true, stateSave: running,
  layout: { topStart: "pageLength", topEnd: "search", bottomStart: "info", bottomEnd: "paging" },
});
choose();
addEventListener("hashchange", choose);

// Show the runs that the address names: `method=A&method=B&seed=0` by columns, any other word by search.
function choose() {
  const words = location.hash.slice(1);
  const wanted = new URLSearchParams(words.includes("=") ? words : "");
  columns.forEach(({ title }, at) => {
    const values = wanted.getAll(title);
    runs.column(at + 1).search.fixed("address", values.length ? (_, line) => values.includes(String(line[at + 1])) : null);
  });
  const note = document.getElementById("chosen");
  note.hidden = !words;
  note.replaceChildren(`Only runs of ${[...wanted.values()].join(", ") || decodeURIComponent(words)}. `, element("a", "Show all runs"));
  note.lastChild.href = "#";
  runs.search(words.includes("=") ? "" : decodeURIComponent(words)).draw();
}

function element(name, content, ...children) {
  const made = document.createElement(name);
  if (content !== null) made.textContent = content;
  made.append(...children);
  return made;
}

function button(cell, number) {
  const line = lines[number];
  const opener = element("button", "+");
  opener.setAttribute("aria-label", `Details of ${line[0]}, seed ${line[2]}`);
  opener.setAttribute("aria-expanded", "false");
  opener.addEventListener("click", async () => {
    details ??= packed("details");
    const content = detail(number, await details);
    const row = runs.row(cell.parentNode);
    const shown = row.child.isShown();
    if (shown) row.child.hide();
    else row.child(content).show();
    opener.textContent = shown ? "+" : "−";
    opener.setAttribute("aria-expanded", String(!shown));
  });
  cell.replaceChildren(opener);
}

function pairs(entries) {
  return element("dl", null, ...entries.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
}

function numbers(title, byName) {
  const names = Object.keys(byName);
  if (!names.length) return [];
  const head = element("tr", null, ...names.map((name) => element("th", name)));
  const body = byName[names[0]].map((_, at) => element("tr", null, ...names.map((name) => element("td", byName[name][at] ?? "–"))));
  const table = element("table", null, element("thead", null, head), element("tbody", null, ...body));
  return [element("details", null, element("summary", `${title} (${body.length} lines)`), table)];
}

function shape(name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  made.textContent = text;
  return made;
}

// A cell as reports/sketches.py lays it out: lines lead from left to right, each with its label, below the nodes.
function drawing({ name, size: [width, height], nodes, lines }) {
  const image = shape("svg", { viewBox: `0 0 ${width} ${height}`, class: "cell", role: "img", "aria-label": `Cell ${name}` });
  for (const [d, dotted] of lines) image.append(shape("path", { d, "stroke-dasharray": dotted ? "1 3" : "none" }));
  for (const [, , x, y, wide, text] of lines) {
    const rows = text.split("\n");
    if (text) image.append(shape("rect", { x: x - wide / 2, y: y - 5 * rows.length, width: wide, height: 10 * rows.length, class: "label" }));
    rows.forEach((row, at) => image.append(shape("text", { x, y: y + 3 + 10 * (at - (rows.length - 1) / 2) }, row)));
  }
  for (const [x, y, wide, tall, text] of nodes) {
    image.append(shape("rect", { x: x - wide / 2, y: y - tall / 2, width: wide, height: tall, rx: 5 }));
    const rows = text.split(" ");
    rows.forEach((row, at) => image.append(shape("text", { x, y: y + 3 + 10 * (at - (rows.length - 1) / 2) }, row)));
  }
  const parts = [image];
  if (name) parts.unshift(element("figcaption", name));
  return element("figure", null, ...parts);
}

function detail(number, { details, settings, sessions, cells }) {
  const [row, arch, error, session, trace, log] = details[number];
  const parts = [pairs([["proposal", arch || "–"]]), ...(cells[arch] ?? []).map(drawing)];
  if (error) parts.unshift(element("h3", "Why it failed"), element("pre", error));
  parts.push(...numbers("Trace: the proposal at each change", trace), ...numbers("Log", log));
  parts.push(element("h3", "Settings"), pairs(Object.entries(settings[row])));
  if (session !== null) parts.push(element("h3", "Made by"), pairs(Object.entries(sessions[session])));
  return element("div", null, ...parts);
}
