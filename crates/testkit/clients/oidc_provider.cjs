// The public npm `oidc-provider`, as an organisation runs one: a confidential client, people with groups, sign-in on its own pages.
//
//   node oidc_provider.cjs PORT REDIRECT-URI [KEY-ID [ISSUER]] [-- PORT REDIRECT-URI [KEY-ID [ISSUER]]]...
//
// Whoever signs in as NAME has the address NAME@acme.example and the group staff. Each start makes a new key, unless KEY_FILE names a file
// where one is kept. ISSUER is where the world sees it, when that is not here. ID_TOKEN_LIFE: seconds, for those who want short ones.
// NODE_PACKAGES names the folder with oidc-provider.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { generateKeyPairSync } = require("node:crypto");
const { pathToFileURL } = require("node:url");

function key(kid) {
  const file = process.env.KEY_FILE;
  if (file && fs.existsSync(file)) return JSON.parse(fs.readFileSync(file, "utf8"));
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const made = { ...privateKey.export({ format: "jwk" }), kid, use: "sig", alg: "RS256" };
  if (file) fs.writeFileSync(file, JSON.stringify(made), { mode: 0o600 });
  return made;
}

function serve(Provider, [port, redirect, kid = "key-1", issuer = `http://127.0.0.1:${port}`]) {
  const life = process.env.ID_TOKEN_LIFE;
  const provider = new Provider(issuer, {
    jwks: { keys: [key(kid)] },
    clients: [{ client_id: "doorward", client_secret: "secret-of-the-gateway", redirect_uris: [redirect] }],
    claims: { openid: ["sub", "groups"], email: ["email", "email_verified"], profile: ["name"] },
    // In the ID token, as most organisations have it.
    conformIdTokenClaims: false,
    cookies: { keys: ["words of a test"] },
    features: { devInteractions: { enabled: true } },
    pkce: { required: () => true },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, groups: ["staff"], email: `${id}@acme.example`, email_verified: true, name: id }),
    }),
    ...(life ? { ttl: { IdToken: Number(life) } } : {}),
  });
  return new Promise((done) => provider.listen(Number(port), "127.0.0.1", () => done(`listening 127.0.0.1:${port}`)));
}

async function main(words) {
  const entry = path.join(process.env.NODE_PACKAGES, "node_modules", "oidc-provider", "lib", "index.js");
  const { Provider } = await import(pathToFileURL(entry).href);
  const all = words.join("\n").split("\n--\n").map((one) => one.split("\n"));
  const listening = [];
  for (const one of all) listening.push(await serve(Provider, one));
  console.log(listening.join("\n"));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(String(error.stack ?? error));
  process.exit(1);
});
