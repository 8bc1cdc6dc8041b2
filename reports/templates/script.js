// Tables that sort and search, and rows that light up wherever they are shown.
set_or_remove_dark_class();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", set_or_remove_dark_class);

const SEARCHED = 8; // tables with more lines have a search field
const running = document.querySelector('meta[http-equiv="refresh"]') !== null; // then sorting and searches outlive a reload
for (const table of document.querySelectorAll("figure.table table")) {
  const search = table.tBodies[0].rows.length > SEARCHED ? { search: { placeholder: "filter" } } : null;
  jQuery(table).DataTable({
    paging: false, order: [], autoWidth: false, stateSave: running, keys: true,
    layout: { topStart: search, topEnd: null, bottomStart: null, bottomEnd: null },
  }).on("key-focus", (event, api, cell) => light(cell.node().parentNode.dataset.row))
    .on("key-blur", () => light());
}

function light(row) {
  document.querySelectorAll(".lit").forEach((element) => element.classList.remove("lit"));
  const shown = row === undefined ? [] : document.querySelectorAll(`[data-row="${CSS.escape(row)}"]`);
  shown.forEach((element) => element.classList.add("lit"));
  document.body.classList.toggle("pointing", shown.length > 0);
}
document.addEventListener("pointerover", (event) => light(event.target.closest("[data-row]")?.dataset.row));
