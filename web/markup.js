// Building blocks of every view. Data reaches the page as text nodes only.

/** An element. Functions named on… become listeners; null and false attributes are left out. */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const LEVELS = ["remember", "understand", "apply", "analyze", "evaluate", "create"];

export const LEVEL_MEANING = {
  remember: "recall facts",
  understand: "explain in own words",
  apply: "use in a new case",
  analyze: "take apart and relate",
  evaluate: "judge with reasons",
  create: "make something new",
};

export const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);

/** A probability as “61 %”; what is merely close to 0 or 1 does not read as certain. */
export function percent(p) {
  const rounded = Math.round(100 * p);
  const words = rounded === 0 && p > 0 ? "<1" : rounded === 100 && p < 1 ? ">99" : rounded;
  return `${words}\u00a0%`;
}

/** Two probabilities as “55 to 61 %”. */
export const percents = (low, high) => `${Math.round(100 * low)} to ${percent(high)}`;

/** Names and their values. */
export const factList = (facts) =>
  h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));

export const count = (n, one, many = `${one}s`) =>
  `${n.toLocaleString("en")}\u00a0${n === 1 ? one : many}`;

const DATE = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** A moment as “in 3 days”, with the exact time beside it for those who ask. */
export function moment(iso) {
  const date = new Date(iso);
  const minutes = (date - Date.now()) / 60_000;
  const [unit, size] =
    Math.abs(minutes) < 90 ? ["minute", 1] : Math.abs(minutes) < 36 * 60 ? ["hour", 60] : ["day", 1440];
  const words = RELATIVE.format(Math.round(minutes / size), unit);
  return h("time", { datetime: iso, title: DATE.format(date) }, words);
}

/**
 * A bar from 0 to 100 %: filled to `value`; with `low` and `high` the interval as a band and the
 * value as a tick; a faint line at `guess`, if it is not 0. Decorative: the numbers stand beside it
 * as text.
 */
export function bar(value, low, high, guess = 0) {
  const rect = (x, width, name) =>
    svg("rect", { x: 100 * x, y: 0, width: Math.max(100 * width, 0), height: 10, class: name });
  const tick = (x, name) =>
    svg("line", { x1: 100 * x, x2: 100 * x, y1: 0, y2: 10, class: name, "vector-effect": "non-scaling-stroke" });
  const parts = [rect(0, 1, "bar-track")];
  if (low === undefined) parts.push(rect(0, value, "bar-fill"));
  else parts.push(rect(low, high - low, "bar-band"), tick(value, "bar-tick"));
  if (guess) parts.push(tick(guess, "bar-guess"));
  return svg(
    "svg",
    { class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" },
    ...parts,
  );
}

const SAFE_TAGS = new Set(
  "P BR B STRONG I EM U CODE PRE SUB SUP UL OL LI BLOCKQUOTE TABLE THEAD TBODY TR TH TD".split(" "),
);
const DROPPED_TAGS = new Set("SCRIPT STYLE TEMPLATE IFRAME OBJECT HEAD".split(" "));

/** Copies text and a few tags, never an attribute, so nothing of the source can act. */
function safeCopy(source, target) {
  for (const node of source.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) target.append(node.data);
    else if (node.nodeType === Node.ELEMENT_NODE && !DROPPED_TAGS.has(node.tagName)) {
      const copy = SAFE_TAGS.has(node.tagName) ? h(node.tagName.toLowerCase()) : null;
      if (node.tagName === "IMG") target.append(node.getAttribute("alt") ?? "");
      safeCopy(node, copy ?? target);
      if (copy) target.append(copy);
    }
  }
}

const INLINE = /```(?:\w*\n)?([\s\S]+?)```|`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*/g;

function markdown(text, target) {
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    target.append(text.slice(end, match.index));
    const [, block, code, strong, em] = match;
    if (block) target.append(h("pre", {}, h("code", {}, block)));
    else if (code) target.append(h("code", {}, code));
    else target.append(h(strong ? "strong" : "em", {}, strong ?? em));
    end = match.index + match[0].length;
  }
  target.append(text.slice(end));
}

/** A text of the bank in its format; line breaks of plain text and Markdown are kept. */
export function rich(text, format = "plain", tag = "div", attributes = {}) {
  const element = h(tag, { ...attributes, class: `rich ${format} ${attributes.class ?? ""}`.trim() });
  if (format === "html") {
    safeCopy(new DOMParser().parseFromString(text, "text/html").body, element);
  } else if (format === "markdown") markdown(text, element);
  else element.append(text);
  return element;
}

/** A text without its mark-up, cut for lists. */
export function excerpt(text, format, most = 140) {
  const plain = rich(text, format).textContent.replace(/\s+/g, " ").trim();
  return plain.length > most ? `${plain.slice(0, most).trimEnd()}…` : plain;
}

/** What went wrong, in the server's words, with a way to try again. */
export function problemBox(problem, retry) {
  const errors = problem.errors?.length > 1
    ? h("ul", {}, problem.errors.map((e) => h("li", {}, h("code", {}, e.field), ` ${e.problem}`)))
    : null;
  return h(
    "div",
    { class: "problem", role: "alert" },
    h("p", {}, h("strong", {}, problem.title || "Something went wrong"), " ", problem.detail || problem.message),
    errors,
    problem.retry_after ? h("p", {}, `Try again in ${count(problem.retry_after, "second")}.`) : null,
    retry ? h("p", {}, h("button", { type: "button", class: "plain", onclick: retry }, "Try again")) : null,
  );
}

export const loading = (words = "Loading…") => h("p", { class: "loading", "aria-busy": "true" }, words);

/**
 * Fills `place` with what `load` resolves to; shows waiting and failure, and tries again on wish.
 * Resolves to whether it was filled.
 */
export async function fill(place, load, words) {
  if (place.childElementCount) place.setAttribute("aria-busy", "true");
  else place.replaceChildren(loading(words));
  try {
    const content = await load();
    place.replaceChildren(...[content].flat().filter(Boolean));
    return true;
  } catch (problem) {
    if (!("status" in problem)) console.error(problem);
    place.replaceChildren(problemBox(problem, () => fill(place, load, words)));
    return false;
  } finally {
    place.removeAttribute("aria-busy");
  }
}

/** Tells people who do not see the page. */
export function announce(words) {
  document.getElementById("live").textContent = words;
}

/**
 * Runs a form's `action` with the button busy, fills `place` with the result and announces its
 * first element.
 */
export function onSubmit(form, place, action) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter ?? form.querySelector("button[type=submit]");
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    if ((await fill(place, action, "Working…")) && place.isConnected) {
      announce(place.firstElementChild?.textContent ?? "");
      place.scrollIntoView({ block: "nearest" });
    }
    button.removeAttribute("aria-disabled");
  });
}
