// What a tab and the worker say to each other over their port. The worker holds the core, the store and the
// tracker's socket; tabs draw, and own the RTCPeerConnections, which workers do not have.
import type { Events, NodeError } from "./api";

/** Raised when the messages below change their meaning; versions of the page come and go more often. */
export const PROTOCOL = 1;
export const WORKER_URL = "/worker.js";
export const WORKER_NAME = "weaprous";

/** Test configuration, never set by the page itself: see readSwitches in connect.ts. */
export interface Switches {
  /** False: no WebRTC, neither dialled nor accepted. */
  direct: boolean;
  /** False: no relayed links. */
  relay: boolean;
  /** False: no link to the tracker's replica. */
  replica: boolean;
  /** No links to devices of these accounts, so that others have to hand entries on. */
  avoid: string[];
}

export const NO_SWITCHES: Switches = { direct: true, relay: true, replica: true, avoid: [] };

export type EventMessage = { [E in keyof Events]: { t: "event"; name: E; value: Events[E] } }[keyof Events];

/** `attempt` names one RTCPeerConnection, in both directions. */
export type ToWorker =
  | {
      t: "hello";
      version: string;
      protocol: number;
      rtc: boolean;
      visible: boolean;
      switches: Switches;
      /** Who is logged in, as far as the page knows for sure. */
      account?: string;
      /** Who was here last: used when the tracker cannot be asked. */
      lastAccount?: string;
    }
  | { t: "call"; id: number; method: string; params: unknown }
  | { t: "visible"; visible: boolean }
  | { t: "network" }
  | { t: "pong" }
  | { t: "bye" }
  | { t: "rtc-signal"; attempt: string; description: RTCSessionDescriptionInit }
  | { t: "rtc-signal"; attempt: string; candidate: RTCIceCandidateInit | null }
  | { t: "rtc-open"; attempt: string; binding: string }
  | { t: "rtc-data"; attempt: string; bytes: ArrayBuffer }
  /** So many more bytes have left this browser's buffer. */
  | { t: "rtc-credit"; attempt: string; bytes: number }
  | { t: "rtc-closed"; attempt: string; reason: string };

export type FromWorker =
  | { t: "hello"; version: string; protocol: number }
  /** The worker of another version goes away, because this tab is alone: connect again. */
  | { t: "restart" }
  /** Whose device this browser is now; a page that shows another one begins anew. */
  | { t: "account"; account: string }
  /** The device was made again after a failure: what the page shows may not be what is stored. */
  | { t: "renewed" }
  | { t: "answer"; id: number; value?: unknown; error?: NodeError }
  | EventMessage
  | { t: "ping" }
  | { t: "rtc-dial"; attempt: string; ice: RTCIceServer[] }
  | { t: "rtc-accept"; attempt: string; description: RTCSessionDescriptionInit; ice: RTCIceServer[] }
  | { t: "rtc-signal"; attempt: string; description: RTCSessionDescriptionInit }
  | { t: "rtc-signal"; attempt: string; candidate: RTCIceCandidateInit | null }
  | { t: "rtc-data"; attempt: string; bytes: ArrayBuffer }
  | { t: "rtc-close"; attempt: string };

/** Bytes that may be on their way between worker and network for one data channel. */
export const RTC_WINDOW_BYTES = 256 * 1024;
