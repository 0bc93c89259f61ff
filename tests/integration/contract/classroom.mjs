// The classic routes with --classroom: people without a session, under a name that has no account.
const post = (path) => (name, body, status, rest = {}) => ({ name: `${path}: ${name}`, as: "anonymous", method: "POST", path, body, status, ...rest });
const submit = post("/submit-info"), join = post("/join-channel"), leave = post("/leave-channel");
const messages = post("/get-channel-messages"), send = post("/send-channel-message"), create = post("/create-channel");
const offer = post("/register-peer-pool"), verify = post("/verify-ticket");
const room = "contract";
const error = (json) => json.status === "error" && json.message.length > 0;
const names = (json) => json.messages.members.map(({ username }) => username);
const login = (rest) => ({ name: "a login claims a peer of the pool", as: "anonymous", method: "POST", path: "/login", body: (world) => ({ username: "user", password: world.password }), ...rest });

export const args = ["--classroom"];

export const rows = [
  // --- a name without an account ---
  submit("a name, or a login", { ip: "127.0.0.1", port: "5001" }, 401, { check: (json) => json.status === "failure" }),
  submit("a name that can be one", { ip: "127.0.0.1", port: "5001", username: "no spaces" }, 400),
  ...["user", "USER", "us\u0435r"].map((username) => submit(`no account's name: ${username}`, { ip: "127.0.0.1", port: "5001", username }, 401)),
  submit("a guest's peer", { ip: "127.0.0.1", port: "5001", username: "visitor" }, 200),
  submit("another name for it", { ip: "127.0.0.1", port: "5001", username: "visitor2" }, 200),
  { name: "/get-list: anybody reads it", as: "anonymous", path: "/get-list", status: 200, check: (json) => json.length === 1 && json[0].username === "visitor2" && json[0].isUsed === 1 },
  { name: "/get-all-channels: the five of the courses", as: "anonymous", path: "/get-all-channels", status: 200, check: (json) => ["general", "random", "project", "help", "announcements"].every((name) => json.channels.includes(name)) && json.channels[0] === "general" },
  { name: "/session: a guest has none", as: "anonymous", path: "/session", status: 401 },
  create("not by guests", { channel_name: "mine", username: "visitor2" }, 401, { check: error }),

  // --- in channels ---
  join("not under an account's name", { channel_name: "general", peer_ip: "127.0.0.1", peer_port: "5001", username: "other" }, 401, { check: error }),
  join("a guest", { channel_name: "general", peer_ip: "127.0.0.1", peer_port: "5001", username: "visitor2" }, 200),
  join("one that people have made", { channel_name: room, peer_ip: "127.0.0.1", peer_port: "5001", username: "visitor2" }, 200),
  join("only what there is", { channel_name: "nothing", username: "visitor2" }, 404, { check: (json) => json.message === "Channel not found" }),
  messages("who is there", { channel_name: room }, 200, { check: (json) => names(json).includes("visitor2") && !names(json).includes("guest") }),
  send("a name is needed", { channel_name: room, message: "hello" }, 401, { check: error }),
  send("not an account's", { channel_name: room, message: "I am the owner", username: "owner" }, 401, { check: error }),
  send("nor that of the account for guests", { channel_name: room, message: "I am guest", username: "guest" }, 401, { check: error }),
  send("a guest speaks", { channel_name: room, message: "hello from a guest", username: "visitor2" }, 200, { check: (json) => /^[0-9a-f]{64}$/.test(json.id) }),
  { name: "who has logged in speaks as always", as: "member", method: "POST", path: "/send-channel-message", body: { channel_name: room, message: "hello from a member" }, status: 200 },
  { name: "... and not under a guest's name", as: "member", method: "POST", path: "/send-channel-message", body: { channel_name: room, message: "x", username: "visitor2" }, status: 403 },
  messages("both can be told apart", { channel_name: room }, 200, {
    check: (json) => {
      const [guest, member] = json.messages.messages;
      return guest.username === "visitor2" && guest.guest === true && guest.sender_port === "5001" && member.username === "member" && member.guest === false && member.sender_port === "";
    },
  }),
  { name: "guests are banned together", as: "owner", call: "channel-ban", body: (world) => ({ channel: world.room, account: "guest" }), status: 200 },
  send("then no guest speaks there", { channel_name: room, message: "me again", username: "another" }, 403, { check: error }),
  join("nor comes in", { channel_name: room, username: "another" }, 403, { check: error }),
  send("but elsewhere", { channel_name: "random", message: "here then", username: "another" }, 200),
  leave("a guest goes", { channel_name: "general", peer_ip: "127.0.0.1", peer_port: "5001", username: "visitor2" }, 200),
  messages("and is gone", { channel_name: "general" }, 200, { check: (json) => !names(json).includes("visitor2") }),

  // --- nobody logs in as guest ---
  ...["", "guest", "password"].map((password) => ({ name: `no password is that of guest: ${JSON.stringify(password)}`, as: "anonymous", method: "POST", path: "/login", body: { username: "guest", password }, status: 401 })),
  { name: "nobody registers as guest", as: "anonymous", method: "POST", path: "/register", body: (world) => ({ username: "guest", password: world.password }), status: 409 },

  // --- the pool is open, and tells less ---
  offer("no secret is needed", { ip: "127.0.0.1", port: "7001", username: "peer" }, 200),
  offer("a wrong one is wrong", { ip: "127.0.0.1", port: "7003", username: "peer", secret: "x".repeat(64) }, 403, { check: error }),
  offer("twice is not", { ip: "127.0.0.1", port: "7001", username: "peer" }, 409, { check: error }),
  login({ status: 200, check: (json) => json.redirect.startsWith("http://127.0.0.1:7001/?ticket="), keep: (json, world) => (world.keep.ticket = json.redirect.slice(-64)) }),
  verify("the name, and no session", (world) => ({ ticket: world.keep.ticket }), 200, { check: (json) => json.username === "user" && !("session" in json) }),
  verify("once", (world) => ({ ticket: world.keep.ticket }), 401, { check: error }),
];
