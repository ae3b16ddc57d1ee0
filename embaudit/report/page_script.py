"""The one script that a page may have: it sorts tables, filters rows and findings, and opens all for paper.

Without it everything is there and visible; the tools to search are made by the script itself, so that none
is without effect. It adds only text to the page, never HTML, and asks nobody for anything.
"""

import base64
import hashlib

SCRIPT = """
(() => {
  "use strict";
  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const later = (task) => {
    let timer = 0;
    return () => { clearTimeout(timer); timer = setTimeout(task, 120); };
  };
  const words = (field) => field.value.toLowerCase().split(/\\s+/).filter(Boolean);
  const counted = (number) => number.toLocaleString("en");
  const status = () => make("span", { className: "status" });
  const searchField = (label) => make("input", { type: "search", placeholder: label, spellcheck: false });

  const tell = (element, shown, all, leftOut) => {
    const more = leftOut > 0 ? `; ${counted(leftOut)} more are not in this page` : "";
    element.textContent = `${counted(shown)} of ${counted(all)} shown${more}`;
    element.setAttribute("role", "status");
  };

  const keep = (items, texts, matches) => {
    let shown = 0;
    items.forEach((item, at) => {
      const visible = matches(item, texts[at]);
      if (item.hidden === visible) { item.hidden = !visible; }
      shown += visible ? 1 : 0;
    });
    return shown;
  };

  const searchable = (box) => {
    const rows = [...box.querySelector("tbody").rows];
    const label = box.getAttribute("data-search");
    const field = searchField("Search");
    const told = status();
    field.setAttribute("aria-label", label);
    let texts = null;
    const search = () => {
      texts = texts || rows.map((row) => row.textContent.toLowerCase());
      const wanted = words(field);
      const shown = keep(rows, texts, (row, text) => wanted.every((word) => text.includes(word)));
      tell(told, shown, rows.length, Number(box.getAttribute("data-left-out")));
    };
    field.addEventListener("input", later(search));
    box.before(make("div", { className: "tools" }, make("label", {}, field), told));
  };

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const number = cell && cell.getAttribute("data-value");
    return number === null || number === undefined ? (cell ? cell.textContent : "") : Number(number);
  };
  const collator = new Intl.Collator("en", { numeric: true });
  const compare = (left, right) =>
    typeof left === "number" && typeof right === "number" ? left - right
      : collator.compare(String(left), String(right));

  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (head.textContent === "") { return; }
      const button = make("button", { type: "button", textContent: head.textContent });
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = table.tBodies[0];
        const keyed = [...body.rows].map((row) => [valueOf(row, column), row]);
        keyed.sort((left, right) => (down ? -1 : 1) * compare(left[0], right[0]));
        body.append(...keyed.map((pair) => pair[1]));
      });
      head.replaceChildren(button);
    });
  };

  const filterable = (list) => {
    const findings = [...list.querySelectorAll(":scope > .finding")];
    const texts = findings.map(() => null);
    const told = status();
    const severities = [...new Set(findings.map((each) => each.getAttribute("data-severity")))];
    const codes = [...new Set(findings.map((each) => each.getAttribute("data-code")))].sort();
    const count = (name, value) => findings.filter((each) => each.getAttribute(name) === value).length;
    const boxes = severities.map((severity) =>
      make("input", { type: "checkbox", checked: true, value: severity }));
    const choice = make("select", {}, make("option", { value: "", textContent: "every rule" }),
      ...codes.map((code) => make("option",
        { value: code, textContent: `${code} (${counted(count("data-code", code))})` })));
    const field = searchField("Search findings");
    field.setAttribute("aria-label", "Search findings");
    choice.setAttribute("aria-label", "Rule");
    const filter = () => {
      const wanted = words(field);
      const on = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
      const shown = keep(findings, texts, (each, _) =>
        on.has(each.getAttribute("data-severity"))
        && (choice.value === "" || choice.value === each.getAttribute("data-code"))
        && wanted.every((word) => each.textContent.toLowerCase().includes(word)));
      tell(told, shown, findings.length, Number(list.getAttribute("data-left-out")));
    };
    [...boxes, choice].forEach((control) => control.addEventListener("change", filter));
    field.addEventListener("input", later(filter));
    list.prepend(make("div", { className: "tools" },
      ...boxes.map((box) => make("label", {}, box,
        `${box.value} (${counted(count("data-severity", box.value))})`)),
      make("label", {}, choice), make("label", {}, field), told));
  };

  document.querySelectorAll("[data-findings]").forEach(filterable);
  document.querySelectorAll(".box[data-search]").forEach(searchable);
  document.querySelectorAll("table.sortable").forEach(sortable);

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((each) => { each.open = true; });
  });
  addEventListener("afterprint", () => {
    opened.forEach((each) => { each.open = false; });
    opened = [];
  });
  document.documentElement.setAttribute("data-ready", "");
})();
"""


def content_security_policy(script: str = "") -> str:
    """The policy of a page: style in the page itself, this script and no other, and nothing from anywhere.

    A policy in a `<meta>` element holds for all that follows it; its script is known by the SHA-256 of its
    text (https://www.w3.org/TR/CSP3/#grammardef-hash-source).
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    scripts = f"'sha256-{digest}'" if script else "'none'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; base-uri 'none';"
        " form-action 'none'"
    )
