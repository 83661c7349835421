// Debian's Chromium, and pages that remember everything that went wrong on them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export const launch = () => chromium.launch({ executablePath: "/usr/bin/chromium", args: ARGUMENTS });

export const goTo = (page, view) => page.locator("nav").getByRole("link", { name: view }).click();

/** The account that the page keeps. */
export const accountOf = (page) => page.evaluate(() => JSON.parse(localStorage.getItem("quizmentor.account")));

/** Gives the page another token. */
export const setToken = (page, token) =>
  page.evaluate((token) => {
    const account = JSON.parse(localStorage.getItem("quizmentor.account"));
    localStorage.setItem("quizmentor.account", JSON.stringify({ ...account, token }));
  }, token);

export const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };

/** The narrowest that has to work: an old phone, or a window of 640 px at 200 %. */
export const NARROW = { viewport: { width: 320, height: 568 }, isMobile: true, hasTouch: true };

/**
 * A page in a context of its own (a new learner). `page.troubles` lists console errors, exceptions,
 * violations of the content security policy, failed requests and requests to other hosts.
 * `prepare` runs in the page before its own scripts.
 */
export async function open(browser, url, options = {}, prepare = null) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const trouble = (kind, what) => page.troubles.push(`${kind}: ${what}`);
  page.troubles = [];
  page.setDefaultTimeout(15_000);
  await page.exposeFunction("reportViolation", (what) => trouble("policy", what));
  await page.addInitScript(() =>
    document.addEventListener("securitypolicyviolation", (event) =>
      window.reportViolation(`${event.violatedDirective} ${event.blockedURI}`),
    ),
  );
  if (prepare) await page.addInitScript(prepare);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) trouble("console", message.text());
  });
  page.on("pageerror", (error) => trouble("exception", error.stack));
  page.on("requestfailed", (request) => trouble("request", `${request.url()} ${request.failure()?.errorText}`));
  page.on("request", (request) => {
    const address = new URL(request.url());
    if (address.protocol.startsWith("http") && address.origin !== new URL(url).origin) trouble("external", request.url());
  });
  await page.goto(url);
  return page;
}

/** Fails on anything that went wrong, but for what `expected` matches. */
export function assertNoTrouble(page, expected = /^$/) {
  assert.deepEqual(page.troubles.filter((trouble) => !expected.test(trouble)), []);
}

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Fails when axe finds a serious or critical violation. */
export async function assertAccessible(page, view) {
  if (!(await page.evaluate("typeof window.axe === 'object'"))) await page.evaluate(AXE);
  const violations = await page.evaluate(async () => {
    const found = await window.axe.run(document, { resultTypes: ["violations"] });
    return found.violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target).join(", ")}`);
  });
  assert.deepEqual(violations, [], view);
}

/** Calls the API as the learner of the page. */
export const api = (page, path) =>
  page.evaluate(async (path) => {
    const { token } = JSON.parse(localStorage.getItem("quizmentor.account"));
    const answer = await fetch(path, { headers: { Authorization: `Bearer ${token}` } });
    return answer.json();
  }, path);

/** Starts a session on a subject, in the skills named, by mouse. */
export async function startSession(page, subject, skills = []) {
  await page.locator(".subjects").getByText(subject, { exact: true }).click();
  for (const skill of skills) await page.locator(".chip", { hasText: skill }).click();
  await page.getByRole("button", { name: "Start" }).click();
  await page.locator(".question form .actions").waitFor();
}

export const kindOf = (page) =>
  page.locator(".question form").evaluate((form) => {
    if (form.querySelector("select")) return "matching";
    if (form.querySelector("#written")) return "written";
    return form.querySelector("input").type;
  });

/** Gives any answer to the question shown, with the keyboard alone, and waits for the feedback. */
export async function answerByKeyboard(page) {
  await giveAnswer(page);
  await page.locator(".feedback").waitFor();
}

/** Gives any answer with the keyboard alone. */
export async function giveAnswer(page) {
  const kind = await kindOf(page);
  if (kind === "written") {
    await page.keyboard.press("Tab");
    await page.keyboard.type("12");
  } else if (kind === "matching") {
    const prompts = await page.locator(".match").count();
    await page.keyboard.press("Tab");
    for (let i = 0; i < prompts; i++) {
      await page.keyboard.press("1");
      if (i < prompts - 1) await page.keyboard.press("Enter");
    }
  } else await page.keyboard.press("1");
  await page.keyboard.press("Enter");
}
