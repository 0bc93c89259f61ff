// Tooltips: one floating box for the whole page. Elements say their words in data-tip (shown on hover and on
// keyboard focus) or data-focus-tip (on keyboard focus only). It repeats accessible names, so it is hidden
// from screen readers.
const DELAY_MS = 350;
const GAP_PX = 6;
const EDGE_PX = 8;

export function installTips(): void {
  const box = document.createElement("div");
  box.className = "tip";
  box.setAttribute("aria-hidden", "true");
  box.hidden = true;
  document.body.append(box);
  let timer = 0;

  const hide = (): void => {
    clearTimeout(timer);
    box.hidden = true;
  };
  const show = (target: Element, text: string): void => {
    if (!target.isConnected) return;
    // Inside an open dialog only its own descendants are painted above the backdrop.
    (target.closest("dialog") ?? document.body).append(box);
    box.textContent = text;
    box.hidden = false;
    const at = target.getBoundingClientRect();
    const left = at.left + at.width / 2 - box.offsetWidth / 2;
    const above = at.top - box.offsetHeight - GAP_PX;
    box.style.left = `${Math.max(EDGE_PX, Math.min(left, innerWidth - box.offsetWidth - EDGE_PX))}px`;
    box.style.top = `${above > EDGE_PX ? above : at.bottom + GAP_PX}px`;
  };

  document.addEventListener("mouseover", (event) => {
    hide();
    const target = (event.target as Element).closest?.<HTMLElement>("[data-tip]");
    if (target?.dataset.tip) timer = window.setTimeout(show, DELAY_MS, target, target.dataset.tip);
  });
  document.addEventListener("focusin", (event) => {
    hide();
    const target = event.target as HTMLElement;
    const text = target.dataset.tip ?? target.dataset.focusTip;
    if (text && target.matches(":focus-visible")) show(target, text);
  });
  for (const end of ["focusout", "pointerdown", "keydown"]) document.addEventListener(end, hide);
  document.addEventListener("scroll", hide, { capture: true, passive: true });
}
