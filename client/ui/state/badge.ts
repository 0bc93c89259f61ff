// The count of unread messages in the tab's title, a dot on its icon.
import { effect } from "@preact/signals";
import { unreadTotal } from "./chat";

const TITLE = "weaprous";

/** The icon as an address of its own: it changes also while the tracker is away. */
function iconWith(badge: boolean): string {
  const circle = (x: number, y: number): string => `<circle cx='${x}' cy='${y}' r='2.6'/>`;
  const dots = [circle(6.5, 10.5), circle(16, 12.5), circle(25.5, 10.5), circle(11.3, 21.5), circle(20.7, 21.5)];
  const svg = [
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><rect width='32' height='32' rx='9' fill='#12666a'/>",
    "<path d='M6.5 10.5 11.3 21.5 16 12.5 20.7 21.5 25.5 10.5' fill='none' stroke='#bfe5e1' stroke-width='2'/>",
    `<g fill='#fff'>${dots.join("")}</g>`,
    badge ? "<circle cx='25' cy='7' r='6.5' fill='#e5484d' stroke='#fff' stroke-width='1.5'/>" : "",
    "</svg>",
  ];
  return `data:image/svg+xml,${encodeURIComponent(svg.join(""))}`;
}

/** Keeps title and icon in step with what is unread. */
export function watchBadge(): void {
  const icon = document.querySelector<HTMLLinkElement>("link[rel=icon]");
  effect(() => {
    const unread = unreadTotal.value;
    document.title = unread > 0 ? `(${unread}) ${TITLE}` : TITLE;
    const href = iconWith(unread > 0);
    if (icon && icon.getAttribute("href") !== href) icon.setAttribute("href", href);
  });
}
