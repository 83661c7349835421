// A question as a form: one function a kind builds its fields, reads the response, and marks it.

import { h, rich } from "/markup.js";

/** A mistake in the form that the learner can mend before anything is sent. */
class Incomplete extends Error {}

/** Positions of the key among the options shown; a repeated answer brings the key as text alone. */
function keyPositions(answer, options) {
  if (answer.key_positions.length) return answer.key_positions;
  return options.flatMap((text, i) => (answer.key.includes(text) ? [i] : []));
}

function mark(label, isKey, isChosen) {
  if (isKey) label.classList.add("is-key");
  else if (isChosen) label.classList.add("is-wrong");
  const words = isKey ? (isChosen ? "✓ Your answer, right" : "✓ Right answer") : isChosen ? "✗ Your answer" : "";
  if (words) label.append(h("span", { class: "verdict" }, words));
}

function choiceFields({ type, legend, texts, format, keys }) {
  const inputs = texts.map((_, i) => h("input", { type, name: "option", value: i, id: `option-${i}` }));
  const labels = texts.map((text, i) =>
    h(
      "label",
      { class: "option", for: `option-${i}` },
      inputs[i],
      h("kbd", { "aria-hidden": "true" }, i < 9 ? String(i + 1) : ""),
      rich(text, format, "span", { class: "option-text" }),
    ),
  );
  return {
    element: h("fieldset", { class: "options" }, h("legend", {}, legend), labels),
    chosen: () => inputs.flatMap((input, i) => (input.checked ? [i] : [])),
    choose: (positions) => positions.forEach((i) => (inputs[i].checked = true)),
    pick(position) {
      const input = inputs[position];
      if (!input || input.disabled) return false;
      input.checked = type === "radio" ? true : !input.checked;
      input.focus();
      return true;
    },
    reveal(answer) {
      const chosen = inputs.map((input) => input.checked);
      const key = keys(answer);
      inputs.forEach((input) => (input.disabled = true));
      labels.forEach((label, i) => mark(label, key.includes(i), chosen[i]));
    },
  };
}

function singleChoice({ body: { options }, format }) {
  const fields = choiceFields({
    type: "radio",
    legend: "Choose one",
    texts: options,
    format,
    keys: (answer) => keyPositions(answer, options),
  });
  return {
    ...fields,
    read() {
      const [option] = fields.chosen();
      if (option === undefined) throw new Incomplete("Choose an option first.");
      return { option };
    },
    restore: ({ option }) => fields.choose([option]),
  };
}

function multipleChoice({ body: { options }, format }) {
  const fields = choiceFields({
    type: "checkbox",
    legend: "Choose all that apply",
    texts: options,
    format,
    keys: (answer) => keyPositions(answer, options),
  });
  return {
    ...fields,
    read() {
      const chosen = fields.chosen();
      if (!chosen.length) throw new Incomplete("Choose at least one option first.");
      return { options: chosen };
    },
    restore: ({ options: chosen }) => fields.choose(chosen),
  };
}

function trueFalse() {
  const fields = choiceFields({
    type: "radio",
    legend: "True or false?",
    texts: ["True", "False"],
    format: "plain",
    keys: (answer) => [answer.key[0] === "True" ? 0 : 1],
  });
  return {
    ...fields,
    read() {
      const [option] = fields.chosen();
      if (option === undefined) throw new Incomplete("Choose true or false first.");
      return { truth: option === 0 };
    },
    restore: ({ truth }) => fields.choose([truth ? 0 : 1]),
  };
}

function writtenField(label, hint, attributes) {
  const input = h("input", {
    type: "text",
    id: "written",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    maxlength: 1000,
    "aria-describedby": "written-hint",
    ...attributes,
  });
  const hint_ = h("p", { id: "written-hint", class: "hint" }, hint);
  return {
    input,
    element: h("div", { class: "written" }, h("label", { for: "written" }, label), input, hint_),
    pick: () => false,
    reveal(answer) {
      input.readOnly = true;
      input.classList.add(answer.correct ? "is-key" : "is-wrong");
    },
  };
}

function shortAnswer() {
  const field = writtenField("Your answer", "A word or a short phrase; capitals do not matter.");
  return {
    ...field,
    read() {
      const text = field.input.value.trim();
      if (!text) throw new Incomplete("Write an answer first.");
      return { text };
    },
    restore: ({ text }) => (field.input.value = text),
  };
}

/** A number as people write it: 1 600, −3, 4,5, 3e8. */
export function readNumber(written) {
  const text = written.replace(/[\s\u00a0\u202f']/g, "").replace(/\u2212/g, "-");
  if (/^[+-]?\d{1,3}(,\d{3})+$/.test(text)) {
    const [whole, decimal] = [text.replaceAll(",", ""), text.replace(",", ".")];
    const other = Number.isNaN(Number(decimal)) ? "" : ` or ${decimal}`;
    throw new Incomplete(`${text} can be read in two ways: write ${whole}${other}.`);
  }
  const plain = /^[^.,]*,[^.,]*$/.test(text) ? text.replace(",", ".") : text;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) || !Number.isFinite(Number(plain))) {
    throw new Incomplete("Write a number alone, such as 12, −0.5 or 3e8.");
  }
  return Number(plain);
}

function numerical() {
  const field = writtenField("Your answer", "A number alone, such as 12, −0.5 or 3e8.");
  return {
    ...field,
    read: () => ({ number: readNumber(field.input.value) }),
    restore: ({ number }) => (field.input.value = number),
  };
}

function matching({ body: { prompts, answers }, format }) {
  const selects = prompts.map((_, i) =>
    h(
      "select",
      { id: `match-${i}` },
      h("option", { value: "" }, "Choose…"),
      answers.map((text, n) => h("option", { value: n }, `${n + 1}. ${rich(text, format).textContent}`)),
    ),
  );
  const rows = prompts.map((prompt, i) =>
    h("div", { class: "match" }, rich(prompt, format, "label", { for: `match-${i}` }), selects[i]),
  );
  return {
    element: h("fieldset", { class: "matches" }, h("legend", {}, "Match each ", h("span", { class: "keys" }, "– type a number to choose, Enter for the next")), rows),
    pick: () => false,
    nextOpen: () => selects.find((select) => !select.value && select !== document.activeElement),
    read() {
      const open = selects.find((select) => !select.value);
      if (open) {
        open.focus();
        throw new Incomplete("Choose an answer for each.");
      }
      return { answers: selects.map((select) => Number(select.value)) };
    },
    restore: ({ answers: chosen }) => chosen.forEach((n, i) => (selects[i].value = n)),
    reveal(answer) {
      selects.forEach((select, i) => {
        const text = answers[Number(select.value)];
        const isRight = answer.correct || answer.key.includes(`${prompts[i]} → ${text}`);
        rows[i].classList.add(isRight ? "is-key" : "is-wrong");
        rows[i].replaceChildren(
          rich(prompts[i], format),
          h(
            "div",
            {},
            h("span", { class: "verdict" }, isRight ? "✓ Your answer, right: " : "✗ Your answer: "),
            rich(text, format, "span"),
          ),
        );
      });
    },
  };
}

const KINDS = {
  single_choice: singleChoice,
  multiple_choice: multipleChoice,
  true_false: trueFalse,
  short_answer: shortAnswer,
  numerical,
  matching,
};

/**
 * The form of a presented question. `answer(response)` is called once it is complete.
 * Digits choose options while the focus is within `scope`; Enter submits.
 */
export function questionForm(question, scope, answer) {
  const fields = KINDS[question.body.kind](question);
  const error = h("p", { class: "field-error", id: "answer-error", role: "alert" });
  const button = h("button", { type: "submit", class: "primary" }, "Check answer");
  const actions = h("div", { class: "actions" }, button);
  const form = h("form", { novalidate: true, "aria-describedby": "stem" }, fields.element, error, actions);
  let open = true;

  const submit = () => {
    if (!open) return;
    try {
      const response = fields.read();
      error.textContent = "";
      answer(response);
    } catch (incomplete) {
      if (!(incomplete instanceof Incomplete)) throw incomplete;
      error.textContent = incomplete.message;
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  const keys = (event) => {
    if (!open || event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    const isWriting = event.target.matches("input[type=text], select");
    if (/^[1-9]$/.test(event.key) && !isWriting) {
      if (fields.pick(Number(event.key) - 1)) event.preventDefault();
    } else if (event.key === "Enter" && event.target.matches("select")) {
      event.preventDefault();
      const next = fields.nextOpen();
      if (next) next.focus();
      else submit();
    } else if (event.key === "Enter" && event.target.matches("h1, article")) {
      event.preventDefault();
      submit();
    }
  };
  scope.addEventListener("keydown", keys);

  return {
    form,
    restore: fields.restore,
    /** No more changes while the answer is on its way. */
    busy(isBusy) {
      open = !isBusy;
      button.setAttribute("aria-disabled", String(isBusy));
      button.textContent = isBusy ? "Checking…" : "Check answer";
    },
    /** Shows the key beside what was chosen; the form stays as a record. */
    reveal(result) {
      open = false;
      fields.reveal(result);
      actions.remove();
      error.remove();
    },
  };
}
