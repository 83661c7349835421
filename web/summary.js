// What a session found out: the pieces of its summary.

import { bar, factList, h, percent, percents } from "/markup.js";

export function signed(value) {
  const rounded = Math.abs(value) < 0.005 ? 0 : value;
  return (rounded > 0 ? "+" : rounded < 0 ? "−" : "") + Math.abs(rounded).toFixed(2);
}

export function verdict({ correct, credit }) {
  if (correct) return ["right", "✓", "Right"];
  return credit > 0 ? ["partly", "◐", `Partly right: ${percent(credit)} of the credit`] : ["wrong", "✗", "Not right"];
}

const ENDS = {
  length: "all its questions were asked",
  precision: "your ability is known as precisely as wished",
  decision: "it is clear on which side of the passing mark you are",
};
const VERDICTS = {
  pass: ["right", "Passed: above the passing mark with 95\u00a0% certainty."],
  fail: ["wrong", "Not passed: below the passing mark with 95\u00a0% certainty."],
  open: ["partly", "Undecided: too close to the passing mark to tell."],
};

/** What a test found out, in words and units. */
export function measured(measurement, plan) {
  const { ability, standard_error: error, probability, low, high, verdict, end } = measurement;
  const [name, words] = VERDICTS[verdict] ?? [];
  const facts = [
    ["Your chance on a typical question", `${percent(probability)} (${percents(low, high)})`],
    ["Ability, 0 being the middle", `${signed(ability)} ± ${error.toFixed(2)} logits`],
    plan?.cut ? ["Passing mark", percent(plan.cut)] : null,
    end ? ["The test ended because", ENDS[end]] : null,
  ].filter(Boolean);
  return h(
    "section",
    { class: "measured", "aria-label": "What the test found out" },
    words ? h("p", { class: `verdict-line ${name}` }, words) : null,
    bar(probability, low, high),
    factList(facts),
    h("p", { class: "hint" }, "The true value lies in the range with 90\u00a0% probability."),
  );
}

export function skillChanges(log) {
  const skills = new Map();
  for (const { skill, skill_name: name, before, after } of log) {
    if (before === undefined) continue;
    const first = skills.get(skill)?.before ?? before;
    skills.set(skill, { name, before: first, after });
  }
  if (!skills.size) return null;
  const rows = Array.from(skills.values(), ({ name, before, after }) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, name),
      h("td", {}, percent(before)),
      h("td", {}, percent(after)),
      h("td", { class: "wide-only" }, bar(after, Math.min(before, after), Math.max(before, after))),
    ),
  );
  const head = ["Skill", "Before", "Now"].map((text) => h("th", { scope: "col" }, text));
  return h(
    "table",
    {},
    h("caption", {}, "Your chance on a typical question"),
    h("thead", {}, h("tr", {}, head, h("td", { class: "wide-only" }))),
    h("tbody", {}, rows),
  );
}

export function answerList(log) {
  if (!log.length) return null;
  const items = log.map((entry) => {
    const [name, sign, words] = verdict(entry);
    return h(
      "li",
      { class: name },
      h("strong", {}, h("span", { "aria-hidden": "true" }, `${sign} `), words),
      h("p", {}, entry.stem),
      h("p", { class: "soft" }, `Answer: ${entry.key.join("; ")}`),
    );
  });
  return h("details", {}, h("summary", {}, "Questions and answers"), h("ol", { class: "answers" }, items));
}
