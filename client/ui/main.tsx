// The page's entry: takes over from the static login form of index.html and draws what the state says.
import { effect } from "@preact/signals";
import { render } from "preact";
import { language, loadWords } from "./i18n";
import { App } from "./parts/App";
import { installTips } from "./parts/tip";
import { watchBadge } from "./state/badge";
import { askSession } from "./state/session";

const WORDS_AGAIN_MS = 3000;
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

/** Without words there is nothing to draw: tried until they are here; the static form works meanwhile. */
async function words(): Promise<void> {
  while (!(await loadWords().then(() => true, () => false))) await new Promise((done) => setTimeout(done, WORDS_AGAIN_MS));
}

// The static form (or the sign, for those who are expected) stays until the tracker has said who we are.
void Promise.all([askSession(), words()]).then(start);
