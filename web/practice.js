// Practice: choose, answer, learn why, go on; and the summary at the end.

import { get, getSubjects, kept, post, uuid } from "/api.js";
import { LEVEL_MEANING, bar, capital, count, excerpt, factList, fill, h, loading, moment, percent, percents, problemBox, rich } from "/markup.js";
import { questionForm } from "/question.js";
import { answerList, measured, signed, skillChanges, verdict } from "/summary.js";

export const title = "Practise";

const MODES = {
  practice: ["Practice", "Questions just within your reach: the ones that teach most."],
  review: ["Review", "What you once answered and may be about to forget."],
  test: ["Test", "As few questions as it takes to find out what you can do."],
};
const CHALLENGES = { 0.85: "Gentle", "": "Balanced", 0.65: "Hard" };
const RETRY_MS = [3_000, 6_000, 12_000, 30_000];

export function render(root) {
  const resumed = kept.get("session");
  const pending = kept.get("pending");
  if (pending && resumed) resumePending(root, resumed, pending);
  else if (resumed) resume(root, resumed);
  else start(root);
}

/** Shows `content` in place of what was there and moves the focus to its heading. */
function turnTo(root, content, focus = content.querySelector("h1")) {
  const hadFocus = root.contains(document.activeElement) || document.activeElement === document.body;
  root.replaceChildren(content);
  if (!root.isConnected || !hadFocus) return;
  window.scrollTo(0, 0);
  focus?.focus({ preventScroll: true });
}

// ---- Choosing what to practise

function start(root) {
  const place = h("div");
  root.replaceChildren(h("h1", { tabindex: -1 }, "Practise"), place);
  fill(place, async () => startForm(root, await getSubjects()), "Loading subjects…");
}

function startForm(root, subjects) {
  if (!subjects.some((subject) => subject.questions)) {
    return h("p", { class: "card" }, "The question bank is empty. An author can ", h("a", { href: "#authors" }, "import questions"), ".");
  }
  const last = kept.get("choice") ?? {};
  const skills = h("div");
  const problem = h("div");
  const form = h(
    "form",
    { class: "start" },
    subjectChoice(subjects, last, (subject) => skills.replaceChildren(skillChoice(subject))),
    skills,
    modeChoice(last),
    problem,
    h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Start")),
  );
  const known = subjects.find((subject) => subject.id === last.subject);
  skills.replaceChildren(skillChoice(known));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const data = new FormData(form);
    const choice = {
      mode: data.get("mode"),
      subject: data.get("subject") || undefined,
      skills: data.getAll("skill"),
      target: data.get("mode") === "practice" && data.get("target") ? Number(data.get("target")) : undefined,
      test: data.get("mode") === "test" ? testPlan(data) : undefined,
    };
    kept.set("choice", choice);
    begin(root, choice, problem);
  });
  return form;
}

function subjectChoice(subjects, last, changed) {
  const total = subjects.reduce((sum, subject) => sum + subject.questions, 0);
  const everything = { id: "", name: "Everything", questions: total };
  const known = subjects.some((subject) => subject.id === last.subject) ? last.subject : "";
  const tiles = [everything, ...subjects.filter((subject) => subject.questions)].map((subject) =>
    h(
      "label",
      { class: "tile" },
      h("input", {
        type: "radio",
        name: "subject",
        value: subject.id,
        checked: subject.id === known,
        onchange: () => changed(subject),
      }),
      h("span", { class: "tile-name" }, subject.name),
      h("span", { class: "soft" }, count(subject.questions, "question")),
    ),
  );
  return h("fieldset", {}, h("legend", {}, "Subject"), h("div", { class: "tiles subjects" }, tiles));
}

function skillChoice(subject) {
  if (!subject?.skills || subject.skills.length < 2) return "";
  const boxes = subject.skills.map((skill) =>
    h(
      "label",
      { class: "chip" },
      h("input", { type: "checkbox", name: "skill", value: skill.id }),
      `${skill.name} `,
      h("span", { class: "soft" }, skill.questions),
    ),
  );
  return h(
    "fieldset",
    {},
    h("legend", {}, `Skills in ${subject.name} `, h("span", { class: "soft" }, "– all, unless you choose some")),
    h("div", { class: "chips" }, boxes),
  );
}

function modeChoice(last) {
  const mode = last.mode in MODES ? last.mode : "practice";
  const challenge = challengeChoice(last.target ?? "");
  const test = testChoice(last.test ?? {});
  const changed = (mode) => {
    challenge.hidden = mode !== "practice";
    test.hidden = mode !== "test";
  };
  changed(mode);
  const rows = Object.entries(MODES).map(([id, [name, what]]) =>
    h(
      "label",
      { class: "tile wide" },
      h("input", {
        type: "radio",
        name: "mode",
        value: id,
        checked: id === mode,
        onchange: () => changed(id),
      }),
      h("span", { class: "tile-name" }, name),
      h("span", { class: "soft" }, what),
    ),
  );
  return h("fieldset", {}, h("legend", {}, "Mode"), h("div", { class: "tiles" }, rows), challenge, test);
}

const TEST_OPTIONS = {
  length: ["Questions at most", { 10: "10", 20: "20", "": "30" }],
  standard_error: ["End when the ability is known to", { "": "the last question", 0.45: "±0.45 logits", 0.35: "±0.35 logits" }],
  cut: ["Passing mark", { "": "none", 0.6: "60\u00a0%", 0.7: "70\u00a0%", 0.8: "80\u00a0%" }],
};

function testChoice(last) {
  const selects = Object.entries(TEST_OPTIONS).map(([name, [label, options]]) => {
    const values = Object.entries(options).map(([value, text]) =>
      h("option", { value, selected: value === String(last[name] ?? "") }, text));
    return h("div", {}, h("label", { for: `test-${name}` }, label), h("select", { id: `test-${name}`, name }, values));
  });
  return h("fieldset", { class: "inner" }, h("legend", {}, "Test"), h("div", { class: "pair" }, selects));
}

/** What was chosen of the test's options; the rest is the server's. */
function testPlan(data) {
  const chosen = Object.keys(TEST_OPTIONS).filter((name) => data.get(name));
  return Object.fromEntries(chosen.map((name) => [name, Number(data.get(name))]));
}

function challengeChoice(target) {
  const chips = Object.entries(CHALLENGES)
    .sort(([a], [b]) => (b || 0.75) - (a || 0.75))
    .map(([value, name]) =>
      h(
        "label",
        { class: "chip" },
        h("input", { type: "radio", name: "target", value, checked: value === String(target) }),
        name,
      ),
    );
  return h("fieldset", { class: "inner" }, h("legend", {}, "Challenge"), h("div", { class: "chips" }, chips));
}

async function begin(root, choice, problemPlace) {
  if (problemPlace.querySelector(".loading")) return;
  problemPlace.replaceChildren(loading("Choosing your first question…"));
  try {
    const session = await post("/v1/sessions", choice);
    if (!session.next) {
      problemPlace.replaceChildren(await nothingToAsk(choice));
      return;
    }
    const run = { id: session.id, log: [] };
    kept.set("session", run);
    ask(root, run, session);
  } catch (problem) {
    problemPlace.replaceChildren(problemBox(problem, () => begin(root, choice, problemPlace)));
  }
}

async function nothingToAsk({ mode }) {
  if (mode !== "review") return h("p", { class: "note", role: "alert" }, "There is nothing left to ask here. Choose other skills.");
  const { next_due: next } = await get("/v1/me/reviews");
  const when = next ? ["The next review falls due ", moment(next), "."] : ["Reviews follow from what you answer in practice."];
  return h("p", { class: "note", role: "alert" }, "No review is due here now. ", ...when);
}

// ---- Coming back to a session

async function resume(root, run) {
  const place = h("div", {}, h("h1", { tabindex: -1 }, "Practise"), h("div"));
  root.replaceChildren(place);
  place.lastChild.replaceChildren(loading("Opening your session…"));
  try {
    const session = await get(`/v1/sessions/${run.id}`);
    if (kept.get("session")?.id !== run.id) start(root);
    else if (session.next) ask(root, run, session);
    else summary(root, run, session);
  } catch (problem) {
    if (problem.status === 404) {
      kept.set("session", null);
      start(root);
    } else place.lastChild.replaceChildren(problemBox(problem, () => resume(root, run)));
  }
}

function resumePending(root, run, pending) {
  const screen = questionScreen(root, run, pending);
  screen.form.restore(pending.submission.response);
  turnTo(root, screen.article, null);
  deliver(screen, run, pending, 0);
}

// ---- Question and answer

function ask(root, run, session) {
  const { id, mode, answered, correct, flow, next } = session;
  const shown = { session: id, mode, answered, correct, flow, ...next };
  turnTo(root, questionScreen(root, run, shown).article);
}

/** The screen of one question; `shown` is what must be kept to show it again. */
function questionScreen(root, run, shown) {
  const { question, why } = shown;
  const began = performance.now();
  const article = h("article", { class: "card question", tabindex: -1, "aria-labelledby": "number" });
  const after = h("div", { class: "after" });
  const form = questionForm(question, article, (response) => {
    const elapsed_ms = Math.round(performance.now() - began);
    const submission = { id: uuid(), question: question.id, response, elapsed_ms };
    const pending = { ...shown, submission };
    kept.set("pending", pending);
    deliver(screen, run, pending, 0);
  });
  const screen = { root, article, after, form };
  const level = question.level
    ? h("span", { class: "tag", title: `Bloom level: ${LEVEL_MEANING[question.level]}` }, capital(question.level))
    : null;
  article.append(
    h(
      "div",
      { class: "question-top" },
      h("h1", { id: "number", tabindex: -1, "aria-describedby": "stem" }, `Question ${shown.answered + 1}`),
      h("p", { class: "meta" }, h("span", { class: "tag" }, question.skill_name), " ", level, shown.scored === false ? h("span", { class: "tag" }, "On trial – not scored") : null),
      h("p", { class: "score" }, shown.answered ? `${shown.correct} of ${shown.answered} right` : MODES[shown.mode][0]),
    ),
    flowNote(shown.flow),
    rich(question.stem, question.format, "div", { id: "stem", class: "stem" }),
    form.form,
    after,
    h(
      "div",
      { class: "question-foot" },
      whyBox(why),
      h("button", { type: "button", class: "link", onclick: (event) => end(root, run, event.target) }, "End session"),
    ),
  );
  return screen;
}

/** Says it when the challenge was moved. */
function flowNote(flow) {
  if (!flow?.sentence) return "";
  return h("p", { class: "hint flow" }, `${flow.sentence} The aim is now a chance of ${percents(...flow.target)}.`);
}

const REASONS = {
  right_difficulty: "Its difficulty suits you",
  due_review: "Its review is due",
  most_informative: "It tells most about what you can do",
  pilot: "It is new and on trial",
};
const TERMS = {
  fit: "How well the chance fits the aim",
  information: "What your answer would tell",
  novelty: "New to you",
  exposure: "Asked more often than others",
  variety: "Same skill as just now",
};

function whyBox(why) {
  const facts = [
    ["Reason", REASONS[why.reason] ?? why.reason],
    ["Your estimated chance", percent(why.probability)],
    why.target && ["Aim of practice", percents(...why.target)],
    why.retrievability !== null && ["Chance that you remember it", percent(why.retrievability)],
    ["Questions to choose from", why.candidates?.toLocaleString("en")],
    ["Chosen by", why.policy],
  ].filter((fact) => fact && fact[1] !== undefined);
  const terms = Object.entries(why.terms);
  const points = [
    ...terms.map(([name, value]) => [TERMS[name] ?? name, signed(value)]),
    ["Sum", signed(terms.reduce((sum, [, value]) => sum + value, 0))],
  ];
  return h(
    "details",
    { class: "why" },
    h("summary", {}, "Why this question?"),
    h("p", {}, why.sentence),
    factList(facts),
    h("p", { class: "hint" }, "Points by which it competed with the other questions:"),
    factList(points),
  );
}

/** Sends an answer until it is acknowledged; it is kept in the browser until then. */
async function deliver(screen, run, pending, tries) {
  screen.form.busy(true);
  try {
    const reply = await post(`/v1/sessions/${pending.session}/answers`, pending.submission);
    kept.set("pending", null);
    acknowledged(screen, run, pending, reply);
  } catch (problem) {
    if (kept.get("session")?.id !== run.id) start(screen.root);
    else if (problem.passing) waitAndRetry(screen, run, pending, tries, problem);
    else refuse(screen, run, problem);
  }
}

function waitAndRetry(screen, run, pending, tries, problem) {
  const delay = Math.max(RETRY_MS[Math.min(tries, RETRY_MS.length - 1)], 1000 * (problem.retry_after ?? 0));
  const again = () => {
    clearTimeout(timer);
    window.removeEventListener("online", again);
    if (!screen.article.isConnected) return;
    screen.after.replaceChildren();
    deliver(screen, run, pending, tries + 1);
  };
  const timer = setTimeout(again, delay);
  window.addEventListener("online", again);
  const box = problemBox(problem, again);
  const place = kept.lasting ? "in this browser" : "as long as this page is open";
  box.append(h("p", {}, `Your answer is kept ${place} and will be sent again by itself. It counts once.`));
  screen.after.replaceChildren(box);
}

function refuse(screen, run, problem) {
  kept.set("pending", null);
  screen.form.busy(false);
  const goOn = h("button", { type: "button", onclick: () => resume(screen.root, run) }, "Go on with the session");
  screen.after.replaceChildren(problemBox(problem), h("p", {}, goOn));
}

function acknowledged(screen, run, pending, { answer, progress, session }) {
  const { question } = pending;
  run.log.push({
    stem: excerpt(question.stem, question.format),
    skill: question.skill,
    skill_name: question.skill_name,
    correct: answer.correct,
    credit: answer.credit,
    key: answer.key,
    before: progress?.before,
    after: progress?.after,
  });
  kept.set("session", run);
  screen.form.reveal(answer);
  screen.article.querySelector(".score").textContent = `${session.correct} of ${session.answered} right`;
  const goOn = () => (session.next ? ask(screen.root, run, session) : summary(screen.root, run, session));
  const panel = feedbackPanel(question, answer, progress, session.next, goOn);
  screen.after.replaceChildren(panel);
  screen.article.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.closest("button, summary, a")) return;
    event.preventDefault();
    goOn();
  });
  if (screen.article.isConnected) panel.querySelector("h2").focus();
}

function feedbackPanel(question, answer, progress, hasNext, goOn) {
  const [name, sign, words] = verdict(answer);
  const { format } = question;
  const key = answer.key.length === 1
    ? rich(answer.key[0], format, "span")
    : h("ul", {}, answer.key.map((text) => rich(text, format, "li")));
  return h(
    "section",
    { class: `feedback ${name}`, "aria-labelledby": "verdict" },
    h("h2", { id: "verdict", tabindex: -1 }, h("span", { "aria-hidden": "true" }, `${sign} `), words),
    /^right[.!]?$/i.test(answer.feedback) ? null : rich(answer.feedback, format),
    answer.correct || !answer.key.length ? null : h("div", { class: "key" }, h("strong", {}, "Answer: "), key),
    answer.scored === false ? h("p", { class: "hint" }, "This question is on trial: your answer is not scored.") : null,
    answer.changed ? h("p", { class: "hint" }, "The question was rewritten since you answered it, so its key is not shown.") : null,
    answer.explanation ? rich(answer.explanation, format, "div", { class: "explanation" }) : null,
    progress ? masteryChange(progress) : null,
    h(
      "div",
      { class: "actions" },
      h("button", { type: "button", class: "primary", onclick: goOn }, hasNext ? "Next question" : "See the summary"),
      h("span", { class: "hint keys" }, "or press ", h("kbd", {}, "Enter")),
    ),
  );
}

function masteryChange({ skill_name: skill, before, after }) {
  return h(
    "div",
    { class: "mastery-change" },
    h("p", {}, `${skill}: your chance on a typical question `, h("strong", {}, `${percent(before)} → ${percent(after)}`)),
    bar(after, Math.min(before, after), Math.max(before, after)),
  );
}

// ---- The end

async function end(root, run, button) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    summary(root, run, await post(`/v1/sessions/${run.id}/end`));
  } catch (problem) {
    if (kept.get("session")?.id !== run.id) return start(root);
    button.removeAttribute("aria-disabled");
    root.querySelector(".after")?.replaceChildren(problemBox(problem));
  }
}

function summary(root, run, session) {
  kept.set("session", null);
  kept.set("pending", null);
  const { answered, correct } = session;
  const again = () => start(root);
  const content = h(
    "div",
    { class: "card summary" },
    h("h1", { tabindex: -1 }, session.mode === "test" ? "Test finished" : "Session finished"),
    answered
      ? h("p", { class: "lead" }, h("strong", {}, `${correct} of ${answered}`), ` right (${percent(correct / answered)}).`)
      : h("p", {}, "No question was answered."),
    session.measurement ? measured(session.measurement, session.test) : null,
    skillChanges(run.log),
    answerList(run.log),
    h(
      "div",
      { class: "actions" },
      h("button", { type: "button", class: "primary", onclick: again }, "Practise again"),
      h("a", { class: "button", href: "#progress" }, "See your progress"),
    ),
  );
  turnTo(root, content);
}
