// A learner at work: keyboard, kinds of questions, and answers that survive what happens to them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { answerByKeyboard, api, assertNoTrouble, goTo, kindOf, launch, open, setToken, startSession } from "./support/browser.js";
import { Server } from "./support/server.js";

let server;
let browser;

before(async () => {
  server = await Server.start();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.close();
});

const stem = (page) => page.locator("#stem").innerText();
const heading = (page) => page.getByRole("heading", { level: 1 }).innerText();
const answered = async (page) => (await api(page, "/v1/me/answers")).answers.length;
const focused = (page, selector) => page.evaluate((s) => document.activeElement.matches(s), selector);

async function tabTo(page, selector) {
  for (let i = 0; i < 60; i++) {
    if (await focused(page, selector)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`the Tab key never reaches ${selector}`);
}

test("ten questions by keyboard alone, with feedback and progress", async () => {
  const page = await open(browser, server.url);
  await page.locator("form.start").waitFor();
  await page.keyboard.press("Tab");
  assert.ok(await focused(page, ".skip"), "the first stop is the skip link");
  await page.keyboard.press("Enter");
  assert.ok(await focused(page, "main"));

  await tabTo(page, "input[name=subject]");
  await page.keyboard.press("ArrowDown");
  await tabTo(page, "form.start button");
  await page.keyboard.press("Enter");

  for (let n = 1; n <= 10; n++) {
    await page.locator(".question form .actions").waitFor();
    assert.equal(await heading(page), `Question ${n}`);
    assert.ok(await focused(page, "h1"), "the focus is on the new question");
    await answerByKeyboard(page);
    assert.ok(await focused(page, ".feedback h2"), "the focus is on the feedback");
    assert.match(await page.locator(".feedback h2").innerText(), /Right|Partly right|Not right/);
    assert.match(await page.locator(".mastery-change").innerText(), /\d+\s%\s→\s\d+\s%/);
    assert.match(await page.locator(".score").innerText(), new RegExp(`of ${n} right`));
    await page.keyboard.press("Enter");
  }

  await page.locator(".question form .actions").waitFor();
  await tabTo(page, ".why summary");
  await page.keyboard.press("Enter");
  assert.match(await page.locator(".why").innerText(), /estimated chance/i);
  await tabTo(page, ".question-foot .link");
  await page.keyboard.press("Enter");
  await page.locator(".summary").waitFor();
  assert.ok(await focused(page, ".summary h1"));
  assert.match(await page.locator(".summary .lead").innerText(), /of 10 right/);

  await tabTo(page, ".summary a");
  await page.keyboard.press("Enter");
  await page.locator(".skills").first().waitFor();
  assert.match(await page.locator(".progress .lead").innerText(), /after 10\sanswers/);
  assert.equal(await answered(page), 10);
  assertNoTrouble(page);
  await page.context().close();
});

test("a test ends at its length and tells what it measured, with units", async () => {
  const page = await open(browser, server.url);
  await page.locator("form.start .tile-name").getByText("Test", { exact: true }).click();
  await page.getByLabel("Questions at most").selectOption("10");
  await page.getByLabel("Passing mark").selectOption("0.6");
  await page.getByRole("button", { name: "Start" }).click();
  for (let n = 1; n <= 10; n++) {
    await page.locator(".question form .actions").waitFor();
    await answerByKeyboard(page);
    await page.keyboard.press("Enter");
    if (await page.locator(".summary").isVisible()) break;
  }
  const measured = await page.locator(".measured").innerText();
  assert.match(measured, /Passed|Not passed|Undecided/);
  assert.match(measured, /[+−]?\d\.\d\d ± \d\.\d\d logits/);
  assert.match(measured, /all its questions were asked|passing mark you are/);
  assertNoTrouble(page);
  await page.context().close();
});

test("a session that goes badly gets easier and says so", async () => {
  const page = await open(browser, server.url);
  await startSession(page, "Everything");
  for (let n = 0; n < 40 && !(await page.locator(".flow").isVisible()); n++) {
    await answerByKeyboard(page);
    await page.keyboard.press("Enter");
    await page.locator(".question form .actions").waitFor();
  }
  assert.match(await page.locator(".flow").innerText(), /a little (easier|harder)\. The aim is now a chance of \d+ to \d+\s%/);
  assertNoTrouble(page);
  await page.context().close();
});

test("goals: what would change, the path to a skill, today's plan", async () => {
  const page = await open(browser, server.url);
  await startSession(page, "Biology");
  await answerByKeyboard(page);
  await page.getByRole("button", { name: "End session" }).click();
  await page.getByRole("link", { name: "See your progress" }).click();
  await page.locator(".skills").first().waitFor();
  assert.match(await page.locator(".progress").innerText(), /A right answer would make it \d+\s%, a wrong one \d+\s%/);
  await page.getByRole("button", { name: "Show the path" }).click();
  await page.locator(".goal").first().getByText(/1\sskill, about \d+\sminutes? of practice/).waitFor();
  await page.getByLabel("Minutes a day").fill("15");
  await page.getByRole("button", { name: "Plan today" }).click();
  await page.locator(".goal .verdict-line").waitFor();
  assert.match(await page.locator(".goal ol").last().innerText(), /\d+\squestions?, about \d+\sminutes?/);
  assertNoTrouble(page);
  await page.context().close();
});

test("bars show what guessing alone gives, where it gives much", async () => {
  const page = await open(browser, server.url);
  await page.route("**/v1/me/model", async (route) => {
    const response = await route.fetch();
    const model = await response.json();
    for (const { skill, estimate, levels } of model.mastery.skills) {
      for (const each of [estimate, ...levels.map((level) => level.estimate)]) each.guess = skill === "biology/evolution" ? 0.3 : 0.2;
    }
    await route.fulfill({ response, json: model });
  });
  await goTo(page, "Progress");
  await page.getByText("The dotted line is what guessing alone gives.").waitFor();
  const marked = page.locator(".skills > li", { has: page.locator(".bar-guess") });
  assert.deepEqual(await marked.locator("h4").allTextContents(), ["Evolution"]);
  assert.equal(await marked.locator("> .bar .bar-guess").getAttribute("x1"), "30");
  assert.match(await marked.textContent(), /Guessing alone gives 30\s%/);
  await page.context().close();
});

const choose = async (page, ...texts) => {
  for (const text of texts) await page.locator(".option-text").getByText(text, { exact: true }).click();
};

const match = async (page, pairs) => {
  for (const [prompt, answer] of Object.entries(pairs)) {
    const select = page.getByLabel(prompt);
    await select.selectOption({ label: await select.locator("option", { hasText: answer }).innerText() });
  }
};

/** Skill, what its question is answered with, and how a learner gets it right. */
const KINDS = [
  ["One choice", "radio", (page) => choose(page, "23")],
  ["Several choices", "checkbox", (page) => choose(page, "2", "4")],
  ["Truth", "radio", (page) => choose(page, "True")],
  ["Short", "written", (page) => page.getByLabel("Your answer").fill(" nairobi ")],
  ["Number", "written", (page) => page.getByLabel("Your answer").fill("4e2")],
  ["Matching", "matching", (page) => match(page, { Japan: "yen", India: "rupee", Poland: "złoty" })],
];

test("every kind of question can be answered right", async (t) => {
  const author = await open(browser, server.link);
  await author.locator("#gift-file").setInputFiles(fileURLToPath(new URL("support/kinds.gift", import.meta.url)));
  await author.getByRole("button", { name: "Import", exact: true }).click();
  await author.locator(".verdict-line", { hasText: /^6\squestions new/ }).waitFor();
  await author.context().close();

  for (const [skill, kind, answerRight] of KINDS) {
    await t.test(skill, async () => {
      const page = await open(browser, server.url);
      await startSession(page, "Browser", [skill]);
      assert.equal(await kindOf(page), kind);
      await page.getByRole("button", { name: "Check answer" }).click();
      assert.notEqual(await page.locator(".field-error").innerText(), "", "an empty answer is not sent");
      await answerRight(page);
      await page.getByRole("button", { name: "Check answer" }).click();
      await page.locator(".feedback").waitFor();
      assert.equal(await page.locator(".feedback h2").innerText(), "✓ Right");
      assert.equal(await answered(page), 1);
      assertNoTrouble(page);
      await page.context().close();
    });
  }
});

test("a number that can be read in two ways is asked for again", async () => {
  const page = await open(browser, server.url);
  await startSession(page, "Browser", ["Number"]);
  await page.getByLabel("Your answer").fill("1,600");
  await page.keyboard.press("Enter");
  assert.match(await page.locator(".field-error").innerText(), /1600 or 1\.600/);
  assert.equal(await answered(page), 0);
  await page.context().close();
});

test("a reload keeps the session and its question", async () => {
  const page = await open(browser, server.url);
  await startSession(page, "Physics");
  await answerByKeyboard(page);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Question 2" }).waitFor();
  const asked = await stem(page);
  await page.reload();
  await page.getByRole("heading", { name: "Question 2" }).waitFor();
  assert.equal(await stem(page), asked);
  assertNoTrouble(page);
  await page.context().close();
});

test("a restart of the server keeps session and progress", async () => {
  const page = await open(browser, server.url);
  await startSession(page, "World history");
  for (let i = 0; i < 2; i++) {
    await answerByKeyboard(page);
    await page.keyboard.press("Enter");
    await page.locator(".question form .actions").waitFor();
  }
  const asked = await stem(page);
  const mastery = await api(page, "/v1/me/mastery");
  await server.restart();
  await page.reload();
  await page.getByRole("heading", { name: "Question 3" }).waitFor();
  assert.equal(await stem(page), asked);
  const kept = await api(page, "/v1/me/mastery");
  assert.equal(kept.overall.answers, 2);
  assert.ok(Math.abs(kept.overall.probability - mastery.overall.probability) < 0.01);
  assertNoTrouble(page);
  await page.context().close();
});

test("an answer given offline is sent later and counts once", async () => {
  const page = await open(browser, server.url);
  await startSession(page, "Chemistry");
  await page.context().setOffline(true);
  const sent = answerByKeyboard(page);
  await page.getByText("Your answer is kept in this browser").waitFor();
  await page.context().setOffline(false);
  await sent;
  assert.equal(await answered(page), 1);
  await page.context().close();
});

test("an answer whose acknowledgement was lost is sent again with the same id", async () => {
  const page = await open(browser, server.url);
  await startSession(page, "Chemistry");
  const ids = [];
  const loseReply = async (route) => {
    ids.push(route.request().postDataJSON().id);
    await route.fetch();
    await route.abort();
  };
  await page.route("**/sessions/*/answers", loseReply);
  const sent = answerByKeyboard(page);
  await page.getByText("Your answer is kept in this browser").waitFor();
  assert.equal(await answered(page), 1, "the server has it");
  await page.unroute("**/sessions/*/answers");
  page.on("request", (request) => {
    if (request.url().includes(`${server.url}/v1/sessions/`) && request.method() === "POST") ids.push(request.postDataJSON().id);
  });
  await page.reload();
  await sent;
  assert.equal(await answered(page), 1);
  assert.ok(ids.length >= 2, "it was sent again");
  assert.deepEqual([...new Set(ids)], [ids[0]]);
  assert.match(await page.locator(".score").innerText(), /of 1 right/);
  await page.context().close();
});

test("a token that the server refuses gives a new guest and a word about it", async () => {
  const page = await open(browser, server.url);
  await startSession(page, "Biology");
  await setToken(page, "refused");
  await page.reload();
  await page.getByText("you go on as a new guest").waitFor();
  await page.locator("form.start").waitFor();
  await startSession(page, "Biology");
  await page.context().close();
});
