// Progress: what a learner can do by skill and Bloom level, and what is due for review.

import { get, getSubjects, kept, query } from "/api.js";
import { bar, capital, count, excerpt, fill, h, moment, onSubmit, percent, percents } from "/markup.js";

export const title = "Progress";

export function render(root) {
  const reviews = h("div");
  const mastery = h("div");
  const goals = h("div");
  root.append(
    h("h1", { tabindex: -1 }, "Progress"),
    h("section", { class: "card", "aria-labelledby": "reviews" }, h("h2", { id: "reviews" }, "Reviews"), reviews),
    h("section", { class: "card", "aria-labelledby": "mastery" }, h("h2", { id: "mastery" }, "Mastery"), mastery),
    h("section", { class: "card", "aria-labelledby": "goals" }, h("h2", { id: "goals" }, "Goals"), goals),
  );
  fill(reviews, async () => reviewList(await get("/v1/me/reviews")));
  fill(mastery, async () => {
    const [model, subjects] = await Promise.all([get("/v1/me/model"), getSubjects()]);
    return [abilityLine(model), ...masteryBySubject(model.mastery, subjects)];
  });
  fill(goals, async () => goalForms(await getSubjects()));
}

function abilityLine({ ability, uncertainty, answers, mastery }) {
  if (!answers || !mastery.overall) return null;
  const logits = `${ability < 0 ? "−" : "+"}${Math.abs(ability).toFixed(2)} ± ${uncertainty.toFixed(2)} logits`;
  return h("p", { class: "hint" }, `Your overall ability: ${logits}; 0 is the middle of the learners. It gets surer with each answer and less sure with time.`);
}

function reviewList({ due, next_due: next }) {
  if (!due.length) {
    return h("p", {}, next ? ["Nothing is due. The next review falls due ", moment(next), "."] : "Nothing is due yet: reviews follow from what you answer.");
  }
  const review = () => kept.set("choice", { ...kept.get("choice"), mode: "review", subject: "", skills: [] });
  const items = due.slice(0, 10).map(({ stem, retrievability, since }) =>
    h(
      "li",
      {},
      h("p", {}, excerpt(stem)),
      h("p", { class: "soft" }, `Chance that you remember it: ${percent(retrievability)}; due since `, moment(since)),
    ),
  );
  return [
    h("p", {}, h("strong", {}, count(due.length, "review")), due.length === 1 ? " is due." : " are due."),
    h("details", {}, h("summary", {}, due.length > 10 ? "The ten most urgent" : "Which ones"), h("ul", { class: "plain-list" }, items)),
    h("p", {}, h("a", { class: "button primary", href: "#practice", onclick: review }, "Review")),
  ];
}

function range({ probability, low, high }) {
  return [h("strong", {}, percent(probability)), h("span", { class: "soft" }, ` (${percents(low, high)})`)];
}

const GUESS_WORTH_TELLING = 0.25;
const guessOf = ({ guess = 0 }) => (guess >= GUESS_WORTH_TELLING ? guess : 0);

function estimateBar(estimate) {
  const guess = guessOf(estimate);
  return [
    bar(estimate.probability, estimate.low, estimate.high, guess),
    guess ? h("span", { class: "hidden" }, `Guessing alone gives ${percent(guess)}.`) : null,
  ];
}

function masteryBySubject({ overall, skills }, subjects) {
  if (!overall) return [h("p", {}, "The question bank is empty.")];
  const bySkill = new Map(skills.map((skill) => [skill.skill, skill]));
  const groups = subjects
    .map(({ name, skills: own }) => {
      const rows = own.filter(({ id }) => bySkill.has(id)).map(({ id, name: skill }) => ({ ...bySkill.get(id), name: skill }));
      return { name, rows, answers: rows.reduce((sum, row) => sum + row.estimate.answers, 0) };
    })
    .filter(({ rows }) => rows.length);
  const practised = groups.filter(({ answers }) => answers);
  const untouched = groups.filter(({ answers }) => !answers);
  return [
    h(
      "p",
      { class: "lead" },
      "Your chance on a typical question of the whole bank: ",
      ...range(overall),
      `, after ${count(overall.answers, "answer")}.`,
    ),
    h(
      "p",
      { class: "hint" },
      "Each bar runs from 0 to 100 %. The tick is the best estimate; the true value lies in the band with 90 % probability, and the band narrows with each answer.",
      skills.some(({ estimate, levels }) => [estimate, ...levels.map((at) => at.estimate)].some(guessOf)) ? " The dotted line is what guessing alone gives." : null,
    ),
    practised.map((group) => subjectSection(group)),
    practised.length ? null : h("p", { class: "note" }, "You have not answered a question yet. ", h("a", { href: "#practice" }, "Practise"), " to see the bands narrow."),
    untouched.length
      ? h("details", { class: "untouched" }, h("summary", {}, `Not practised yet: ${count(untouched.length, "subject")}`), untouched.map(subjectSection))
      : null,
  ].flat();
}

function subjectSection({ name, rows }) {
  return h(
    "section",
    { class: "subject" },
    h("h3", {}, name),
    h("ul", { class: "skills" }, rows.map(skillItem)),
  );
}

function skillItem({ name, estimate, levels, change, waits_for: waits }) {
  return h(
    "li",
    {},
    h("div", { class: "skill-line" }, h("h4", {}, name), h("p", {}, ...range(estimate))),
    estimateBar(estimate),
    estimate.answers ? h("p", { class: "hint" }, changeWords(change)) : null,
    waits.length ? h("p", { class: "hint" }, `Practice first asks for ${waits.map(skillName).join(", ")}.`) : null,
    levels.length ? levelDetails(name, estimate, levels) : null,
  );
}

const skillName = (id) => capital(id.split("/").at(-1).replaceAll("-", " "));

/** What would change the estimate of a skill. */
function changeWords({ if_right: right, if_wrong: wrong, right_answers_to_mastery: needed, in_30_days: [low, high] }) {
  const next = `A right answer would make it ${percent(right)}, a wrong one ${percent(wrong)}.`;
  const mastery = needed === 0
    ? " Mastered."
    : needed ? ` ${capital(count(needed, "right answer"))} in a row would make it mastered.` : "";
  return `${next}${mastery} After 30 days without practice: ${percents(low, high)}.`;
}

function goalForms(subjects) {
  const skills = subjects.flatMap(({ name, skills: own }) =>
    own.map((skill) => h("option", { value: skill.id }, `${name}: ${skill.name}`)));
  if (!skills.length) return h("p", {}, "The question bank is empty.");
  return [pathForm(skills), planForm(subjects)];
}

function pathForm(skills) {
  const place = h("div", { class: "results" });
  const goal = h("select", { id: "goal" }, skills);
  const form = h(
    "form",
    {},
    h("h3", {}, "A path to a skill"),
    h("label", { for: "goal" }, "Skill to master"),
    goal,
    h("div", { class: "actions" }, h("button", { type: "submit" }, "Show the path")),
  );
  onSubmit(form, place, async () => {
    const { steps, minutes } = await get(query("/v1/me/path", { goal: goal.value }));
    if (!steps.length) return h("p", {}, "You have mastered it.");
    const items = steps.map((step) => h("li", {}, `${skillName(step.skill)}: ${minutesOf(step.minutes)}`));
    return [h("p", {}, `${capital(count(steps.length, "skill"))}, about ${minutesOf(minutes)} of practice:`), h("ol", {}, items)];
  });
  return h("div", { class: "goal" }, form, place);
}

const minutesOf = (minutes) => count(Math.max(1, Math.round(minutes)), "minute");

function planForm(subjects) {
  const place = h("div", { class: "results" });
  const input = (id, label, attributes) => h("div", {}, h("label", { for: id }, label), h("input", { id, required: true, ...attributes }));
  const subject = h("select", { id: "plan-subject" }, h("option", { value: "" }, "All subjects"), subjects.map(({ id, name }) => h("option", { value: id }, name)));
  const soon = new Date(Date.now() + 14 * 86_400_000).toISOString().slice(0, 10);
  const form = h(
    "form",
    {},
    h("h3", {}, "Plan for an exam"),
    h(
      "div",
      { class: "pair" },
      h("div", {}, h("label", { for: "plan-subject" }, "Subject"), subject),
      input("plan-exam", "Day of the exam", { type: "date", value: soon }),
      input("plan-target", "Wished chance on a typical question, %", { type: "number", min: 50, max: 95, value: 80 }),
      input("plan-minutes", "Minutes a day", { type: "number", min: 1, max: 1440, value: 30 }),
    ),
    h("div", { class: "actions" }, h("button", { type: "submit" }, "Plan today")),
  );
  const value = (id) => form.querySelector(id).value;
  onSubmit(form, place, async () => planWords(await get(query("/v1/me/plan", {
    exam: new Date(`${value("#plan-exam")}T23:59:00`).toISOString(),
    subject: value("#plan-subject"),
    target: Number(value("#plan-target")) / 100,
    minutes: value("#plan-minutes"),
  }))));
  return h("div", { class: "goal" }, form, place);
}

function planWords({ days, today, minutes, minutes_needed_daily: needed, reachable, reviews_due: reviews }) {
  const suffices = reachable
    ? `Within ${count(days, "day")} that is about ${minutesOf(needed)} a day: your time suffices.`
    : `Within ${count(days, "day")} it would take about ${minutesOf(needed)} a day, more than your ${minutesOf(minutes)}; today's are spent where they help most.`;
  const tasks = today.map(({ skill, answers, minutes: spent }) =>
    h("li", {}, `${skillName(skill)}: ${count(answers, "question")}, about ${minutesOf(spent)}`));
  return [
    h("p", { class: `verdict-line ${reachable ? "right" : "partly"}` }, today.length ? suffices : "You have reached the target."),
    reviews ? h("p", {}, `First the ${count(reviews, "review")} due.`) : null,
    tasks.length ? h("ol", {}, tasks) : null,
  ];
}

function levelDetails(name, estimate, levels) {
  const head = ["Level", "Chance", "", "Answers"].map((text) =>
    text ? h("th", { scope: "col" }, text) : h("td", { class: "wide-only" }),
  );
  const rows = levels.map(({ level, open, estimate: at }) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, capital(level), open ? null : h("span", { class: "soft" }, " (opens later)")),
      h("td", {}, ...range(at)),
      h("td", { class: "wide-only" }, estimateBar(at)),
      h("td", {}, at.answers),
    ),
  );
  return h(
    "details",
    {},
    h("summary", {}, "By Bloom level ", h("span", { class: "soft" }, `– ${count(estimate.answers, "answer")}`)),
    h(
      "table",
      {},
      h("caption", { class: "hidden" }, `${name} by Bloom level`),
      h("thead", {}, h("tr", {}, head)),
      h("tbody", {}, rows),
    ),
  );
}
