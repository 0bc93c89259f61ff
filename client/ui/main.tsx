// The page's entry: takes over from the static login form of index.html and draws what the state says.
import { effect } from "@preact/signals";
import { render } from "preact";
import { language } from "./i18n";
import { App } from "./parts/App";
import { installTips } from "./parts/tip";
import { watchBadge } from "./state/badge";
import { askSession } from "./state/session";

const root = document.getElementById("app") as HTMLElement;

function typedSoFar(name: string): string {
  return root.querySelector<HTMLInputElement>(`input[name=${name}]`)?.value ?? "";
}

function start(): void {
  const typed = { username: typedSoFar("username"), password: typedSoFar("password") };
  root.replaceChildren();
  document.documentElement.classList.remove("expected");
  render(<App typed={typed} />, root);
}

effect(() => {
  document.documentElement.lang = language.value;
});
installTips();
watchBadge();

// The static form (or the sign, for those who are expected) stays until the tracker has said who we are.
void askSession().then(start);
