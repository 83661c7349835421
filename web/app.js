// Navigation between the views, sign-in by link, and words for the user.

import { account, events, kept, redeem, renewToken, signOut } from "/api.js";
import { h, problemBox } from "/markup.js";
import * as authors from "/authors.js";
import * as bloom from "/bloom.js";
import * as practice from "/practice.js";
import * as progress from "/progress.js";

const VIEWS = { practice, progress, bloom, authors };
const main = document.getElementById("main");
const notices = document.getElementById("notices");

function notice(...content) {
  const box = h("div", { class: "notice" }, h("p", {}, ...content));
  const close = () => box.remove();
  box.append(h("button", { type: "button", class: "quiet", "aria-label": "Dismiss", onclick: close }, "×"));
  notices.replaceChildren(box);
}

function currentName() {
  const name = location.hash.slice(1).split("?")[0];
  return name in VIEWS ? name : "practice";
}

function show({ moveFocus }) {
  const name = currentName();
  const view = VIEWS[name];
  document.title = `${view.title} – QuizMentor`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const root = h("div", { class: `view ${name}` });
  main.replaceChildren(root);
  view.render(root);
  if (moveFocus) {
    window.scrollTo(0, 0);
    (root.querySelector("h1") ?? main).focus({ preventScroll: true });
  }
}

const placeWords = () =>
  kept.lasting
    ? "this browser keeps your place."
    : "this browser’s storage is full or forbidden, so your place is kept only until you close the page.";

function showAccount() {
  const who = account();
  const place = document.getElementById("account");
  if (!who || who.role === "learner") {
    place.replaceChildren(who ? `You practise as a guest; ${placeWords()}` : "");
    return;
  }
  const leave = () => {
    signOut();
    show({ moveFocus: true });
  };
  place.replaceChildren(
    `Signed in as ${who.role}. `,
    h("button", { type: "button", class: "link", onclick: leave }, "Sign out"),
  );
}

/** A sign-in link's code works once and must not stay in the address bar or the history. */
async function signInByLink() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (!code) return;
  history.replaceState(null, "", "/#authors");
  try {
    await redeem(code);
    notice("You are signed in.");
  } catch (problem) {
    notices.replaceChildren(problemBox(problem, problem.passing ? () => retry(code) : null));
  }
}

function retry(code) {
  history.replaceState(null, "", `/#code=${encodeURIComponent(code)}`);
  navigate();
}

async function navigate(options = { moveFocus: true }) {
  await signInByLink();
  renewToken();
  show(options);
}

events.addEventListener("notice", ({ detail }) => notice(detail));
events.addEventListener("account", showAccount);
window.addEventListener("hashchange", () => navigate());
window.addEventListener("offline", () => notice("You are offline. Answers are kept and sent later."));
window.addEventListener("online", () => notice("You are online again."));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

showAccount();
await navigate({ moveFocus: false });
