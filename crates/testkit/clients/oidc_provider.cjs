// The public npm `oidc-provider`, as an organisation runs one: a confidential client, people with groups, sign-in on its own pages.
//
//   node oidc_provider.cjs PORT REDIRECT-URI [KEY-ID]
//
// Whoever signs in as NAME has the address NAME@acme.example and the group staff. Each start makes a new key. NODE_PACKAGES names the
// folder with oidc-provider.
"use strict";
const path = require("node:path");
const { generateKeyPairSync } = require("node:crypto");
const { pathToFileURL } = require("node:url");

async function main([port, redirect, kid = "key-1"]) {
  const entry = path.join(process.env.NODE_PACKAGES, "node_modules", "oidc-provider", "lib", "index.js");
  const { Provider } = await import(pathToFileURL(entry).href);
  const issuer = `http://127.0.0.1:${port}`;
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid, use: "sig", alg: "RS256" }] },
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
  });
  provider.listen(Number(port), "127.0.0.1", () => console.log(`listening 127.0.0.1:${port}`));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(String(error.stack ?? error));
  process.exit(1);
});
