// Bloom's taxonomy: levels of any texts, and a check of a question as an author writes it.

import { post } from "/api.js";
import { LEVELS, LEVEL_MEANING, bar, capital, count, h, onSubmit, percent } from "/markup.js";

export const title = "Bloom levels";

const MAX_TEXTS = 64;

export function render(root) {
  root.append(
    h("h1", { tabindex: -1 }, "Bloom levels"),
    h("p", {}, "Which thinking does a question ask for? The six levels of the revised taxonomy, from recalling to creating."),
    classifySection(),
    validateSection(),
  );
}

// ---- Levels of texts

function classifySection() {
  const results = h("div", { class: "results" });
  const area = h("textarea", {
    id: "texts",
    name: "texts",
    rows: 5,
    required: true,
    "aria-describedby": "texts-hint",
    placeholder: "Compare mitosis and meiosis.\nStudents can design an experiment that tests a hypothesis.",
  });
  const form = h(
    "form",
    {},
    h("label", { for: "texts" }, "Questions or learning objectives"),
    area,
    h("p", { id: "texts-hint", class: "hint" }, `One a line, up to ${MAX_TEXTS}; in English.`),
    h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Find the levels")),
  );
  onSubmit(form, results, async () => {
    const texts = area.value.split("\n").map((line) => line.trim()).filter(Boolean);
    if (!texts.length) return h("p", { class: "field-error" }, "Write at least one line.");
    if (texts.length > MAX_TEXTS) return h("p", { class: "field-error" }, `${texts.length} lines given; at most ${MAX_TEXTS} at once.`);
    const reply = await post("/v1/bloom/classify", { texts });
    const cards = reply.results.map((result, i) => h("li", {}, h("p", { class: "classified" }, texts[i]), levelsOf(result)));
    return [h("h3", {}, count(cards.length, "text")), h("ol", { class: "plain-list" }, cards), modelLine(reply.model)];
  });
  return h("section", { class: "card", "aria-labelledby": "classify" }, h("h2", { id: "classify" }, "Find levels"), form, results);
}

const modelLine = (model) => h("p", { class: "hint" }, `Model ${model}. The chances do not add up to 100 %: a text may hold several levels.`);

const REASONS = {
  empty: "it is empty",
  no_words: "it has no words",
  fragment: "it is a single word",
  binary: "it holds control characters",
  code: "it is program code without a task",
  injection: "it is an order to the machine",
};

const LANGUAGES = new Intl.DisplayNames("en", { type: "language" });

function languageName(code) {
  try {
    return LANGUAGES.of(code);
  } catch {
    return code;
  }
}

/** What to know about a classification before trusting it; null when there is nothing. */
function caution({ verdict, language, truncated }) {
  if (verdict.kind === "not_a_question") {
    return `This is no question or objective: ${REASONS[verdict.reason] ?? verdict.reason}. Levels mean nothing here.`;
  }
  if (verdict.kind === "other_language" || !language.known) {
    return `This seems to be ${languageName(language.code)}; the model knows English alone, so the levels are a guess.`;
  }
  return verdict.kind === "too_long" || truncated ? "The text is longer than the model reads; only its beginning counted." : null;
}

function levelsOf(result) {
  const { verdict, levels, probabilities } = result;
  const words = caution(result);
  const kind = { question: "Question", objective: "Learning objective" }[verdict.kind];
  const rows = LEVELS.map((level) =>
    h(
      "tr",
      { class: levels.includes(level) ? "is-level" : "" },
      h("th", { scope: "row" }, levels.includes(level) ? "● " : "", capital(level), h("span", { class: "soft wide-only" }, ` ${LEVEL_MEANING[level]}`)),
      h("td", { class: "bar-cell" }, bar(probabilities[level])),
      h("td", {}, percent(probabilities[level])),
    ),
  );
  return [
    h("p", {}, kind ? `${kind}: ` : "", h("strong", {}, levels.map(capital).join(" and ") || "no level")),
    words ? h("p", { class: "note" }, words) : null,
    verdict.kind === "not_a_question" ? null : h("table", { class: "levels" }, h("caption", { class: "hidden" }, "Chance of each level"), h("tbody", {}, rows)),
  ];
}

// ---- A question under the magnifying glass

const KINDS = {
  single_choice: "Single choice",
  multiple_choice: "Multiple choice",
  true_false: "True or false",
  short_answer: "Short answer",
};

function validateSection() {
  const results = h("div", { class: "results" });
  const body = h("div");
  const kind = select("kind", "Kind", KINDS);
  const level = select("level", "Level that you aim at", { "": "None stated", ...Object.fromEntries(LEVELS.map((l) => [l, capital(l)])) });
  const stem = h("textarea", { id: "stem-text", rows: 3, required: true });
  const explanation = h("textarea", { id: "explanation", rows: 2 });
  const showBody = () => body.replaceChildren(bodyFields(kind.control.value));
  kind.control.addEventListener("change", showBody);
  showBody();
  const form = h(
    "form",
    { class: "validate" },
    h("label", { for: "stem-text" }, "Stem"),
    stem,
    h("div", { class: "pair" }, kind.element, level.element),
    body,
    h("label", { for: "explanation" }, "Explanation ", h("span", { class: "soft" }, "– why the key is right")),
    explanation,
    h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Check the question")),
  );
  onSubmit(form, results, async () => {
    const question = {
      id: "draft",
      skill: "draft/draft",
      subject_name: "Draft",
      skill_name: "Draft",
      stem: stem.value,
      body: readBody(kind.control.value, form),
      explanation: explanation.value,
      level: level.control.value || null,
    };
    return validation(await post("/v1/bloom/validate", question));
  });
  return h("section", { class: "card", "aria-labelledby": "validate" }, h("h2", { id: "validate" }, "Check a question"), form, results);
}

function select(id, label, options) {
  const control = h("select", { id, name: id }, Object.entries(options).map(([value, name]) => h("option", { value }, name)));
  return { control, element: h("div", {}, h("label", { for: id }, label), control) };
}

function bodyFields(kind) {
  if (kind === "true_false") {
    const radio = (value, name) => h("label", { class: "chip" }, h("input", { type: "radio", name: "truth", value, checked: value === "true" }), name);
    return h("fieldset", {}, h("legend", {}, "Key"), h("div", { class: "chips" }, radio("true", "True"), radio("false", "False")));
  }
  if (kind === "short_answer") {
    return h("div", {}, h("label", { for: "accepted" }, "Accepted answers, one a line"), h("textarea", { id: "accepted", rows: 2 }));
  }
  return optionFields(kind === "single_choice" ? "radio" : "checkbox");
}

function optionFields(type) {
  const list = h("div", { class: "option-rows" });
  const rename = () =>
    Array.from(list.children).forEach((row, i) => {
      row.querySelector("input[name=key]").setAttribute("aria-label", `Option ${i + 1} is right`);
      row.querySelector("input[type=text]").setAttribute("aria-label", `Option ${i + 1}`);
      row.querySelector("button").setAttribute("aria-label", `Remove option ${i + 1}`);
    });
  const add = (isKey) => {
    const text = h("input", { type: "text", name: "text", maxlength: 2000 });
    const remove = () => {
      if (list.children.length <= 2) return;
      (row.nextElementSibling ?? row.previousElementSibling).querySelector("input[type=text]").focus();
      row.remove();
      rename();
    };
    const row = h(
      "div",
      { class: "option-row" },
      h("label", { class: "key-mark" }, h("input", { type, name: "key", checked: isKey }), h("span", { "aria-hidden": "true" }, "key")),
      text,
      h("button", { type: "button", class: "quiet", onclick: remove }, "×"),
    );
    list.append(row);
    rename();
    return text;
  };
  [true, false, false, false].forEach(add);
  const more = () => list.children.length < 26 && add(false).focus();
  return h(
    "fieldset",
    {},
    h("legend", {}, "Options ", h("span", { class: "soft" }, type === "radio" ? "– mark the right one" : "– mark all right ones")),
    list,
    h("button", { type: "button", class: "plain", onclick: more }, "Add an option"),
  );
}

function readBody(kind, form) {
  if (kind === "true_false") return { kind, key: new FormData(form).get("truth") === "true" };
  if (kind === "short_answer") {
    const lines = form.querySelector("#accepted").value.split("\n").map((line) => line.trim()).filter(Boolean);
    return { kind, accepted: lines.map((text) => ({ text })) };
  }
  const rows = Array.from(form.querySelectorAll(".option-row"), (row) => ({
    text: row.querySelector("input[type=text]").value,
    isKey: row.querySelector("input[name=key]").checked,
  }));
  while (rows.length && !rows.at(-1).text.trim() && !rows.at(-1).isKey) rows.pop();
  const keys = rows.filter(({ isKey }) => isKey).length;
  const wrong = kind === "multiple_choice" ? -1 : 0;
  return { kind, options: rows.map(({ text, isKey }) => ({ text, credit: isKey ? 1 / keys : wrong })) };
}

/** `body.options[2].text` as “Option 3”. */
function place(field) {
  const [, part, index] = field.match(/^(?:body\.)?(\w+)(?:\[(\d+)\])?/) ?? [null, field];
  if (index === undefined) return { accepted: "Accepted answers" }[part] ?? capital(part);
  return `${{ options: "Option", accepted: "Accepted answer" }[part] ?? capital(part)} ${Number(index) + 1}`;
}

const SEVERITY = { error: "✗ Error", warning: "▲ Warning", info: "● Note" };

function agreement({ stated, predicted, agreement: verdict, confidence }) {
  const sure = percent(confidence);
  switch (verdict) {
    case "agrees":
      return ["right", `✓ ${capital(stated)}, as you state it (chance ${sure}).`];
    case "near":
      return ["partly", `◐ You aim at ${stated}; the stem reads rather like ${predicted}, the level next to it (chance of yours: ${sure}).`];
    case "differs":
      return ["wrong", `✗ You aim at ${stated}, but the stem asks to ${predicted} (chance of yours: ${sure}).`];
    case "unstated":
      return ["", `The stem asks to ${predicted} (chance ${sure}).`];
    default:
      return ["", "The model cannot judge the level of this text."];
  }
}

function validation({ model, defects, classification, level, findings }) {
  const [name, words] = agreement(level);
  const list = [
    ...defects.map(({ field, problem }) => ({ severity: "error", field, message: problem })),
    ...findings,
  ].map(({ severity, field, message }) =>
    h("li", { class: `finding ${severity}` }, h("strong", {}, SEVERITY[severity] ?? severity), ` – ${place(field)}: ${message}`),
  );
  return [
    h("p", { class: `verdict-line ${name}` }, words),
    h("h3", {}, "Level"),
    levelsOf(classification),
    h("h3", {}, "Craft"),
    list.length ? h("ul", { class: "plain-list" }, list) : h("p", { class: "verdict-line right" }, "✓ No flaws found."),
    modelLine(model),
  ].flat();
}
