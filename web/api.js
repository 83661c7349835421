// The HTTP API: tokens, requests, problem documents; and what is kept in this browser.

/** Values kept in this browser; those that its storage refuses, until the page is closed. */
export const kept = {
  memory: new Map(),
  /** Whether everything outlasts the page. */
  get lasting() {
    return this.memory.size === 0;
  },
  get(name) {
    if (this.memory.has(name)) return this.memory.get(name);
    try {
      return JSON.parse(localStorage.getItem(`quizmentor.${name}`));
    } catch {
      return null;
    }
  },
  set(name, value) {
    this.memory.delete(name);
    try {
      if (value === null) localStorage.removeItem(`quizmentor.${name}`);
      else localStorage.setItem(`quizmentor.${name}`, JSON.stringify(value));
    } catch {
      this.memory.set(name, value);
    }
  },
};

/** Tells `account` (who is signed in has changed) and `notice` (detail: words for the user). */
export const events = new EventTarget();

const tell = (words) => events.dispatchEvent(new CustomEvent("notice", { detail: words }));

/** A failed request; status 0 means that no answer came. */
export class Problem extends Error {
  constructor({ title, status, detail, errors, retry_after }) {
    super(detail || title);
    Object.assign(this, { title, status, detail, errors: errors ?? [], retry_after });
  }

  /** Whether the same request may well succeed later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const UNREACHABLE = {
  title: "No connection.",
  status: 0,
  detail: "The server cannot be reached. Check your connection, then try again.",
};
const REQUEST_TIMEOUT_MS = 20_000;
const RENEW_AFTER_MS = 3_600_000;

async function problemOf(response) {
  const fallback = { title: "The request failed.", status: response.status, detail: response.statusText };
  try {
    return new Problem({ ...fallback, ...(await response.json()), status: response.status });
  } catch {
    return new Problem(fallback);
  }
}

async function send(method, path, { token, json, text }) {
  const headers = { Accept: "application/json, text/plain" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (json !== undefined) headers["Content-Type"] = "application/json";
  if (text !== undefined) headers["Content-Type"] = "text/plain; charset=utf-8";
  const body = json === undefined ? text : JSON.stringify(json);
  let response;
  try {
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    response = await fetch(path, { method, headers, body, signal, cache: "no-store" });
    if (!response.ok) throw await problemOf(response);
    const isJson = response.headers.get("Content-Type")?.includes("json");
    return isJson ? await response.json() : await response.text();
  } catch (error) {
    throw error instanceof Problem ? error : new Problem(UNREACHABLE);
  }
}

export const account = () => kept.get("account");

/** Signs in the token's holder, with the session and the unsent answer kept for them, if any. */
function signIn(token, { session = null, pending = null } = {}) {
  const before = account();
  kept.set("account", token);
  if (before?.learner !== token?.learner) {
    kept.set("session", session);
    kept.set("pending", pending);
  }
  events.dispatchEvent(new Event("account"));
}

/** A token from the server, with the time it came by this browser's clock. */
const getToken = async (path, content) => ({ ...(await send("POST", path, content)), since: Date.now() });

let newGuest = null;

/**
 * The token's holder; else the guest of this browser, or a new one. The server alone tells that a
 * token ended.
 */
async function someone() {
  const present = account();
  if (present && !present.refused) return present;
  if (kept.get("guest")) {
    if (present) tellExpired(present);
    signOut();
    return account();
  }
  newGuest ??= getToken("/v1/auth/guest", {})
    .then((token) => {
      if (present) tellExpired(present);
      signIn(token);
      return token;
    })
    .finally(() => (newGuest = null));
  return newGuest;
}

function tellExpired(old) {
  tell(
    old.role === "learner"
      ? "Your sign-in is no longer valid: it ended, or its learner was erased. You go on as a new guest."
      : "Your sign-in is no longer valid. Ask for a new sign-in link; until then you are a guest.",
  );
}

/**
 * An authenticated request. A refused token is replaced: an author's by that of this browser's
 * guest, a guest's by a new guest's.
 */
async function call(method, path, content = {}, replacements = 2) {
  const { token } = await someone();
  try {
    return await send(method, path, { ...content, token });
  } catch (problem) {
    if (problem.status !== 401 || !replacements) throw problem;
    const refused = account();
    if (refused?.token === token) kept.set("account", { ...refused, refused: true });
    return call(method, path, content, replacements - 1);
  }
}

export const get = (path) => call("GET", path);
export const post = (path, json) => call("POST", path, { json });
export const put = (path, json) => call("PUT", path, { json });
export const postText = (path, text) => call("POST", path, { text });

let subjects = null;

/** The bank's subjects; those who ask while an answer is under way share it. */
export const getSubjects = () =>
  (subjects ??= send("GET", "/v1/subjects", {})
    .then((reply) => reply.subjects)
    .finally(() => (subjects = null)));

/** `path` with those of `values` that are set. */
export function query(path, values) {
  const set = Object.entries(values).filter(([, value]) => value);
  return set.length ? `${path}?${new URLSearchParams(set)}` : path;
}

/** Exchanges a token for a fresh one an hour or more after it came, by this browser's clock. */
export async function renewToken() {
  const present = account();
  if (!present || present.refused || Math.abs(Date.now() - (present.since ?? 0)) < RENEW_AFTER_MS) return;
  const renewed = await getToken("/v1/auth/renew", { token: present.token }).catch(() => null);
  if (renewed && account()?.token === present.token) signIn(renewed);
}

/** Signs in with a one-time code; the guest of this browser is kept for later, with their work. */
export async function redeem(code) {
  const token = await getToken("/v1/auth/link", { json: { code } });
  const present = account();
  if (present?.role === "learner") {
    kept.set("guest", { ...present, session: kept.get("session"), pending: kept.get("pending") });
  }
  signIn(token);
}

/** Back to the guest of this browser. */
export function signOut() {
  const { session, pending, ...guest } = kept.get("guest") ?? {};
  kept.set("guest", null);
  signIn(guest.token ? guest : null, { session, pending });
}

/** A random UUID, also where the page came over plain HTTP. */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
