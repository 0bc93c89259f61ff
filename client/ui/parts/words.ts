// Sentences about connections, paths and marks: said the same way wherever they appear.
import type { Connection, Decision, Message, Path } from "../../node/api";
import { clock, exactTime } from "../format";
import { t } from "../i18n";
import type { IconName } from "./icons";

/** What happened and what still works, in one or two sentences. `people`: linked without the tracker. */
export function connectionSentence(connection: Connection, people: number): string {
  if (connection.reason === "tracker-unreachable") {
    return people > 0 ? t("reason.tracker-unreachable", { n: people }) : t("reason.tracker-unreachable.alone");
  }
  return t(`reason.${connection.reason}`);
}

export function pathIcon(path: Path): IconName | null {
  const icons: Record<Path, IconName | null> = {
    own: "own",
    none: null,
    tracker: "stored",
    relay: "relay",
    direct: "direct",
    lan: "direct",
  };
  return icons[path];
}

/** "direct", "via relay": a link as it is now. */
export function linkWords(path: Path, rttMs?: number): string {
  const word = path === "own" ? t("link.none") : t(`link.${path}`);
  return rttMs === undefined || path === "none" ? word : t("link.with-time", { link: word, n: Math.round(rttMs) });
}

/** How a message came: "direct", "via relay", "from the tracker's history", "handed on by Bob". */
export function travelWords(message: Message): string {
  const handedOn = message.from !== message.author && (message.path === "direct" || message.path === "lan" || message.path === "relay");
  if (handedOn && message.fromAccount) return t("travel.handed", { name: message.fromAccount });
  return t(`travel.${message.path}`);
}

export function travelIcon(message: Message): IconName | null {
  const handedOn = message.path !== "tracker" && message.path !== "own" && message.from !== message.author;
  return handedOn ? "handed" : pathIcon(message.path);
}

export type Mark = NonNullable<Message["mark"]>;

export const markIcon: Record<Mark, IconName> = { pending: "clock", queued: "clock", handed: "tick", delivered: "ticks" };
export const markWords = (mark: Mark): string => t(`mark.${mark}`);

/** "14:02, direct": the extras, spoken after author and text. */
export function extras(message: Message): string {
  const parts = [clock(message.time), message.mark ? markWords(message.mark) : travelWords(message)];
  return parts.join(", ");
}

/** The sign of a channel: everybody's, sealed, or with one person. */
export function channelIcon({ type }: { type: "public" | "private" | "direct" }): IconName {
  return type === "public" ? "hash" : type === "private" ? "lock" : "person";
}

/** As people write it: "#general", "reading" (sealed), "Binh". */
export function channelTitle({ name, type }: { name: string; type: "public" | "private" | "direct" }): string {
  return type === "public" ? `#${name}` : name.replace(/^@/, "");
}

const ROLES = ["decision.role.member", "decision.role.moderator", "decision.role.owner"] as const;

/** "Binh was muted by An until ...": a line in the conversation. */
export function decisionWords({ act, by, account, number, until, text }: Decision): string {
  if (act === "role") return t(ROLES[number] ?? ROLES[0], { by, account });
  if (act === "slow" && number === 0) return t("decision.slow-off", { by });
  if (act === "topic" && !text) return t("decision.topic-none", { by });
  return t(`decision.${act}`, { by, account, n: number, until: exactTime(until), text });
}

/** What is said, or why it is not shown. */
export const shownText = (message: Message): string =>
  message.hidden ? t("messages.hidden") : message.locked ? t("messages.locked") : message.text;
