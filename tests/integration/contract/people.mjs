// Friends, blocking, devices: who may call, and what is answered to what.
const person = ["user", "other", "moderator", "admin"];
const everyCall = ["friends", "friend-ask", "friend-accept", "friend-decline", "friend-remove", "block", "unblock", "devices-of"];
const naming = everyCall.filter((call) => call !== "friends");

export const rows = [
  ...everyCall.map((call) => ({ name: `${call} needs a login`, as: "anonymous", call, body: { account: "other" }, status: 401 })),
  ...naming.map((call) => ({ name: `${call} needs the name of an account`, as: "user", call, body: {}, status: 400 })),
  ...naming.map((call) => ({ name: `${call} takes no name that cannot be one`, as: "user", call, body: { account: "no spaces" }, status: 400 })),
  ...naming.map((call) => ({ name: `${call} of somebody who is not there`, as: "user", call, body: { account: "nobody-of-this-name" }, status: 404 })),
  ...person.map((as) => ({ name: `the friends of ${as}`, as, call: "friends", body: {}, status: 200, check: (body) => Array.isArray(body.friends) })),
  { name: "a request has a line of at most 140 letters", as: "user", call: "friend-ask", body: { account: "other", line: "x".repeat(141) }, status: 400 },
  { name: "nobody is one's own friend", as: "user", call: "friend-ask", body: { account: "user" }, status: 404 },
  { name: "nobody blocks oneself", as: "user", call: "block", body: { account: "user" }, status: 404 },
  { name: "there is nothing to accept", as: "user", call: "friend-accept", body: { account: "moderator" }, status: 404 },
  { name: "there is nothing to decline", as: "user", call: "friend-decline", body: { account: "moderator" }, status: 404 },
  { name: "there is nobody to remove", as: "user", call: "friend-remove", body: { account: "moderator" }, status: 404 },
  { name: "a request is kept", as: "user", call: "friend-ask", body: { account: "other", line: "hello" }, status: 200, check: (body) => body.state === "asked" },
  { name: "asked again it is the same request", as: "user", call: "friend-ask", body: { account: "other" }, status: 200, check: (body) => body.state === "asked" },
  { name: "the other one is asked", as: "other", call: "friends", body: {}, status: 200, check: (body) => body.friends.some(({ account, state, line }) => account === "user" && state === "asking" && line === "hello") },
  { name: "only who was asked accepts", as: "moderator", call: "friend-accept", body: { account: "user" }, status: 404 },
  { name: "nor does the one who asked", as: "user", call: "friend-accept", body: { account: "other" }, status: 404 },
  { name: "the one who was asked accepts", as: "other", call: "friend-accept", body: { account: "user" }, status: 200, check: (body) => body.state === "friend" },
  { name: "friends are not asked again", as: "user", call: "friend-ask", body: { account: "other" }, status: 409 },
  { name: "a friend is removed", as: "user", call: "friend-remove", body: { account: "other" }, status: 200, check: (body) => body.state === "none" },
  { name: "blocking", as: "user", call: "block", body: { account: "other" }, status: 200, check: (body) => body.state === "blocked" },
  { name: "who is blocked may ask, and waits", as: "other", call: "friend-ask", body: { account: "user" }, status: 200, check: (body) => body.state === "asked" },
  { name: "whom one has blocked one does not ask", as: "user", call: "friend-ask", body: { account: "other" }, status: 409 },
  { name: "nor accept", as: "user", call: "friend-accept", body: { account: "other" }, status: 404 },
  { name: "unblocking", as: "user", call: "unblock", body: { account: "other" }, status: 200, check: (body) => body.state === "none" },
  { name: "only once", as: "user", call: "unblock", body: { account: "other" }, status: 404 },
  { name: "then the request is there", as: "user", call: "friend-decline", body: { account: "other" }, status: 200, check: (body) => body.state === "none" },
  { name: "devices of an account", as: "user", call: "devices-of", body: { account: "other" }, status: 200, check: (body) => Array.isArray(body.devices) && body.more === false },
  { name: "after a device", as: "user", call: "devices-of", body: { account: "other", after: "f".repeat(64) }, status: 200, check: (body) => body.devices.length === 0 },
  { name: "after no device", as: "user", call: "devices-of", body: { account: "other", after: "x" }, status: 400 },
];
