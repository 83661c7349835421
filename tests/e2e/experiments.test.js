// Experiments: what authors are told of whom an experiment treats.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { answerByKeyboard, assertNoTrouble, launch, open, startSession } from "./support/browser.js";
import { Server } from "./support/server.js";

const EXPERIMENT = '[experiment]\nname = "bolder"\n';
const COUNTED_WITHIN_MS = 30_000;

/** What the card of policies says, once an answer was counted. */
async function comparison(author) {
  const compare = author.getByRole("button", { name: "Compare policies" });
  const results = author.locator("#policies ~ .results");
  const end = Date.now() + COUNTED_WITHIN_MS;
  do {
    await compare.click();
    await compare.and(author.locator(":not([aria-disabled])")).waitFor();
    await results.locator(":scope > *").first().waitFor();
  } while (!(await results.locator("table").count()) && Date.now() < end);
  return results.innerText();
}

test("authors see whom an experiment treats: a share of the learners, or those with its flag", async (t) => {
  const server = await Server.start(`${EXPERIMENT}share = 0.25\n`);
  t.after(() => server.close());
  const browser = await launch();
  t.after(() => browser.close());
  const learner = await open(browser, server.url);
  await startSession(learner, "Biology");
  await answerByKeyboard(learner);
  assertNoTrouble(learner);

  const author = await open(browser, server.link);
  const words = await comparison(author);
  assert.match(words, /Experiment bolder: practice-2 for 25\s%\s*of the learners, against practice-1\. Both need answers first\./);
  assert.match(words, /practice-[12]\t1\t/);

  const token = join(server.dataDir, "flags-token");
  await writeFile(token, "default:development.nobody-listens");
  await server.restart(`${EXPERIMENT}[flags]\nurl = "http://127.0.0.1:9/api"\ntoken_file = "${token}"\n`);
  await author.reload();
  assert.match(await comparison(author), /Experiment bolder: practice-2 for learners who have the flag of its name, against practice-1\./);
  assertNoTrouble(author);
});
