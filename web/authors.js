// The authors' area: sign in, search by meaning, list, import, export.

import { Problem, account, get, getSubjects, postText, put, query, redeem } from "/api.js";
import { LEVELS, capital, count, excerpt, factList, fill, h, onSubmit, percent, rich } from "/markup.js";

export const title = "Authors";

export function render(root) {
  const who = account();
  root.append(h("h1", { tabindex: -1 }, "Authors"));
  if (!who || who.role === "learner") root.append(signInCard(root));
  else root.append(searchCard(), listCard(), flaggedCard(), prerequisitesCard(), policiesCard(), importCard(), exportCard());
}

function card(id, heading, ...content) {
  return h("section", { class: "card", "aria-labelledby": id }, h("h2", { id }, heading), content);
}

function signInCard(root) {
  const place = h("div");
  const code = h("input", { id: "code", type: "text", autocomplete: "one-time-code", spellcheck: "false", required: true });
  const form = h(
    "form",
    {},
    h("label", { for: "code" }, "Code, or the whole link"),
    code,
    h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Sign in")),
  );
  onSubmit(form, place, async () => {
    await redeem(code.value.trim().replace(/^.*#code=/, ""));
    root.replaceChildren();
    render(root);
    root.querySelector("h1").focus();
    return [];
  });
  return card(
    "sign-in",
    "Sign in",
    h("p", {}, "Authors search, import and export the question bank. A sign-in link comes from whoever runs this installation; it works once."),
    form,
    place,
  );
}

function questionItem(question, aside) {
  const { id, stem, format, skill_name: skill, subject_name: subject, level, status } = question;
  return h(
    "li",
    {},
    h("p", {}, excerpt(stem, format, 220)),
    h("p", { class: "meta" }, [subject, skill, level && capital(level), status !== "published" && capital(status)]
      .filter(Boolean)
      .flatMap((text) => [h("span", { class: "tag" }, text), " "]), aside, " ", h("code", { class: "soft" }, id)),
    h("details", {}, h("summary", {}, "Options, key, explanation"), answersOf(question)),
    calibrationDetails(question),
  );
}

/** How a question does; fetched when it is opened. */
function calibrationDetails(question) {
  if (!["published", "pilot"].includes(question.status)) return null;
  const place = h("div");
  const details = h("details", {}, h("summary", {}, "How it does"), place);
  details.addEventListener("toggle", () => {
    if (!details.open || place.childElementCount) return;
    fill(place, async () => calibrationView(await get(`/v1/questions/${encodeURIComponent(question.id)}/calibration`), question.body));
  });
  return details;
}

const FLAGS = {
  key_suspect: "The key looks wrong: stronger learners choose another option.",
  drift: "Recent answers differ clearly from what is predicted: it has become easier or harder.",
  weak_discrimination: "It hardly tells strong learners from weak ones.",
};
const decimal = (value, digits = 2) => `${value < 0 ? "−" : ""}${Math.abs(value).toFixed(digits)}`;

const flagNotes = (flags) => flags.map((flag) => h("p", { class: "note" }, FLAGS[flag] ?? flag));

/** A button that gives way to what `load` resolves to. */
function showMore(load) {
  const rest = h("div");
  rest.append(h("button", { type: "button", onclick: () => fill(rest, load) }, "Show more"));
  return rest;
}

function calibrationView(found, body) {
  const facts = [
    ["Answers", `${found.answers} to this wording, ${found.answers_learned} in all`],
    ["Difficulty, 0 being the middle", `${decimal(found.difficulty)} ± ${decimal(found.difficulty_error)} logits`],
    ["Discrimination, 1 being usual", decimal(found.discrimination)],
    found.exposure === null ? null : ["Shown in", `${percent(found.exposure)} of the tests`],
    ["Drift, remarkable beyond ±3", `${decimal(found.drift, 1)} standard deviations`],
  ].filter(Boolean);
  return [
    flagNotes(found.flags),
    factList(facts),
    found.options.length && found.answers ? optionTable(found, body) : null,
  ].flat();
}

function optionTable({ options, key_suspect: suspect }, body) {
  const texts = body.options?.map(({ text, credit }) => [text, credit > 0]) ?? [["True", body.key], ["False", !body.key]];
  const rows = options.map(({ share, point_biserial: r, works }, at) => {
    const [text, isKey] = texts[at] ?? [`Option ${at + 1}`, false];
    const verdict = at === suspect ? "better than the key" : isKey ? "key" : works ? "works" : "attracts too few, or the wrong ones";
    return h("tr", {}, h("th", { scope: "row" }, excerpt(text)), h("td", {}, percent(share)), h("td", {}, r === null ? "–" : decimal(r)), h("td", {}, verdict));
  });
  const head = ["Option", "Chosen", "Correlation", ""].map((text) => (text ? h("th", { scope: "col" }, text) : h("td")));
  return h("table", {}, h("caption", {}, "Options, and how choosing them goes with ability (−1 to 1)"), h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows));
}

function flaggedCard() {
  const place = h("div", { class: "results" });
  const form = h("form", {}, h("p", {}, "Keys that look wrong, questions that drift or tell nothing. It takes 30 answers to say so."), h("div", { class: "actions" }, h("button", { type: "submit" }, "Check the bank")));
  onSubmit(form, place, () => flaggedPage());
  return card("flagged", "Questions to look at", form, place);
}

async function flaggedPage(after) {
  const { questions, next } = await get(query("/v1/calibration", { after }));
  if (!questions.length) return h("p", {}, "No question is conspicuous.");
  const items = questions.map(({ stem, calibration }) =>
    h("li", {}, h("p", {}, excerpt(stem)), flagNotes(calibration.flags), h("p", { class: "meta" }, h("code", { class: "soft" }, calibration.question))));
  const list = h("ul", { class: "plain-list" }, items);
  return next ? [list, showMore(() => flaggedPage(next))] : list;
}

/** Prerequisites by skill. Lines on the same skill add up; a skill with none is left out. */
function readPrerequisites(text) {
  const found = new Map();
  for (const [at, line] of text.split("\n").entries()) {
    if (!line.trim()) continue;
    const [, skill, before] = line.match(/^\s*([^:]*[^:\s])\s*:(.*)$/) ?? [];
    if (!skill) {
      throw new Problem({ title: `Line ${at + 1} cannot be read.`, status: 422, detail: "Write a skill, a colon, then its prerequisites." });
    }
    const ids = before.split(",").map((id) => id.trim()).filter(Boolean);
    if (ids.length) found.set(skill, new Set([...(found.get(skill) ?? []), ...ids]));
  }
  return Object.fromEntries(Array.from(found, ([skill, ids]) => [skill, [...ids]]));
}

/** One line a skill: `skill: prerequisite, prerequisite`. */
function prerequisitesCard() {
  const place = h("div", { class: "results" });
  const area = h("textarea", { id: "prerequisites-text", class: "code", rows: 5, spellcheck: "false" });
  let version = 0;
  const show = (stored) => {
    version = stored.version;
    area.value = Object.entries(stored.prerequisites).map(([skill, before]) => `${skill}: ${before.join(", ")}`).join("\n");
  };
  get("/v1/skills/prerequisites").then(show, () => {});
  const form = h(
    "form",
    {},
    h("label", { for: "prerequisites-text" }, "One skill a line: biology/photosynthesis: biology/cell-structure, biology/energy"),
    area,
    h("div", { class: "actions" }, h("button", { type: "submit" }, "Save prerequisites")),
  );
  onSubmit(form, place, async () => {
    const prerequisites = readPrerequisites(area.value);
    show(await put("/v1/skills/prerequisites", { version, prerequisites }));
    return h("p", { class: "verdict-line right" }, `Saved: ${count(Object.keys(prerequisites).length, "skill")} with prerequisites. Practice asks for these first.`);
  });
  return card("prerequisites", "Prerequisites of skills", form, place);
}

function policiesCard() {
  const place = h("div", { class: "results" });
  const form = h("form", {}, h("p", {}, "How questions are chosen, and what learners made of them."), h("div", { class: "actions" }, h("button", { type: "submit" }, "Compare policies")));
  onSubmit(form, place, async () => {
    const { policies, experiment } = await get("/v1/experiments");
    const report = experiment ? await get(`/v1/experiments/${encodeURIComponent(experiment)}`) : null;
    if (!policies.length) return h("p", {}, "No answer was counted yet.");
    const range = ({ mean, low, high }) => `${percent(mean)} (${percent(low)} to ${percent(high)})`;
    const rows = policies.map(({ policy, n, reward, predicted }) =>
      h("tr", {}, h("th", { scope: "row" }, policy), h("td", {}, n), h("td", {}, range(reward)), h("td", {}, percent(predicted.mean))));
    const head = ["Policy", "Answers", "Credit (95\u00a0% interval)", "Predicted"].map((text) => h("th", { scope: "col" }, text));
    return [
      h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)),
      report ? experimentWords(report) : h("p", { class: "hint" }, "No experiment is under way; it is begun in the settings."),
    ];
  });
  return card("policies", "Policies", form, place);
}

function experimentWords({ name, share, control, treatment, difference }) {
  const points = (value) => decimal(100 * value, 1);
  const found = difference
    ? `Credit differs by ${points(difference.mean)} percentage points (95\u00a0% interval ${points(difference.low)} to ${points(difference.high)}).`
    : "Both need answers first.";
  const whom = share === undefined ? "learners who have the flag of its name" : `${percent(share)} of the learners`;
  return h("p", {}, h("strong", {}, `Experiment ${name}: `), `${treatment.policy} for ${whom}, against ${control.policy}. ${found}`);
}

function answersOf({ body, format, explanation }) {
  const lines = {
    single_choice: () => body.options.map(choice),
    multiple_choice: () => body.options.map(choice),
    true_false: () => [body.key ? "✓ True" : "✓ False"],
    short_answer: () => body.accepted.map(({ text, credit }) => `${credit === 1 ? "✓" : percent(credit)} ${text}`),
    numerical: () => body.accepted.map(({ min, max, credit }) => `${credit === 1 ? "✓" : percent(credit)} ${min === max ? min : `${min} to ${max}`}`),
    matching: () => body.pairs.map(({ prompt, answer }) => (prompt ? `${prompt} → ${answer}` : `(distractor) ${answer}`)),
    essay: () => ["Scored by people."],
  }[body.kind];
  return [
    h("ul", { class: "plain-list tight" }, (lines?.() ?? []).map((line) => rich(line, format, "li"))),
    explanation ? rich(explanation, format, "p", { class: "soft" }) : null,
  ].filter(Boolean);
}

const choice = ({ text, credit }) => `${credit > 0 ? "✓" : "–"} ${text}${credit > 0 && credit < 1 ? ` (${percent(credit)})` : ""}`;

function searchCard() {
  const found = h("div", { class: "results" });
  const input = h("input", { id: "q", type: "search", required: true, autocomplete: "off" });
  const form = h(
    "form",
    { role: "search" },
    h("label", { for: "q" }, "A topic or a question"),
    h("div", { class: "joined" }, input, h("button", { type: "submit", class: "primary" }, "Search")),
  );
  onSubmit(form, found, async () => {
    const { found: hits } = await get(query("/v1/questions/search", { q: input.value }));
    if (!hits.length) return h("p", {}, "The bank has nothing like that.");
    const items = hits.map(({ similarity, question }) =>
      questionItem(question, h("span", { class: "tag" }, `Similarity ${similarity.toFixed(2)}`)));
    return [
      h("p", { class: "soft" }, `${count(hits.length, "question")}, the closest first`),
      h("ol", { class: "plain-list" }, items),
    ];
  });
  return card("search", "Search by meaning", form, found);
}

function select(id, label, options) {
  return h("div", {}, h("label", { for: id }, label), h("select", { id, name: id.replace("list-", "") }, options.map(([value, name]) => h("option", { value }, name))));
}

function subjectSelect(id) {
  const element = select(id, "Subject", [["", "All subjects"]]);
  const control = element.querySelector("select");
  getSubjects().then(
    (subjects) => control.append(...subjects.map((subject) => h("option", { value: subject.id }, subject.name))),
    () => {},
  );
  return element;
}

function listCard() {
  const place = h("div", { class: "results" });
  const form = h(
    "form",
    {},
    h(
      "div",
      { class: "pair" },
      subjectSelect("list-subject"),
      select("list-level", "Level", [["", "All levels"], ...LEVELS.map((level) => [level, capital(level)])]),
      select("list-status", "Status", [["", "Any status"], ["published", "Published"], ["pilot", "On trial"], ["draft", "Draft"], ["archived", "Archived"]]),
      h("div", {}, h("label", { for: "list-text" }, "Contains"), h("input", { id: "list-text", name: "text", type: "text" })),
    ),
    h("div", { class: "actions" }, h("button", { type: "submit" }, "List questions")),
  );
  onSubmit(form, place, () => page(Object.fromEntries(new FormData(form))));
  return card("list", "Question list", form, place);
}

async function page(filter, after) {
  const { questions, next } = await get(query("/v1/questions", { ...filter, after, limit: 20 }));
  if (!questions.length) return h("p", {}, "No question fits.");
  const list = h("ul", { class: "plain-list" }, questions.map((question) => questionItem(question)));
  return [list, next ? showMore(() => page(filter, next)) : h("p", { class: "soft" }, "That is all.")];
}

/** A file's text; null where it is not in UTF-8. */
async function textOf(file) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

function importCard() {
  const place = h("div", { class: "results" });
  const file = h("input", { id: "gift-file", type: "file", accept: ".gift,.txt,text/plain" });
  const area = h("textarea", { id: "gift", rows: 6, spellcheck: "false", class: "code" });
  const fileError = h("p", { class: "field-error", role: "alert" });
  file.addEventListener("change", async () => {
    const [chosen] = file.files;
    if (!chosen) return;
    const text = await textOf(chosen);
    fileError.textContent = text === null ? `${chosen.name} is not in UTF-8. Save it as UTF-8 and choose it again.` : "";
    area.value = text ?? "";
    if (text === null) file.value = "";
  });
  const field = (id, label, placeholder) => h("div", {}, h("label", { for: id }, label), h("input", { id, type: "text", placeholder }));
  const form = h(
    "form",
    {},
    h("label", { for: "gift-file" }, "GIFT file"),
    file,
    fileError,
    h("label", { for: "gift" }, "or GIFT text"),
    area,
    h("div", { class: "pair" }, field("gift-subject", "Subject, if none is named", "Biology"), field("gift-skill", "Skill, if none is named", "Cells")),
    h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Import")),
  );
  onSubmit(form, place, async () => {
    const text = area.value;
    if (!text.trim()) return h("p", { class: "field-error" }, "Choose a file or paste a text first.");
    const names = { subject: form.querySelector("#gift-subject").value, skill: form.querySelector("#gift-skill").value };
    return importResult(await postText(query("/v1/questions/import", names), text), text.split("\n"));
  });
  return card("import", "Import", form, place);
}

function importResult({ created, updated, unchanged, problems }, lines) {
  const done = h("p", { class: `verdict-line ${problems.length ? "partly" : "right"}` }, `${count(created, "question")} new, ${updated} updated, ${unchanged} unchanged; ${count(problems.length, "problem")}.`);
  if (!problems.length) return done;
  const rows = problems.map(({ line, column, message }) =>
    h("tr", {}, h("th", { scope: "row" }, `Line ${line}, column ${column}`), h("td", {}, message, h("code", { class: "source" }, excerpt(lines[line - 1] ?? "")))),
  );
  return [
    done,
    h("table", { class: "problems" }, h("caption", {}, "Problems; all other questions were imported"), h("tbody", {}, rows)),
  ];
}

function exportCard() {
  const place = h("div", { class: "results" });
  const subject = subjectSelect("export-subject");
  const form = h("form", {}, subject, h("div", { class: "actions" }, h("button", { type: "submit" }, "Export as GIFT")));
  onSubmit(form, place, async () => {
    const chosen = subject.querySelector("select").value;
    const text = await get(query("/v1/questions/export", { subject: chosen }));
    const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    const name = `${chosen || "questions"}.gift`;
    h("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    return h("p", {}, `Saved as ${name}.`);
  });
  return card("export", "Export", form, place);
}
