// The count of unread messages in the tab's title, a dot on its icon.
import { effect } from "@preact/signals";
import { unreadTotal } from "./chat";

const TITLE = "weaprous";

function badgeIcon(): string {
  const dot = "<circle cx='25' cy='7' r='7' fill='#e5484d' stroke='#fff' stroke-width='1.5'/>";
  const dots = [6.5, 16, 25.5].map((x, i) => `<circle cx='${x}' cy='${i === 1 ? 12.5 : 10.5}' r='2.6'/>`).join("");
  const low = "<circle cx='11.3' cy='21.5' r='2.6'/><circle cx='20.7' cy='21.5' r='2.6'/>";
  return `data:image/svg+xml,${encodeURIComponent(
    `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><rect width='32' height='32' rx='9' fill='#12666a'/><g fill='#fff'>${dots}${low}</g>${dot}</svg>`,
  )}`;
}

/** Keeps title and icon in step with what is unread. */
export function watchBadge(): void {
  const icon = document.querySelector<HTMLLinkElement>("link[rel=icon]");
  effect(() => {
    const unread = unreadTotal.value;
    document.title = unread > 0 ? `(${unread}) ${TITLE}` : TITLE;
    const href = unread > 0 ? badgeIcon() : "/favicon.svg";
    if (icon && icon.getAttribute("href") !== href) icon.setAttribute("href", href);
  });
}
