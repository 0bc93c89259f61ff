// A page of its own in the place of the conversation: friends, channels, the account, administration.
import { later } from "./later";

export const Desk = later(
  async () => (await import("../desk/desk")).DeskView,
  (children) => <main class="desk">{children}</main>,
);
