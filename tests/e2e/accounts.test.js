// Who the page acts for: guests, sign-in links, clocks that are wrong, storage that refuses.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { answerByKeyboard, assertNoTrouble, launch, open, startSession } from "./support/browser.js";
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

/** The paths that the page calls from now on, as “METHOD path”. */
function callsOf(page) {
  const calls = [];
  page.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (pathname.startsWith("/v1/")) calls.push(`${request.method()} ${pathname}`);
  });
  return calls;
}

const guestsIn = (calls) => calls.filter((call) => call === "POST /v1/auth/guest").length;

test("a learner practises where the browser's storage takes nothing", async () => {
  const page = await open(browser, server.url, {}, () => {
    Storage.prototype.setItem = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
  });
  const calls = callsOf(page);
  await startSession(page, "Biology");
  await answerByKeyboard(page);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Question 2" }).waitFor();
  await page.locator("nav").getByRole("link", { name: "Progress" }).click();
  await page.getByText(/after 1\sanswer/).waitFor();
  await page.locator("nav").getByRole("link", { name: "Practise" }).click();
  await page.getByRole("heading", { name: "Question 2" }).waitFor();
  assert.equal(guestsIn(calls), 1);
  assert.match(await page.locator("#account").innerText(), /kept only until you close the page/);
  assertNoTrouble(page);
  await page.context().close();
});

/** A script that sets the page's clock ahead. */
const ahead = (hours) => `{ const now = Date.now; Date.now = () => now() + ${hours} * 3_600_000; }`;

test("a clock that is months ahead costs a learner nothing", async () => {
  const page = await open(browser, server.url, {}, ahead(2400));
  const calls = callsOf(page);
  await startSession(page, "Biology");
  await answerByKeyboard(page);
  await page.reload();
  await page.getByRole("heading", { name: "Question 2" }).waitFor();
  assert.equal(guestsIn(calls), 1);
  assertNoTrouble(page);
  await page.context().close();
});

test("a clock that is half a day ahead leaves an author signed in", async () => {
  const page = await open(browser, server.link, {}, ahead(13));
  await page.getByText("You are signed in.").waitFor();
  await page.getByRole("button", { name: "List questions" }).click();
  await page.locator("#list ~ .results .plain-list").first().waitFor();
  assert.match(await page.locator("#account").innerText(), /Signed in as a/);
  assertNoTrouble(page);
  await page.context().close();
});

test("a token is renewed once an hour has gone by, on whatever clock", async () => {
  const page = await open(browser, server.url);
  const calls = callsOf(page);
  const tokenOf = () => page.evaluate(() => JSON.parse(localStorage.getItem("quizmentor.account")).token);
  await startSession(page, "Biology");
  const first = await tokenOf();
  await page.reload();
  await page.locator(".question form .actions").waitFor();
  assert.equal(await tokenOf(), first, "a new token is kept");

  await page.addInitScript(ahead(2));
  const renewal = page.waitForResponse("**/v1/auth/renew");
  await page.reload();
  assert.equal((await renewal).status(), 200);
  await page.waitForFunction((old) => JSON.parse(localStorage.getItem("quizmentor.account")).token !== old, first);
  await page.locator(".question form .actions").waitFor();
  assert.equal(guestsIn(calls), 1);
  assertNoTrouble(page);
  await page.context().close();
});
