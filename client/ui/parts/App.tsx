// Which of the page's faces is shown: the first screen, the chat, or one sentence that stands for itself.
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { openNode, type OpenOptions } from "../../node/index";
import { t } from "../i18n";
import { spoken } from "../state/attention";
import { channels, connection, device, failure, markRead, openChat, ready, timelineOf } from "../state/chat";
import { arrivalFault, takeArrival } from "../state/arrival";
import { channelHash, deskHash, landIn, route } from "../state/route";
import { askSession, session } from "../state/session";
import { closeSide, isNarrow, openChannel, searchHash, shortcutsOpen, sidePanel, toggleMembers } from "../state/view";
import { Conversation } from "./Conversation";
import { Desk } from "./Desk";
import { Dialog } from "./Dialog";
import { Logo } from "./icons";
import { fetchParts, later } from "./later";
import { Side } from "./Side";
import { Sidebar } from "./Sidebar";
import { type Typed, Welcome } from "./Welcome";

const Shortcuts = later(async () => (await import("./more")).Shortcuts);

export function App({ typed }: { typed: Typed }): JSX.Element {
  switch (session.value.state) {
    case "asking":
      return <Splash />;
    case "unreachable":
      return <Sentence title={t("full.unreachable.title")} text={t("full.unreachable", { host: location.host })} retry={askSession} />;
    case "out":
      return <Welcome typed={typed} />;
    case "in":
      return <Chat />;
  }
}

function Splash(): JSX.Element {
  return (
    <main class="splash shown">
      <Logo />
      <p class="faint" role="status">
        {t("full.starting")}
      </p>
    </main>
  );
}

interface SentenceProps {
  title: string;
  text: string;
  detail?: string;
  retry?: () => void;
}

function Sentence({ title, text, detail, retry }: SentenceProps): JSX.Element {
  return (
    <main class="welcome" data-testid="notice">
      <div class="card sentence">
        <Logo />
        <h1>{title}</h1>
        <p>{text}</p>
        {detail && <p class="faint small-print">{detail}</p>}
        {retry && (
          <button class="button primary" type="button" onClick={retry}>
            {t("retry.now")}
          </button>
        )}
      </div>
    </main>
  );
}

function nodeOptions(): OpenOptions {
  const now = session.peek();
  return now.state === "in" && now.account ? { account: now.account } : {};
}

let opened = false;

const reload = (): void => location.reload();

function Chat(): JSX.Element {
  useEffect(() => {
    // Logged out and in again, perhaps as somebody else: nothing of before may stay.
    if (opened) location.replace("/");
    opened = true;
    void openChat(() => openNode(nodeOptions()));
  }, []);
  const first = ready.value ? channels.value[0]?.name : undefined;
  useEffect(() => {
    if (first === undefined) return;
    landIn(first);
    fetchParts();
    void takeArrival(t("desk.unreachable"));
  }, [first]);
  useEffect(() => {
    addEventListener("keydown", onShortcut);
    return () => removeEventListener("keydown", onShortcut);
  }, []);
  const { reason } = connection.value;
  if (reason === "other-tab") return <Sentence title={t("full.other-tab.title")} text={t("reason.other-tab")} retry={reload} />;
  if (failure.value !== null) {
    return <Sentence title={t("full.failed.title")} text={t("full.failed")} detail={failure.value} retry={reload} />;
  }
  if (reason === "storage-failed" && !ready.value) {
    return <Sentence title={t("full.failed.title")} text={t("reason.storage-failed")} retry={reload} />;
  }
  if (!ready.value || (channels.value.length === 0 && connection.value.state === "connecting")) return <Splash />;
  return (
    <div data-testid="app" data-device={device.value} class="shell">
      <Columns />
      {arrivalFault.value !== null && (
        <Dialog title={t("arrival.title")} place="center" onClose={() => (arrivalFault.value = null)}>
          <p>{arrivalFault.value}</p>
        </Dialog>
      )}
      <p class="sr-only" aria-live="polite">
        {spoken.value}
      </p>
      {shortcutsOpen.value && <Shortcuts onClose={() => (shortcutsOpen.value = false)} />}
    </div>
  );
}

/** Narrow screens have room for one: the list, or the conversation with its way back. */
function Columns(): JSX.Element {
  const channel = openChannel.value;
  const one = isNarrow.value;
  const { desk } = route.value;
  if (one && route.value.channel === null && !desk) {
    return (
      <main class="column">
        <h1 class="sr-only">weaprous</h1>
        <Sidebar />
      </main>
    );
  }
  return (
    <>
      {!one && <Sidebar />}
      <div class="stage">
        {desk ? (
          <Desk page={desk} />
        ) : (
          <>
            {channel ? <Conversation channel={channel} /> : <main class="faint pad">{t("sidebar.none")}</main>}
            <Side />
          </>
        )}
      </div>
    </>
  );
}

function stepChannel(step: number): void {
  const all = channels.value;
  const at = all.findIndex((channel) => channel.id === openChannel.value?.id);
  const next = all[(at + step + all.length) % all.length];
  if (next) location.hash = channelHash(next.name);
}

/** Esc closes what is open, else marks the conversation as read; typed text is never touched. */
function escape(): void {
  const channel = openChannel.value;
  if (sidePanel.value && sidePanel.value.show === "message") closeSide();
  else if (channel) {
    const last = timelineOf(channel.id).last;
    if (last) void markRead(channel.id, last.place);
  }
}

function onShortcut(event: KeyboardEvent): void {
  if (event.isComposing || document.querySelector("dialog[open]")) return;
  const command = event.ctrlKey || event.metaKey;
  if (command && event.key === "/") shortcutsOpen.value = true;
  else if (command && event.key === ".") toggleMembers();
  else if (command && event.shiftKey && event.code === "KeyF") location.hash = searchHash(route.value.desk === "search");
  else if (command && event.shiftKey && event.code === "KeyM") location.hash = deskHash("mentions");
  else if (event.altKey && !command && event.key === "ArrowUp") stepChannel(-1);
  else if (event.altKey && !command && event.key === "ArrowDown") stepChannel(1);
  else if (event.key === "Escape") escape();
  else return;
  event.preventDefault();
}
