// Every view: light, dark, phone; nothing fails, nothing comes from elsewhere.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { NARROW, PHONE, answerByKeyboard, assertAccessible, assertNoTrouble, goTo, launch, open, startSession } from "./support/browser.js";
import { Server } from "./support/server.js";

let server;
let browser;
let code;

before(async () => {
  server = await Server.start();
  browser = await launch();
  code = new URL(server.link).hash;
});

after(async () => {
  await browser?.close();
  await server?.close();
});

/** Walks through the views of a learner and calls `check` with the name of each. */
async function walk(page, check) {
  await page.locator("form.start").waitFor();
  await page.locator(".subjects").getByText("Biology", { exact: true }).click();
  await check("start");
  await startSession(page, "Biology");
  await page.getByText("Why this question?").click();
  await check("question");
  await page.locator("#stem").click();
  await answerByKeyboard(page);
  await check("feedback");
  await page.getByRole("button", { name: "End session" }).click();
  await page.locator(".summary").waitFor();
  await page.getByText("Questions and answers").click();
  await check("summary");

  await page.getByRole("button", { name: "Practise again" }).click();
  await page.locator("form.start .tile-name").getByText("Test", { exact: true }).click();
  await page.getByLabel("Questions at most").selectOption("10");
  await page.getByLabel("Passing mark").selectOption("0.7");
  await check("start of a test");
  await page.getByRole("button", { name: "Start" }).click();
  await page.locator(".question form .actions").waitFor();
  await answerByKeyboard(page);
  await page.getByRole("button", { name: "End session" }).click();
  await page.locator(".measured").waitFor();
  await check("summary of a test");

  await goTo(page, "Progress");
  await page.locator(".skills summary").first().click();
  await page.getByRole("button", { name: "Show the path" }).click();
  await page.locator(".goal ol li").first().waitFor();
  await page.getByRole("button", { name: "Plan today" }).click();
  await page.locator(".goal .verdict-line").waitFor();
  await check("progress");

  await goTo(page, "Bloom");
  await page.getByLabel("Questions or learning objectives").fill("Compare mitosis and meiosis.\n…");
  await page.getByRole("button", { name: "Find the levels" }).click();
  await page.locator("#classify ~ .results li").first().waitFor();
  await page.getByLabel("Stem").fill("Which of these is not a gas?");
  await page.getByRole("button", { name: "Check the question" }).click();
  await page.locator("#validate ~ .results table").waitFor();
  await check("bloom");

  await goTo(page, "Authors");
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await check("sign-in");
}

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing serious in ${colorScheme} mode`, async () => {
    const page = await open(browser, server.url, { colorScheme });
    await walk(page, (view) => assertAccessible(page, `${view}, ${colorScheme}`));
    assertNoTrouble(page);
    await page.context().close();
  });
}

/** Nothing of the view scrolls sideways, and what is touched is large enough. */
async function assertFits(page, view) {
  const { width, small } = await page.evaluate(() => {
    const targets = "button, summary, select, textarea, input, nav a, .brand, .button, footer a";
    const box = (element) => (element.closest("label") ?? element).getBoundingClientRect();
    const small = Array.from(document.querySelectorAll(targets))
      .filter((element) => element.checkVisibility())
      .filter((element) => box(element).width < 44 || box(element).height < 44)
      .map((element) => `${element.outerHTML.slice(0, 80)} ${box(element).width}×${box(element).height}`);
    return { width: document.documentElement.scrollWidth, small };
  });
  assert.ok(width <= page.viewportSize().width, `${view} is ${width} px wide`);
  assert.deepEqual(small, [], `${view}: targets under 44 px`);
}

for (const device of [PHONE, NARROW]) {
  test(`at ${device.viewport.width} px nothing scrolls sideways and targets are large enough`, async () => {
    const page = await open(browser, server.url, device);
    await walk(page, (view) => assertFits(page, view));
    assertNoTrouble(page);
    await page.context().close();
  });
}

test("the authors' area: axe in both modes, and on a phone", async () => {
  const page = await open(browser, `${server.url}/${code}`);
  await page.getByLabel("A topic or a question").fill("energy");
  await page.getByRole("button", { name: "Search" }).click();
  await page.locator("#search ~ .results summary").first().click();
  await page.getByRole("button", { name: "List questions" }).click();
  await page.locator("#list ~ .results summary").first().waitFor();
  await page.locator("#list ~ .results").getByText("How it does").first().click();
  await page.locator("#list ~ .results .facts").first().waitFor();
  await page.getByRole("button", { name: "Check the bank" }).click();
  await page.locator("#flagged ~ .results p").first().waitFor();
  await page.getByLabel("or GIFT text").fill("::a::b {");
  await page.getByRole("button", { name: "Import", exact: true }).click();
  await page.locator("table.problems").waitFor();
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await assertAccessible(page, `authors, ${colorScheme}`);
  }
  for (const { viewport } of [PHONE, NARROW]) {
    await page.setViewportSize(viewport);
    await assertFits(page, "authors");
  }
  assertNoTrouble(page);
  await page.context().close();
});

test("long words break", async () => {
  const author = await open(browser, await server.invite(), NARROW);
  await author.locator("#gift-file").setInputFiles(fileURLToPath(new URL("support/long-words.gift", import.meta.url)));
  await author.getByRole("button", { name: "Import", exact: true }).click();
  await author.locator("#import ~ .results .right", { hasText: /^2\squestions new/ }).waitFor();
  await author.getByLabel("Contains").fill("Rindfleisch");
  await author.getByRole("button", { name: "List questions" }).click();
  await author.locator("#list ~ .results details").first().waitFor();
  await assertFits(author, "authors");
  await author.context().close();

  const page = await open(browser, server.url, NARROW);
  await page.locator(".subjects").getByText("Rindfleisch").click();
  await assertFits(page, "start");
  await page.getByRole("button", { name: "Start" }).click();
  for (let n = 1; n <= 2; n++) {
    await page.getByRole("heading", { name: `Question ${n}` }).waitFor();
    await assertFits(page, "question");
    await answerByKeyboard(page);
    await assertFits(page, "feedback");
    await page.locator(".feedback .primary").click();
  }
  await page.locator(".summary").waitFor();
  await page.getByText("Questions and answers").click();
  await assertFits(page, "summary");
  await goTo(page, "Progress");
  await page.locator(".skills summary").first().click();
  await assertFits(page, "progress");
  assertNoTrouble(page);
  await page.context().close();
});

test("the API documentation renders without the network", async () => {
  const page = await open(browser, `${server.url}/docs`);
  await page.getByText("/v1/bloom/classify").first().waitFor();
  await page.getByText("/v1/sessions/{id}/answers").first().waitFor();
  assertNoTrouble(page);
  await page.context().close();
});

test("without the server the page says so and tries again on wish", async () => {
  const page = await open(browser, server.url);
  await page.route("**/v1/subjects", (route) => route.abort());
  await page.reload();
  await page.getByRole("alert").getByText("The server cannot be reached").waitFor();
  await page.unroute("**/v1/subjects");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.locator("form.start").waitFor();
  await page.context().close();
});
