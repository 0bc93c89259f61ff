import type { ComponentChildren, JSX } from "preact";
import { hueOf, initials } from "../format";

/** Initials on a colour that belongs to the account name. Says nothing to screen readers: the name is beside it. */
export function Avatar(props: { name: string; size?: "small" | "large"; children?: ComponentChildren }): JSX.Element {
  return (
    <span class={`avatar ${props.size ?? ""}`} style={{ "--hue": hueOf(props.name) }} aria-hidden="true">
      {initials(props.name)}
      {props.children}
    </span>
  );
}
