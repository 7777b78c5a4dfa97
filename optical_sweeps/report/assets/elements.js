// Builds elements from text: data and configs become text nodes or attributes, never markup.
function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "onclick" || name === "onchange") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}
const byId = (id) => document.getElementById(id);
const fill = (id, ...children) => byId(id).replaceChildren(...children.filter((child) => child));

function table(head, rows) {
  return el("table", null, el("thead", null, el("tr", null, ...head)), el("tbody", null, ...rows));
}
function chip(label, checked, onchange, attributes) {
  const input = el("input", { type: "checkbox", checked, onchange: (event) => onchange(event.target.checked), ...attributes });
  return el("label", { class: "chip" }, input, el("span", null, label));
}
function choice(label, options, chosen, onchange, attributes) {
  const select = el("select", { onchange: (event) => onchange(event.target.value), autocomplete: "off", ...attributes });
  for (const [value, text] of options) select.append(el("option", { value, selected: value === chosen }, text));
  return el("label", { class: "choice" }, label, select);
}

// Scores are shown times 100, as in the tables of papers.
const points = (value) => (value === null || value === undefined ? "" : (100 * value).toFixed(1));
const signed = (value) => (value > 0 ? "+" : value < 0 ? "−" : "±") + (100 * Math.abs(value)).toFixed(1);
const shown = (value) =>
  value === null || value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return `${seconds.toFixed(1)} s`;
  return seconds < 5400 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
function compareValues(first, second) {
  const empty = (value) => value === null || value === undefined || value === "";
  if (empty(first) || empty(second)) return empty(first) - empty(second) || 0;
  if (typeof first === "number" && typeof second === "number") return first - second;
  return String(shown(first)).localeCompare(String(shown(second)), "en", { numeric: true });
}
