// Tables: sorted by the buttons in their headings, filtered by words, saved as CSV.
{
  const FEWEST_ROWS_TO_FILTER = 6;
  const SMALL_PRINT = ".range, .detail";
  const NUMBER = /^[+-]?(?:Infinity|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)/;
  const collator = new Intl.Collator("en", { numeric: true });

  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  const mainText = (cell) => {
    if (!cell.querySelector(SMALL_PRINT)) return cell.textContent.trim();
    const copy = cell.cloneNode(true);
    copy.querySelectorAll(SMALL_PRINT).forEach((part) => part.remove());
    return copy.textContent.trim();
  };

  const smallPrint = (cell) =>
    [...cell.querySelectorAll(SMALL_PRINT)].map((part) => part.textContent.trim()).join("; ");

  const exponent = (_, digits) =>
    "e" + [...digits].map((digit) => "-0123456789"["⁻⁰¹²³⁴⁵⁶⁷⁸⁹".indexOf(digit)]).join("");

  // A number as it is written on the page, as JavaScript writes it.
  const ascii = (text) =>
    text
      .replace(/−/g, "-")
      .replace("∞", "Infinity")
      .replace(/(\d),(?=\d{3})/g, "$1")
      .replace(/×10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)/, exponent);

  const DURATION = /^(?:(\d+) h ?)?(?:(\d+) min)?(?:([\d.]+) s)?$/;

  const secondsIn = (text) => {
    const found = text ? DURATION.exec(text) : null;
    if (!found) return null;
    const [hours, minutes, seconds] = found.slice(1).map((part) => Number(part ?? 0));
    return 3600 * hours + 60 * minutes + seconds;
  };

  const numberIn = (cell) => {
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const text = ascii(mainText(cell));
    const found = NUMBER.exec(text.replace(/^[<>×]\s*/, ""));
    return secondsIn(text) ?? (found ? Number(found[0]) : NaN);
  };

  const isNumeric = (heading) => heading.classList.contains("n");

  // What is missing comes last, whichever way a column is sorted.
  const compare = (one, other, sign) => {
    if (typeof one === "string") return sign * collator.compare(one, other);
    if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) - Number.isNaN(other);
    return one === other ? 0 : sign * (one < other ? -1 : 1);
  };

  const sortRows = (table, rows, column, sign) => {
    const heading = table.tHead.rows[0].cells[column];
    const value = isNumeric(heading) ? numberIn : mainText;
    const keyed = rows.map((row) => [value(row.cells[column]), row]);
    keyed.sort((one, other) => compare(one[0], other[0], sign));
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  };

  const NEXT = { none: "ascending", ascending: "descending", descending: "none" };

  const turn = (table, rows, column) => {
    const headings = [...table.tHead.rows[0].cells];
    const next = NEXT[headings[column].getAttribute("aria-sort") ?? "none"];
    headings.forEach((heading) => heading.removeAttribute("aria-sort"));
    if (next === "none") {
      table.tBodies[0].append(...rows);
    } else {
      headings[column].setAttribute("aria-sort", next);
      sortRows(table, rows, column, next === "ascending" ? 1 : -1);
    }
  };

  const addSorting = (table, rows) => {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = make("button", { type: "button", className: "sort" }, ...heading.childNodes);
      button.addEventListener("click", () => turn(table, rows, column));
      heading.append(button);
    });
  };

  const filterRows = (rows, words) => {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = row.textContent.replace(/−/g, "-").toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word.replace(/−/g, "-")));
    }
    return rows.filter((row) => !row.hidden).length;
  };

  const filterFor = (rows) => {
    const input = make("input", { type: "search", autocomplete: "off", spellcheck: false });
    const count = make("output", { className: "count" }, `${rows.length} rows`);
    input.addEventListener("input", () => {
      const shown = filterRows(rows, input.value);
      count.textContent = `${shown === rows.length ? "" : `${shown} of `}${rows.length} rows`;
    });
    return [make("label", {}, "Filter ", input), count];
  };

  // A spreadsheet would run a text that starts like this as a formula.
  const guarded = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);

  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  const savedNumber = (cell) => {
    const shown = cell.dataset.value ?? ascii(mainText(cell)).replace(/ %$/, "");
    const text = String(secondsIn(shown) ?? shown);
    if (text === "–") return "";
    return NUMBER.exec(text)?.[0] === text ? text.replace("Infinity", "inf") : guarded(text);
  };

  const unitOf = (cells) => {
    const texts = cells.filter((cell) => cell.dataset.value === undefined).map(mainText);
    if (texts.some((text) => text.endsWith(" %"))) return ", %";
    return texts.some((text) => secondsIn(text) !== null) ? ", s" : "";
  };

  // One or two columns of the CSV for one of the table: its small print stands beside it.
  const savedColumn = (heading, cells) => {
    const numeric = isNumeric(heading);
    const unit = numeric ? unitOf(cells) : "";
    const name = `${heading.dataset.name ?? heading.textContent.trim()}${unit}`;
    const write = numeric ? savedNumber : (cell) => guarded(mainText(cell));
    const columns = [[guarded(name), ...cells.map(write)]];
    const notes = cells.map(smallPrint);
    if (notes.some(Boolean)) columns.push([`${name}, detail`, ...notes.map(guarded)]);
    return columns;
  };

  const csvOf = (table) => {
    const rows = [...table.tBodies[0].rows];
    const columns = [...table.tHead.rows[0].cells].flatMap((heading, place) =>
      savedColumn(heading, rows.map((row) => row.cells[place])),
    );
    const lines = columns[0].map((_, line) => columns.map((column) => quoted(column[line])));
    return lines.map((fields) => `${fields.join(",")}\r\n`).join("");
  };

  const nameOf = (table) => table.dataset.name ?? document.title;

  const save = (table) => {
    const address = URL.createObjectURL(new Blob([csvOf(table)], { type: "text/csv" }));
    const download = `${nameOf(table).replace(/[^\p{L}\p{N}.]+/gu, "_")}.csv`;
    make("a", { href: address, download }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  };

  const saving = (table) => {
    const button = make("button", { type: "button", className: "save" }, "Save as CSV");
    button.setAttribute("aria-label", `Save as CSV: ${nameOf(table)}`);
    button.addEventListener("click", () => save(table));
    return button;
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length > 1) addSorting(table, rows);
    const tools = rows.length < FEWEST_ROWS_TO_FILTER ? [] : filterFor(rows);
    table.closest(".scroll").before(make("div", { className: "tools" }, ...tools, saving(table)));
  }
}
