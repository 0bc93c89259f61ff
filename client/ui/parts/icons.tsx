// The page's own icons: 20 x 20, drawn with the text's colour.
import type { JSX } from "preact";

const paths = {
  back: "M12.5 4.5 7 10l5.5 5.5",
  people: "M7.5 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM2 16.5c0-2.8 2.2-4.5 5.5-4.5s5.5 1.7 5.5 4.5M13.2 4a2.8 2.8 0 0 1 0 5.2M15 12.4c1.9.6 3 2 3 4.1",
  close: "m5 5 10 10M15 5 5 15",
  send: "M3.5 10 16.5 4l-3.8 12.5-3.4-5.2L3.5 10Zm5.8 1.3 3.2-3.2",
  down: "M10 4v11.5M5 10.8l5 4.9 5-4.9",
  eye: "M2 10s2.9-5.5 8-5.5S18 10 18 10s-2.9 5.5-8 5.5S2 10 2 10Zm8 2.3a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6Z",
  eyeOff: "M4 4l12 12M8.2 4.7A8 8 0 0 1 10 4.5c5.1 0 8 5.5 8 5.5a14 14 0 0 1-2.3 3M5.2 6.2A13.6 13.6 0 0 0 2 10s2.9 5.5 8 5.5a8 8 0 0 0 3.5-.8",
  clock: "M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm0-10.5V10l2.4 1.8",
  tick: "m4.5 10.5 3.7 3.7 7.3-8",
  ticks: "m1.8 10.5 3.5 3.7 7-8M9.3 13.2l1 1 7.7-8.2",
  failed: "M10 6.2v4.6m0 2.7v.1M10 17.5a7.5 7.5 0 1 0 0-15 7.5 7.5 0 0 0 0 15Z",
  direct: "M3 10h14M6.5 6.5 3 10l3.5 3.5M13.5 6.5 17 10l-3.5 3.5",
  relay: "M10 8.3a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6ZM8.3 7.7 3 15.5m8.7-7.8L17 15.5M3 11.8v3.7h3.7m6.6 0H17v-3.7",
  stored: "M3.5 6c0-1.4 2.9-2.5 6.5-2.5S16.5 4.6 16.5 6v8c0 1.4-2.9 2.5-6.5 2.5S3.5 15.4 3.5 14V6Zm0 0c0 1.4 2.9 2.5 6.5 2.5s6.5-1.1 6.5-2.5M3.5 10c0 1.4 2.9 2.5 6.5 2.5s6.5-1.1 6.5-2.5",
  handed: "M3 13.5a2.5 2.5 0 1 0 5 0 2.5 2.5 0 0 0-5 0Zm9-7a2.5 2.5 0 1 0 5 0 2.5 2.5 0 0 0-5 0ZM7.5 11.8l5-3.6",
  own: "M4.5 4.5h11v8h-11zM2.5 15.5h15",
  online: "m4.5 10.5 3.7 3.7 7.3-8",
  connecting: "M16.5 10A6.5 6.5 0 1 1 10 3.5",
  limited: "M10 3 18 16.5H2L10 3Zm0 5v4m0 2.2v.1",
  offline: "M4 4l12 12M5.5 14.5A4 4 0 0 1 4.8 7M8 4.5a5.5 5.5 0 0 1 7 3.8 3.6 3.6 0 0 1 1.8 5.6",
  copy: "M7.5 7.5h8.5v8.5H7.5zM12.5 7.5V4H4v8.5h3.5",
  more: "M4.5 10h.1m5.4 0h.1m5.3 0h.1",
  settings: "M3 6h7m4.5 0H17M3 14h2.5m4.5 0h7M12.2 8.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4ZM7.7 16.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4Z",
  retry: "M16.5 10A6.5 6.5 0 1 1 14.3 5.2M14.8 2v3.6h-3.6",
  chevron: "m7.5 5 5 5-5 5",
  person: "M10 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM4.5 16.5c0-2.8 2.2-4.5 5.5-4.5s5.5 1.7 5.5 4.5",
  lock: "M5 9.5h10v7.5H5zM7 9.5V6.8a3 3 0 0 1 6 0v2.7",
  search: "M9 14.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11Zm4-1.5 4 4",
  at: "M13 10a3 3 0 1 1-6 0 3 3 0 0 1 6 0Zm0 0v1.2c0 1.2.8 2 1.9 2s2.1-1.2 2.1-3.2a7 7 0 1 0-2.6 5.4",
  hash: "M8 3.5 6.3 16.5M13.7 3.5 12 16.5M3.8 7.5h13M3.2 12.5h13",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, class: className = "" }: { name: IconName; class?: string }): JSX.Element {
  return (
    <svg class={`icon ${className}`} viewBox="0 0 20 20" aria-hidden="true" data-icon={name}>
      <path d={paths[name]} />
    </svg>
  );
}

/** The sign of the house: five people and the lines between them. */
export function Logo(): JSX.Element {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <use href="#mark" />
    </svg>
  );
}
