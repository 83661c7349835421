// Authors: sign-in by link, import, search; and Bloom levels for everyone.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { assertNoTrouble, launch, open } from "./support/browser.js";
import { Server } from "./support/server.js";

const ANALYSIS_TIMEOUT_MS = 180_000;

let server;
let browser;
let author;

before(async () => {
  server = await Server.start();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.close();
});

test("the author link signs in, and its code leaves the address bar", async () => {
  author = await open(browser, server.link);
  await author.getByText("You are signed in.").waitFor();
  assert.equal(author.url(), `${server.url}/#authors`);
  await author.reload();
  await author.getByRole("heading", { name: "Search by meaning" }).waitFor();
  assertNoTrouble(author);
});

test("a used link is refused with a clear message", async () => {
  const page = await open(browser, server.link);
  await page.getByRole("alert").getByText("unknown, used or expired").waitFor();
  assert.equal(page.url(), `${server.url}/#authors`);
  assert.ok(await page.getByRole("heading", { name: "Sign in" }).isVisible());
  assertNoTrouble(page, /status of 401/);
  await page.context().close();
});

test("an import takes sound questions and names the lines of the others", async () => {
  await author.locator("#gift-file").setInputFiles(fileURLToPath(new URL("support/broken.gift", import.meta.url)));
  await author.getByRole("button", { name: "Import", exact: true }).click();
  const table = author.locator("table.problems");
  await table.waitFor();
  assert.match(await author.locator("#import ~ .results").innerText(), /1\squestion new/);
  assert.match(await table.innerText(), /Line 1[0-3], column \d+/);
  assertNoTrouble(author);
});

test("a file that is not in UTF-8 is refused, and taken once it is", async () => {
  const words = "Was ist Ähnlichkeit? {=Größe ~nein}\n";
  const file = (text, encoding) => ({ name: "words.gift", mimeType: "text/plain", buffer: Buffer.from(text, encoding) });
  const chooser = author.locator("#gift-file");
  const text = author.getByLabel("or GIFT text");
  for (const refused of [file(words, "latin1"), file(`\ufeff${words}`, "utf16le")]) {
    await chooser.setInputFiles(refused);
    await author.getByRole("alert").getByText("words.gift is not in UTF-8. Save it as UTF-8").waitFor();
    assert.equal(await text.inputValue(), "");
  }
  await chooser.setInputFiles(file(words, "utf8"));
  await author.waitForFunction((words) => document.querySelector("#gift").value === words, words);
  assert.equal(await author.locator("#import ~ form .field-error").innerText(), "");
  assertNoTrouble(author);
});

test("search finds by meaning", async () => {
  const hits = author.locator("#search ~ .results li p:first-child");
  const search = author.getByRole("button", { name: "Search" });
  await author.getByLabel("A topic or a question").fill("What do plants breathe in to make sugar from light?");
  // The server reads a new bank in the background; a question is found once its turn has come.
  const end = Date.now() + ANALYSIS_TIMEOUT_MS;
  let first = "";
  while (!/take in for photosynthesis/.test(first) && Date.now() < end) {
    await search.click();
    await search.and(author.locator(":not([aria-disabled])")).waitFor();
    await hits.first().waitFor();
    first = await hits.first().innerText();
    await author.waitForTimeout(500);
  }
  assert.match(first, /take in for photosynthesis/);
  assertNoTrouble(author);
});

test("the list filters by subject and goes on page by page", async () => {
  const list = author.locator("#list ~ .results");
  await author.locator("#list-subject option", { hasText: "Biology" }).waitFor({ state: "attached" });
  await author.locator("#list-subject").selectOption({ label: "Biology" });
  await author.getByRole("button", { name: "List questions" }).click();
  await list.getByRole("button", { name: "Show more" }).click();
  await author.waitForFunction(() => document.querySelectorAll("#list ~ .results .plain-list:not(.tight) > li").length === 40);
  const subjects = await list.locator(".meta .tag:first-child").allInnerTexts();
  assert.deepEqual([...new Set(subjects)], ["Biology"]);
});

test("authors see how a question does", async () => {
  await author.locator("#list ~ .results").getByText("How it does").first().click();
  const facts = author.locator("#list ~ .results .facts").first();
  await facts.waitFor();
  assert.match(await facts.innerText(), /Difficulty, 0 being the middle\s+−?\d\.\d\d ± \d\.\d\d logits/);
  assertNoTrouble(author);
});

test("prerequisites are saved, and a cycle is refused with its names", async () => {
  const text = author.getByLabel("One skill a line");
  const save = author.getByRole("button", { name: "Save prerequisites" });
  const found = author.locator("#prerequisites ~ .results");
  await text.fill("biology/genetics-and-heredity: biology/evolution\nbiology/evolution: biology/genetics-and-heredity");
  await save.click();
  await found.getByText("biology/evolution needs biology/genetics-and-heredity needs biology/evolution").waitFor();
  await text.fill("biology/genetics-and-heredity: biology/evolution");
  await save.click();
  await found.getByText("Saved").waitFor();
  await author.reload();
  await author.waitForFunction(() => document.querySelector("#prerequisites-text")?.value === "biology/genetics-and-heredity: biology/evolution");
  await author.getByLabel("One skill a line").fill("");
  await author.getByRole("button", { name: "Save prerequisites" }).click();
  await author.locator("#prerequisites ~ .results").getByText("Saved").waitFor();
  assertNoTrouble(author, /status of 422/);
});

test("prerequisites of one skill add up over its lines, and only those that are there count", async () => {
  const text = author.getByLabel("One skill a line");
  const save = async (lines) => {
    await text.fill(lines);
    await author.getByRole("button", { name: "Save prerequisites" }).click();
  };
  const found = author.locator("#prerequisites ~ .results");
  await save("biology/genetics-and-heredity: biology/evolution\n\nbiology/genetics-and-heredity : biology/ecology");
  await found.getByText(/^Saved: 1\sskill with/).waitFor();
  assert.equal(await text.inputValue(), "biology/genetics-and-heredity: biology/ecology, biology/evolution");
  await save("biology/genetics-and-heredity: biology/evolution\nbiology/ecology biology/evolution");
  await found.getByText("Line 2 cannot be read. Write a skill, a colon").waitFor();
  await save("biology/genetics-and-heredity:");
  await found.getByText(/^Saved: 0\sskills with/).waitFor();
  assert.equal(await text.inputValue(), "");
  assertNoTrouble(author, /status of 422/);
});

test("an export gives back what the bank holds", async () => {
  const [download] = await Promise.all([
    author.waitForEvent("download"),
    author.getByRole("button", { name: "Export as GIFT" }).click(),
  ]);
  const chunks = await (await download.createReadStream()).toArray();
  assert.match(Buffer.concat(chunks).toString(), /take in for photosynthesis/);
  assert.equal(download.suggestedFilename(), "questions.gift");
});

test("signing out leads back to a guest", async () => {
  await author.getByRole("button", { name: "Sign out" }).click();
  await author.getByRole("heading", { name: "Sign in" }).waitFor();
  await author.context().close();
});

test("texts get levels, and what is no question is told so", async () => {
  const page = await open(browser, `${server.url}/#bloom`);
  await page.getByLabel("Questions or learning objectives").fill("Define osmosis.\nDesign an experiment that tests whether light changes the growth of cress.\n?!?");
  await page.getByRole("button", { name: "Find the levels" }).click();
  const results = page.locator("#classify ~ .results > ol > li");
  await results.first().waitFor();
  assert.equal(await results.count(), 3);
  const [define, design, nothing] = await results.allInnerTexts();
  assert.match(define, /Remember/);
  assert.match(design, /\d+\s%/);
  assert.match(nothing, /no question or objective/);
  assert.equal(await results.first().locator("tr").count(), 6);
  assertNoTrouble(page);
  await page.context().close();
});

test("a question is checked for level and craft", async () => {
  const page = await open(browser, `${server.url}/#bloom`);
  await page.getByLabel("Stem").fill("Recall the capital of France.");
  await page.getByLabel("Level that you aim at").selectOption("create");
  const options = ["Paris", "Lyon", "Lyon", "All of the above"];
  for (const [i, text] of options.entries()) await page.getByLabel(`Option ${i + 1}`, { exact: true }).fill(text);
  await page.getByRole("button", { name: "Check the question" }).click();
  const results = page.locator("#validate ~ .results");
  await results.locator(".finding").first().waitFor();
  assert.match(await results.innerText(), /You aim at create/);
  assertNoTrouble(page);
  await page.context().close();
});
