// Progress: what a learner can do by skill and Bloom level, and what is due for review.

import { get, getPublic, kept } from "/api.js";
import { bar, capital, count, excerpt, fill, h, moment, percent } from "/markup.js";

export const title = "Progress";

export function render(root) {
  const reviews = h("div");
  const mastery = h("div");
  root.append(
    h("h1", { tabindex: -1 }, "Progress"),
    h("section", { class: "card", "aria-labelledby": "reviews" }, h("h2", { id: "reviews" }, "Reviews"), reviews),
    h("section", { class: "card", "aria-labelledby": "mastery" }, h("h2", { id: "mastery" }, "Mastery"), mastery),
  );
  fill(reviews, async () => reviewList(await get("/v1/me/reviews")));
  fill(mastery, async () => {
    const [mine, { subjects }] = await Promise.all([get("/v1/me/mastery"), getPublic("/v1/subjects")]);
    return masteryBySubject(mine, subjects);
  });
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
  return [h("strong", {}, percent(probability)), h("span", { class: "soft" }, ` (${Math.round(100 * low)} to ${percent(high)})`)];
}

function masteryBySubject({ overall, skills }, subjects) {
  if (!overall) return h("p", {}, "The question bank is empty.");
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

function skillItem({ name, estimate, levels }) {
  return h(
    "li",
    {},
    h("div", { class: "skill-line" }, h("h4", {}, name), h("p", {}, ...range(estimate))),
    bar(estimate.probability, estimate.low, estimate.high),
    levels.length ? levelDetails(name, estimate, levels) : null,
  );
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
      h("td", { class: "wide-only" }, bar(at.probability, at.low, at.high)),
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
