// Stands before a real identity provider and changes what it says: what came back from it is genuine, up to one thing.
//
//   node hostile_provider.cjs CONTROL KEY-FILE PORT BACKEND [PORT BACKEND]...
//
// Everything that comes to PORT goes to BACKEND with the same `Host`, so that the provider means itself by PORT. How a port answers is said at
// `http://127.0.0.1:CONTROL/PORT/HOW` (POST), `honest` at first; `/asked` (GET) says how often somebody went where a redirect of a token
// endpoint led. KEY-FILE is the key of the provider: some of this only somebody does who has it.
"use strict";
const fs = require("node:fs");
const http = require("node:http");
const { createPrivateKey, createPublicKey, createHmac, createSign } = require("node:crypto");

const EVIL = "https://evil.example";
const DISCOVERY = "/.well-known/openid-configuration", KEYS = "/jwks", TOKEN = "/token";
const [control, keyFile, ...places] = process.argv.slice(2);
const jwk = () => JSON.parse(fs.readFileSync(keyFile, "utf8"));
const how = new Map();
/** The last genuine answer of the token endpoint of a port, to be sent again. */
const last = new Map();
let trapped = 0;

const b64 = (value) => Buffer.from(value).toString("base64url");
const opened = (token) => token.split(".").slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url").toString()));
const rs256 = (message) => createSign("RSA-SHA256").update(message).sign(createPrivateKey({ key: jwk(), format: "jwk" })).toString("base64url");
/** The same token of the same provider, with something else in it. */
function signed(token, claims) {
  const [header, body] = opened(token);
  const text = typeof claims === "string" ? claims : JSON.stringify({ ...body, ...claims });
  const message = `${b64(JSON.stringify(header))}.${b64(text)}`;
  return `${message}.${rs256(message)}`;
}
/** The member once more, with another value, before or behind the genuine one. */
const twice = (text, name, value) => text.replace(/\}\s*$/, `,${JSON.stringify(name)}:${JSON.stringify(value)}}`);
const answer = (body, more = {}) => ({ status: 200, type: "application/json", body, ...more });
const page = answer("<!doctype html><title>Maintenance</title><p>We will be back.", { type: "text/html" });
const endless = { endless: true };
const elsewhere = (status, location) => ({ status, type: "text/plain", body: "moved", location });
const inside = (change) => (text) => {
  const whole = JSON.parse(text);
  return answer(JSON.stringify({ ...whole, id_token: change(whole.id_token) }));
};

/** By the way of answering: where, and what becomes of the genuine text. */
const WAYS = {
  "discovery-issuer": [DISCOVERY, (text) => answer(JSON.stringify({ ...JSON.parse(text), issuer: EVIL }))],
  "discovery-twice": [DISCOVERY, (text) => answer(twice(text, "token_endpoint", `${EVIL}/token`))],
  "discovery-page": [DISCOVERY, () => page],
  "discovery-endless": [DISCOVERY, () => endless],
  "discovery-redirect": [DISCOVERY, () => elsewhere(302, `http://127.0.0.1:${control}/trap`)],
  "keys-private": [KEYS, () => answer(JSON.stringify({ keys: [jwk()] }))],
  "keys-twice": [KEYS, (text) => answer(twice(text, "keys", []))],
  "keys-page": [KEYS, () => page],
  "token-issuer": [TOKEN, inside((token) => signed(token, { iss: EVIL }))],
  "token-audience": [TOKEN, inside((token) => signed(token, { aud: "another-client" }))],
  "token-nonce": [TOKEN, (_, port) => answer(last.get(port))],
  "token-signature": [TOKEN, inside((token) => {
    const [header, , signature] = token.split(".");
    return `${header}.${b64(JSON.stringify({ ...opened(token)[1], sub: "root" }))}.${signature}`;
  })],
  "token-none": [TOKEN, inside((token) => `${b64(JSON.stringify({ ...opened(token)[0], alg: "none" }))}.${token.split(".")[1]}.`)],
  "token-hmac": [TOKEN, inside((token) => {
    const message = `${b64(JSON.stringify({ ...opened(token)[0], alg: "HS256" }))}.${token.split(".")[1]}`;
    const open = createPublicKey(createPrivateKey({ key: jwk(), format: "jwk" })).export({ type: "spki", format: "pem" });
    return `${message}.${createHmac("sha256", open).update(message).digest("base64url")}`;
  })],
  "token-claims-twice": [TOKEN, inside((token) => signed(token, twice(JSON.stringify(opened(token)[1]), "sub", "root")))],
  "token-twice": [TOKEN, (text) => answer(twice(text, "id_token", JSON.parse(text).id_token))],
  "token-page": [TOKEN, () => page],
  "token-endless": [TOKEN, () => endless],
  "token-redirect": [TOKEN, () => elsewhere(307, `http://127.0.0.1:${control}/trap`)],
};

function send(response, { status, type, body, location, endless: isEndless }) {
  if (!isEndless) {
    response.writeHead(status, { "content-type": type, ...(location ? { location } : {}) });
    response.end(body);
    return;
  }
  response.writeHead(200, { "content-type": "application/json" });
  const more = () => {
    while (!response.destroyed && response.write(`"${"a".repeat(16_000)}",`));
  };
  response.on("drain", more);
  response.on("error", () => {});
  response.write("[");
  more();
}

function passing(port, backend) {
  how.set(port, "honest");
  const server = http.createServer((request, response) => {
    const onward = http.request(
      { host: "127.0.0.1", port: backend, method: request.method, path: request.url, headers: request.headers, agent: false },
      (genuine) => {
        const [where, change] = WAYS[how.get(port)] ?? [];
        const at = new URL(request.url, "http://here").pathname;
        if (at !== where && at !== TOKEN) {
          response.writeHead(genuine.statusCode, genuine.rawHeaders);
          genuine.pipe(response);
          return;
        }
        const parts = [];
        genuine.on("data", (part) => parts.push(part));
        genuine.on("end", () => {
          const text = Buffer.concat(parts).toString();
          // What the provider refuses stays refused: it is its genuine answers that are changed.
          if (genuine.statusCode !== 200) return send(response, { status: genuine.statusCode, type: genuine.headers["content-type"], body: text });
          const before = last.get(port);
          if (at === TOKEN) last.set(port, how.get(port) === "token-nonce" ? before : text);
          send(response, at === where ? change(text, port) : answer(text));
        });
      },
    );
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  });
  return new Promise((done) => server.listen(Number(port), "127.0.0.1", done));
}

async function main() {
  for (let at = 0; at < places.length; at += 2) await passing(places[at], places[at + 1]);
  const server = http.createServer((request, response) => {
    const [, port, way] = request.url.split("/");
    if (port === "trap") trapped += 1;
    const known = way === "honest" || Object.hasOwn(WAYS, way ?? "");
    if (request.method === "POST" && known && how.has(port)) how.set(port, way);
    else if (port !== "asked" && port !== "trap") return send(response, { status: 404, type: "text/plain", body: "no such way" });
    send(response, answer(JSON.stringify({ trapped })));
  });
  server.listen(Number(control), "127.0.0.1", () => console.log(`listening 127.0.0.1:${control}`));
}

main();
