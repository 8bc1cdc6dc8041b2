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
if (location.hash) runs.search(decodeURIComponent(location.hash.slice(1))).draw();

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

function detail(number, { details, settings, sessions }) {
  const [row, arch, error, session, trace, log] = details[number];
  const parts = [pairs([["proposal", arch || "–"]])];
  if (error) parts.unshift(element("h3", "Why it failed"), element("pre", error));
  parts.push(...numbers("Trace: the proposal at each change", trace), ...numbers("Log", log));
  parts.push(element("h3", "Settings"), pairs(Object.entries(settings[row])));
  if (session !== null) parts.push(element("h3", "Made by"), pairs(Object.entries(sessions[session])));
  return element("div", null, ...parts);
}
