// Who the page acts for: guests, sign-in links, clocks that are wrong, storage that refuses.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accountOf, answerByKeyboard, api, assertNoTrouble, giveAnswer, goTo, launch, open, setToken, startSession } from "./support/browser.js";
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

const answersOf = async (page) => (await api(page, "/v1/me/answers")).answers.length;
const learnerOf = async (page) => (await accountOf(page)).learner;
/** Answers 401 to the present token of the page, as for a learner who is no more. */
async function refuseTokenOf(page) {
  const { token } = await accountOf(page);
  await page.route("**/v1/**", async (route) => {
    const isRefused = (await route.request().headerValue("Authorization")) === `Bearer ${token}`;
    await (isRefused ? route.fulfill({ status: 401 }) : route.continue());
  });
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
  await goTo(page, "Progress");
  await page.getByText(/after 1\sanswer/).waitFor();
  await goTo(page, "Practise");
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
  const since = async () => (await accountOf(page)).since;
  await startSession(page, "Biology");
  const first = await since();
  await page.reload();
  await page.locator(".question form .actions").waitFor();
  assert.equal(await since(), first, "a new token is kept");

  await page.addInitScript(ahead(2));
  await page.reload();
  await page.waitForFunction((old) => JSON.parse(localStorage.getItem("quizmentor.account")).since > old, first);
  await page.locator(".question form .actions").waitFor();
  assert.ok(calls.includes("POST /v1/auth/renew"));
  assert.equal(guestsIn(calls), 1);
  assertNoTrouble(page);
  await page.context().close();
});

/** A guest whose answer the server does not take, and who then follows an author's link. */
async function authorWithUnsentAnswer() {
  const page = await open(browser, server.url);
  await startSession(page, "Chemistry");
  await page.route("**/sessions/*/answers", (route) => route.fulfill({ status: 503 }));
  const guest = await learnerOf(page);
  await giveAnswer(page);
  await page.getByText("Your answer is kept in this browser").waitFor();
  await page.goto(await server.invite());
  await page.getByText("You are signed in.").waitFor();
  await page.unroute("**/sessions/*/answers");
  return { page, guest };
}

test("an unsent answer outlasts a visit to the authors' area", async () => {
  const { page, guest } = await authorWithUnsentAnswer();
  await goTo(page, "Practise");
  await page.locator("form.start").waitFor();
  await goTo(page, "Authors");
  await page.getByRole("button", { name: "Sign out" }).click();
  await goTo(page, "Practise");
  await page.locator(".feedback").waitFor();
  assert.equal(await learnerOf(page), guest);
  assert.equal(await answersOf(page), 1);
  await page.context().close();
});

test("an author whose token ended goes on as the guest of before", async () => {
  const { page, guest } = await authorWithUnsentAnswer();
  await setToken(page, "ended");
  await page.getByRole("button", { name: "List questions" }).click();
  await page.getByText("Your sign-in is no longer valid").waitFor();
  assert.equal(await learnerOf(page), guest);
  await goTo(page, "Practise");
  await page.locator(".feedback").waitFor();
  assert.equal(await answersOf(page), 1);
  await page.context().close();
});

test("a learner who was erased on another device goes on as a new guest", async () => {
  const page = await open(browser, server.url);
  await startSession(page, "Chemistry");
  const erased = await learnerOf(page);
  const status = await page.evaluate(async () => {
    const { token } = JSON.parse(localStorage.getItem("quizmentor.account"));
    return (await fetch("/v1/me", { method: "DELETE", headers: { Authorization: `Bearer ${token}` } })).status;
  });
  assert.equal(status, 204);
  await refuseTokenOf(page);
  const calls = callsOf(page);
  await giveAnswer(page);
  await page.getByText("its learner was erased. You go on as a new guest.").waitFor();
  await page.locator("form.start").waitFor();
  await startSession(page, "Chemistry");
  await answerByKeyboard(page);
  await page.reload();
  await page.getByRole("heading", { name: "Question 2" }).waitFor();
  assert.notEqual(await learnerOf(page), erased);
  assert.equal(guestsIn(calls), 1);
  assertNoTrouble(page, /status of 40[14]/);
  await page.context().close();
});
