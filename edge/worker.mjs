// The edge, a Cloudflare Worker: the web page's files come from the network's own storage, near the
// learner; what the fleet must answer is passed on to it, and streams pass as they come.

/** Longest wait for the head of the fleet's reply: the fleet's own deadline is 10 s. */
export const HEAD_TIMEOUT_MS = 12_000;

/** Seconds after which a client may ask again when the fleet was away. */
const RETRY_AFTER = 5;

/** Paths of the fleet, with all below them. */
const FLEET_PATHS = ["/v1", "/docs", "/openapi.json"];

// As the binary serves the same files. Their names bear no version, so that browsers must ask
// whether they have changed; the answer to that is short.
const PAGE_HEADERS = {
  "cache-control": "no-cache",
  "content-security-policy":
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};

/** A problem document as the API has them (RFC 9457). */
function problem(status, kind, detail, more = {}) {
  const title = kind[0].toUpperCase() + kind.slice(1).replaceAll("-", " ");
  const body = { type: `urn:quizmentor:problem:${kind}`, title, status, detail, ...more };
  const headers = { "content-type": "application/problem+json", "cache-control": "no-store" };
  if (more.retry_after) headers["retry-after"] = String(more.retry_after);
  return new Response(JSON.stringify(body), { status, headers });
}

const away = () =>
  problem(503, "unavailable", "QuizMentor cannot be reached at the moment; try again.", {
    retry_after: RETRY_AFTER,
  });

const late = () =>
  problem(504, "timeout", "QuizMentor took too long. Sending an answer again is safe: it counts once.", {
    retry_after: RETRY_AFTER,
  });

/** Whether the reply is a proxy's, which found no fleet behind it, and not the fleet's own. */
function isProxys(reply) {
  const fromFleet = reply.headers.get("content-type")?.includes("json") ?? false;
  return reply.status >= 520 || (reply.status >= 502 && !fromFleet);
}

/**
 * The fleet's reply. Only its head has a deadline, lest a stream be cut. The network itself tells the
 * fleet the client's address, in CF-Connecting-IP.
 */
async function fromFleet(request, env, path) {
  const address = new URL(path + new URL(request.url).search, env.FLEET);
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), HEAD_TIMEOUT_MS);
  const signal = AbortSignal.any([deadline.signal, request.signal]);
  try {
    const reply = await fetch(new Request(address, request), { signal, redirect: "manual" });
    if (!isProxys(reply)) return reply;
    await reply.body?.cancel();
    return away();
  } catch {
    return deadline.signal.aborted ? late() : away();
  } finally {
    clearTimeout(timer);
  }
}

async function page(request, env) {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return problem(405, "method-not-allowed", "The page's files can only be read.");
  }
  const file = await env.ASSETS.fetch(request);
  if (file.status === 404) {
    const { pathname } = new URL(request.url);
    return problem(404, "not-found", `There is nothing at ${pathname}; /docs lists the API.`);
  }
  const reply = new Response(file.body, file);
  for (const [name, value] of Object.entries(PAGE_HEADERS)) reply.headers.set(name, value);
  return reply;
}

export default {
  /** Answers a request; `env` has FLEET, the fleet's address, and ASSETS, the page's files. */
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/healthz") return fromFleet(request, env, "/readyz");
    const isFleets = FLEET_PATHS.some((path) => pathname === path || pathname.startsWith(`${path}/`));
    return isFleets ? fromFleet(request, env, pathname) : page(request, env);
  },
};
