// Node.js 18, Debian 12's own, has the browser's `crypto` only under another name; libsodium asks for it.
globalThis.crypto ??= require("node:crypto").webcrypto;
