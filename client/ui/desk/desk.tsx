// The pages beside the conversations, each a function of its own; this is what is fetched when the first is opened.
import type { ComponentType, JSX } from "preact";
import { t } from "../i18n";
import { Icon } from "../parts/icons";
import type { DeskPage } from "../state/route";
import { AccountPage } from "./Account";
import { AdminPage } from "./Admin";
import { ChannelsPage } from "./Channels";
import { FriendsPage } from "./Friends";
import { MentionsPage } from "./Mentions";
import { RoomPage } from "./Room";
import { SearchPage } from "./Search";
import { d } from "./words";

const pages = {
  account: { title: "account.title", Page: AccountPage },
  admin: { title: "admin.title", Page: AdminPage },
  friends: { title: "friends.title", Page: FriendsPage },
  channels: { title: "channels.title", Page: ChannelsPage },
  search: { title: "search.title", Page: SearchPage },
  mentions: { title: "mentions.title", Page: MentionsPage },
  room: { title: "room.title", Page: RoomPage },
} satisfies Record<DeskPage, { title: Parameters<typeof d>[0]; Page: ComponentType }>;

export function DeskView({ page }: { page: DeskPage }): JSX.Element {
  const { title, Page } = pages[page];
  return (
    <main class="desk" data-testid={`desk-${page}`}>
      <header class="conversation-head">
        <a class="icon-button back" href="#/" aria-label={t("back")}>
          <Icon name="back" />
        </a>
        <h1 class="name clip grow">{d(title)}</h1>
      </header>
      <div class="desk-body"><Page /></div>
    </main>
  );
}
