// One model picked out: by pointing at it in a figure, a legend or a table, or by its button.
{
  const SEPARATOR = " · "; // between the name of a model and its task
  const REACH = 7; // how far from a line, in pixels, one may point
  const POINTED_AT = "svg [data-series], li[data-series], tbody th, .panel .name, b.series";
  const state = { pinned: null, pointed: null, shown: null };
  const parts = new Map();
  const buttons = [];

  const same = (one, other) =>
    one === other || one.startsWith(other + SEPARATOR) || other.startsWith(one + SEPARATOR);

  const seriesOf = (element) => element?.closest("[data-series]")?.dataset.series ?? null;

  const partsOf = (name) =>
    [...parts].filter(([other]) => same(name, other)).flatMap(([, elements]) => elements);

  const show = () => {
    const name = state.pointed ?? state.pinned;
    if (name === state.shown) return;
    if (state.shown !== null) partsOf(state.shown).forEach((part) => part.classList.remove("picked"));
    if (name !== null) partsOf(name).forEach((part) => part.classList.add("picked"));
    document.documentElement.classList.toggle("picking", name !== null);
    state.shown = name;
  };

  const point = (name) => {
    state.pointed = name;
    show();
  };

  const pin = (name) => {
    state.pinned = name;
    buttons.forEach((button) => {
      button.setAttribute("aria-pressed", name !== null && same(seriesOf(button), name));
    });
    show();
  };

  const toggle = (name) => pin(state.pinned !== null && same(name, state.pinned) ? null : name);

  // Lines are thin: look around the pointer, too.
  const seriesNear = (x, y) => {
    for (const reach of [0, REACH / 2, REACH]) {
      for (const [right, down] of [[0, -1], [0, 1], [-1, 0], [1, 0]]) {
        const found = document.elementFromPoint(x + right * reach, y + down * reach);
        const part = found?.closest("svg [data-series]");
        if (part) return part.dataset.series;
      }
    }
    return null;
  };

  const under = (event) => {
    if (event.target.closest(".chart svg")) return seriesNear(event.clientX, event.clientY);
    return event.target.closest(POINTED_AT) ? seriesOf(event.target) : null;
  };

  const focused = () => {
    const button = document.activeElement?.closest("button.pick:focus-visible");
    return button ? seriesOf(button) : null;
  };

  const clear = () => {
    point(null);
    pin(null);
  };

  const nameRows = () => {
    for (const row of document.querySelectorAll("table.plain tbody tr")) {
      row.dataset.series = row.cells[0].textContent;
    }
    for (const name of document.querySelectorAll("b.series")) name.dataset.series = name.textContent;
  };

  const collect = () => {
    for (const element of document.querySelectorAll("[data-series]")) {
      const name = element.dataset.series;
      if (!parts.has(name)) parts.set(name, []);
      parts.get(name).push(element);
    }
  };

  const addButton = (entry) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "pick" });
    button.setAttribute("aria-pressed", "false");
    button.append(...entry.childNodes);
    button.addEventListener("click", () => toggle(entry.dataset.series));
    entry.append(button);
    buttons.push(button);
  };

  // The models that any legend names, each once.
  const entries = () => {
    const found = [];
    for (const entry of document.querySelectorAll(".legend li[data-series]")) {
      const name = entry.dataset.series;
      if (!found.some((other) => same(other.dataset.series, name))) found.push(entry);
    }
    return found;
  };

  const addList = () => {
    const list = document.querySelector("#models ul");
    const found = entries();
    if (found.length < 2) return;
    list.append(...found.map((entry) => entry.cloneNode(true)));
    list.closest("#models").hidden = false;
  };

  // Underline the names in the text as their lines are drawn.
  const paintNames = () => {
    const found = entries();
    for (const name of document.querySelectorAll("b.series")) {
      const entry = found.find((other) => same(other.dataset.series, name.dataset.series));
      const stroke = entry?.querySelector(".swatch line").style.stroke;
      if (stroke) name.style.setProperty("--own", stroke);
    }
  };

  const listen = () => {
    document.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "touch") point(under(event) ?? focused());
    });
    document.addEventListener("click", (event) => {
      const name = event.target.closest(".chart svg") && under(event);
      if (name) toggle(name);
    });
    document.addEventListener("focusin", () => point(focused()));
    document.addEventListener("focusout", () => point(null));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") clear();
    });
  };

  nameRows();
  paintNames();
  addList();
  document.querySelectorAll("li[data-series]").forEach(addButton);
  collect();
  listen();
}
