// node --test edge/worker.test.mjs
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { afterEach, test } from "node:test";

import worker, { HEAD_TIMEOUT_MS } from "./worker.mjs";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const realFetch = globalThis.fetch;
afterEach(() => (globalThis.fetch = realFetch));

const FILES = { "/": "<!doctype html>", "/app.js": "export {};" };
const env = {
  FLEET: "https://fleet.example.org",
  ASSETS: {
    async fetch(request) {
      const text = FILES[new URL(request.url).pathname];
      if (text === undefined) return new Response("no such file", { status: 404 });
      const headers = { etag: '"1"', "cache-control": "public, max-age=0, must-revalidate" };
      if (request.headers.get("if-none-match") === '"1"') return new Response(null, { status: 304, headers });
      return new Response(text, { headers: { ...headers, "content-type": "text/html" } });
    },
  },
};

const ask = (path, init) => worker.fetch(new Request(`https://quiz.example.org${path}`, init), env);

/** Lets `answer` stand in for the fleet, and keeps the requests that it got. */
function fleet(answer) {
  const requests = [];
  globalThis.fetch = async (request, init) => {
    requests.push(request);
    return answer(request, init);
  };
  return requests;
}

/** A fetch that ends only when it is aborted. */
const hang = (_, { signal }) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

async function assertProblem(reply, status, kind) {
  assert.equal(reply.status, status);
  assert.equal(reply.headers.get("content-type"), "application/problem+json");
  const document = await reply.json();
  assert.equal(document.type, `urn:quizmentor:problem:${kind}`);
  assert.equal(document.status, status);
  return document;
}

test("the page's files have the headers that the binary gives them", async () => {
  const policy = read("../crates/api/src/routes/pages.rs").match(/POLICY: &str =\s*"([^"]+)"/)[1];
  for (const path of Object.keys(FILES)) {
    const reply = await ask(path);
    assert.equal(await reply.text(), FILES[path]);
    assert.equal(reply.headers.get("cache-control"), "no-cache");
    assert.equal(reply.headers.get("content-security-policy"), policy);
    assert.equal(reply.headers.get("x-content-type-options"), "nosniff");
    assert.equal(reply.headers.get("etag"), '"1"');
  }
});

test("a file that has not changed is not sent again", async () => {
  const reply = await ask("/app.js", { headers: { "if-none-match": '"1"' } });
  assert.equal(reply.status, 304);
  assert.equal(reply.headers.get("cache-control"), "no-cache");
  assert.equal(await reply.text(), "");
});

test("what is no file is a problem, and nothing is written", async () => {
  await assertProblem(await ask("/secret"), 404, "not-found");
  await assertProblem(await ask("/v10"), 404, "not-found");
  await assertProblem(await ask("/app.js", { method: "POST", body: "x" }), 405, "method-not-allowed");
});

test("requests pass whole to the fleet", async () => {
  const requests = fleet(async (request) => {
    assert.equal(await request.text(), '{"id": 1}');
    return Response.json({ correct: true }, { status: 201, headers: { "x-request-id": "r" } });
  });
  const headers = { authorization: "Bearer t", "cf-connecting-ip": "2001:db8::7" };
  const reply = await ask("/v1/sessions/7/answers?a=%20b", { method: "POST", headers, body: '{"id": 1}' });
  assert.equal(reply.status, 201);
  assert.equal(reply.headers.get("x-request-id"), "r");
  assert.deepEqual(await reply.json(), { correct: true });
  const [request] = requests;
  assert.equal(request.url, "https://fleet.example.org/v1/sessions/7/answers?a=%20b");
  assert.equal(request.method, "POST");
  assert.equal(request.headers.get("authorization"), "Bearer t");
  assert.equal(request.headers.get("cf-connecting-ip"), "2001:db8::7");
});

test("the API's description and the fleet's health pass too", async () => {
  const requests = fleet(async () => new Response("ready"));
  for (const path of ["/docs/", "/docs/index.css", "/openapi.json", "/healthz"]) await ask(path);
  const paths = requests.map((request) => new URL(request.url).pathname);
  assert.deepEqual(paths, ["/docs/", "/docs/index.css", "/openapi.json", "/readyz"]);
});

test("the fleet's own refusals pass as they are", async () => {
  const body = { type: "urn:quizmentor:problem:unavailable", status: 503 };
  const headers = { "content-type": "application/problem+json", "retry-after": "1" };
  fleet(async () => new Response(JSON.stringify(body), { status: 503, headers }));
  const reply = await ask("/v1/subjects");
  assert.equal(reply.headers.get("retry-after"), "1");
  assert.deepEqual(await reply.json(), body);
});

test("a fleet that is away is a problem to wait for", async () => {
  const answers = [
    () => Promise.reject(new TypeError("connection refused")),
    async () => new Response("<h1>no healthy target</h1>", { status: 503, headers: { "content-type": "text/html" } }),
    async () => new Response("error code: 522", { status: 522 }),
  ];
  for (const answer of answers) {
    fleet(answer);
    const reply = await ask("/v1/subjects");
    assert.equal(reply.headers.get("retry-after"), "5");
    assert.equal(reply.headers.get("cache-control"), "no-store");
    assert.equal((await assertProblem(reply, 503, "unavailable")).retry_after, 5);
  }
});

test("a fleet that does not answer is given up in time", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  fleet(hang);
  const reply = ask("/v1/subjects");
  t.mock.timers.tick(HEAD_TIMEOUT_MS - 1);
  assert.equal(await Promise.race([reply, Promise.resolve("waits")]), "waits");
  t.mock.timers.tick(1);
  await assertProblem(await reply, 504, "timeout");
});

test("news pass as they come, and no deadline cuts them", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let tell;
  const body = new ReadableStream({ start: (controller) => (tell = (text) => controller.enqueue(new TextEncoder().encode(text))) });
  let signal;
  fleet(async (_, init) => {
    ({ signal } = init);
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  });
  const reply = await ask("/v1/live");
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  tell("event: missed\n\n");
  assert.equal((await reader.read()).value, "event: missed\n\n");
  t.mock.timers.tick(10 * HEAD_TIMEOUT_MS);
  assert.equal(signal.aborted, false);
  tell("event: answer.committed\n\n");
  assert.equal((await reader.read()).value, "event: answer.committed\n\n");
});

test("a client that leaves ends the fleet's work", async () => {
  let signal;
  fleet((request, init) => {
    ({ signal } = init);
    return hang(request, init);
  });
  const client = new AbortController();
  const reply = ask("/v1/live", { signal: client.signal });
  await new Promise(setImmediate);
  client.abort();
  await reply;
  assert.equal(signal.aborted, true);
});

test("the worker's files are where its settings say", () => {
  const settings = read("wrangler.toml");
  const value = (key) => settings.match(new RegExp(`^${key} = "([^"]+)"`, "m"))[1];
  assert.ok(existsSync(new URL(value("main"), import.meta.url)));
  assert.ok(existsSync(new URL(`${value("directory")}/index.html`, import.meta.url)));
  assert.equal(value("binding"), "ASSETS");
  assert.match(settings, /^FLEET = "https:/m);
});
