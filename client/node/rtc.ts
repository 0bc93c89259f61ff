// The tab's side of direct links: RTCPeerConnections on behalf of the worker. Nothing is decided here; the worker
// says dial, accept, send, close, and gets signals, bytes and room.
//
// Room is a window of RTC_WINDOW_BYTES: the worker subtracts what it posts, the tab gives back what has left the
// channel's buffer. So the core is asked for bytes only when they can go out soon, and what goes out is fresh.
import { RTC_WINDOW_BYTES, type FromWorker, type ToWorker } from "./protocol";

const LABEL = "weaprous";
const BUFFER_LOW_BYTES = RTC_WINDOW_BYTES / 4;
const OPEN_WITHIN_MS = 20_000;
/** A connection may be "disconnected" for a moment and recover; the channel itself never says that it is dead. */
const DISCONNECTED_GRACE_MS = 4000;
const CLOSE_WITHIN_MS = 1000;
const EARLY_MAX = 64;

type Post = (message: ToWorker, transfer?: Transferable[]) => void;

interface Attempt {
  connection: RTCPeerConnection;
  channel?: RTCDataChannel;
  /** Candidates that came before the remote description. */
  early: RTCIceCandidateInit[];
  /** Posted by the worker and not given back yet. */
  unreleased: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  opened: boolean;
}

/** Both DTLS fingerprints, smaller first: both ends compute the same text (docs/protocol/tracker-socket.md). */
export function directBinding(localSdp: string, remoteSdp: string): string {
  const fingerprint = (sdp: string): string => {
    const found = /^a=fingerprint:(.+?)\s*$/m.exec(sdp)?.[1];
    if (!found) throw new Error("a session description has no fingerprint");
    return found.toUpperCase();
  };
  return ["direct", ...[fingerprint(localSdp), fingerprint(remoteSdp)].sort()].join(" ");
}

export interface Rtc {
  handle(message: FromWorker): void;
  closeAll(): void;
}

export function createRtc(post: Post): Rtc {
  const attempts = new Map<string, Attempt>();

  /** Ends the attempt on this side and says why; `told` when the worker asked for it. */
  function close(id: string, reason: string, told = false): void {
    const attempt = attempts.get(id);
    if (!attempt) return;
    attempts.delete(id);
    clearTimeout(attempt.timer);
    const { connection, channel } = attempt;
    connection.onicecandidate = connection.onconnectionstatechange = connection.ondatachannel = null;
    if (channel) {
      channel.onopen = channel.onmessage = channel.onbufferedamountlow = null;
      channel.onclose = () => connection.close();
      channel.close(); // what is buffered still goes out
    }
    setTimeout(() => connection.close(), channel ? CLOSE_WITHIN_MS : 0);
    if (!told) post({ t: "rtc-closed", attempt: id, reason });
  }

  function release(id: string, attempt: Attempt): void {
    const held = attempt.channel ? Math.max(0, attempt.channel.bufferedAmount - BUFFER_LOW_BYTES) : 0;
    const bytes = attempt.unreleased - held;
    if (bytes <= 0) return;
    attempt.unreleased -= bytes;
    post({ t: "rtc-credit", attempt: id, bytes });
  }

  function opened(id: string, attempt: Attempt): void {
    const { localDescription, remoteDescription } = attempt.connection;
    if (attempt.opened || !localDescription || !remoteDescription) return;
    attempt.opened = true;
    clearTimeout(attempt.timer);
    try {
      post({ t: "rtc-open", attempt: id, binding: directBinding(localDescription.sdp, remoteDescription.sdp) });
    } catch (error) {
      close(id, String(error));
    }
  }

  function useChannel(id: string, attempt: Attempt, channel: RTCDataChannel): void {
    attempt.channel = channel;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = BUFFER_LOW_BYTES;
    channel.onopen = () => opened(id, attempt);
    channel.onbufferedamountlow = () => release(id, attempt);
    channel.onclose = () => close(id, "the other side closed the connection");
    channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (!(data instanceof ArrayBuffer)) return close(id, "the other side sent text");
      opened(id, attempt); // some engines deliver before they say open
      post({ t: "rtc-data", attempt: id, bytes: data }, [data]);
    };
    if (channel.readyState === "open") opened(id, attempt);
  }

  function watchState(id: string, attempt: Attempt): void {
    const { connection } = attempt;
    connection.onconnectionstatechange = () => {
      const state = connection.connectionState;
      if (state === "failed" || state === "closed") return close(id, "the direct connection failed");
      if (!attempt.opened) return;
      clearTimeout(attempt.timer);
      if (state !== "disconnected") return;
      attempt.timer = setTimeout(() => close(id, "the other side is not there any more"), DISCONNECTED_GRACE_MS);
    };
  }

  function begin(id: string, ice: RTCIceServer[]): Attempt {
    close(id, "", true);
    const connection = new RTCPeerConnection({ iceServers: ice });
    const attempt: Attempt = { connection, early: [], unreleased: 0, timer: undefined, opened: false };
    attempts.set(id, attempt);
    attempt.timer = setTimeout(() => close(id, "no direct connection came about in time"), OPEN_WITHIN_MS);
    connection.onicecandidate = ({ candidate }) =>
      post({ t: "rtc-signal", attempt: id, candidate: candidate ? candidate.toJSON() : null });
    watchState(id, attempt);
    return attempt;
  }

  async function describe(id: string, { connection }: Attempt): Promise<void> {
    await connection.setLocalDescription();
    const made = connection.localDescription;
    if (made) post({ t: "rtc-signal", attempt: id, description: { type: made.type, sdp: made.sdp } });
  }

  async function setRemote(attempt: Attempt, description: RTCSessionDescriptionInit): Promise<void> {
    await attempt.connection.setRemoteDescription(description);
    for (const candidate of attempt.early.splice(0)) await addCandidate(attempt, candidate);
  }

  async function addCandidate({ connection }: Attempt, candidate: RTCIceCandidateInit): Promise<void> {
    await connection.addIceCandidate(candidate).catch(() => {}); // one that this engine does not know is no loss
  }

  async function dial(id: string, ice: RTCIceServer[]): Promise<void> {
    const attempt = begin(id, ice);
    useChannel(id, attempt, attempt.connection.createDataChannel(LABEL, { ordered: true }));
    await describe(id, attempt);
  }

  async function accept(id: string, description: RTCSessionDescriptionInit, ice: RTCIceServer[]): Promise<void> {
    const attempt = begin(id, ice);
    attempt.connection.ondatachannel = ({ channel }) => {
      if (attempt.channel || channel.label !== LABEL) channel.close();
      else useChannel(id, attempt, channel);
    };
    await setRemote(attempt, description);
    await describe(id, attempt);
  }

  async function signal(id: string, message: Extract<FromWorker, { t: "rtc-signal" }>): Promise<void> {
    const attempt = attempts.get(id);
    if (!attempt) return;
    if ("description" in message) await setRemote(attempt, message.description);
    else if (!message.candidate) return;
    else if (attempt.connection.remoteDescription) await addCandidate(attempt, message.candidate);
    else if (attempt.early.length < EARLY_MAX) attempt.early.push(message.candidate);
  }

  function send(id: string, bytes: ArrayBuffer): void {
    const attempt = attempts.get(id);
    if (!attempt?.channel) return;
    attempt.unreleased += bytes.byteLength;
    try {
      attempt.channel.send(bytes);
    } catch (error) {
      return close(id, `the connection does not take bytes any more: ${String(error)}`);
    }
    release(id, attempt);
  }

  return {
    handle(message) {
      const failed = (error: unknown): void => {
        if (!("attempt" in message)) return;
        if (attempts.has(message.attempt)) close(message.attempt, String(error));
        else post({ t: "rtc-closed", attempt: message.attempt, reason: String(error) }); // it never began
      };
      switch (message.t) {
        case "rtc-dial": return void dial(message.attempt, message.ice).catch(failed);
        case "rtc-accept": return void accept(message.attempt, message.description, message.ice).catch(failed);
        case "rtc-signal": return void signal(message.attempt, message).catch(failed);
        case "rtc-data": return send(message.attempt, message.bytes);
        case "rtc-close": return close(message.attempt, "", true);
      }
    },
    closeAll() {
      for (const id of [...attempts.keys()]) close(id, "", true);
    },
  };
}
