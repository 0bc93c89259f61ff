// Small parts that are opened now and then, fetched together.
export { AccountMenu } from "./AccountMenu";
export { ConnectionPanel } from "./ConnectionPanel";
export { MessageDetails } from "./MessageDetails";
export { Shortcuts } from "./Shortcuts";
export { SessionBar } from "./SessionBar";
