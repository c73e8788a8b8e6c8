// A third party behind the gateway: the public npm `oidc-provider` with rotating refresh tokens, registration and revocation, and an MCP server
// that takes its tokens and no others.
//
//   node third_party.cjs PROVIDER-PORT SERVER-PORT REDIRECT-URI
//
// `shared` is a client that was written down by hand with REDIRECT-URI; others register. Access tokens live 20 seconds. The server asks the provider
// whose a token is (RFC 7662). NODE_PACKAGES names the folder with oidc-provider.
"use strict";
const http = require("node:http");
const path = require("node:path");
const { generateKeyPairSync } = require("node:crypto");
const { pathToFileURL } = require("node:url");

const SCOPES = "openid offline_access read";

function provider(Provider, issuer, redirect) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const known = (id, more) => ({ client_id: id, client_secret: `secret-of-${id}`, redirect_uris: [], response_types: [], grant_types: [], ...more });
  return new Provider(issuer, {
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "key-1", use: "sig", alg: "RS256" }] },
    clients: [
      known("server"),
      known("shared", { redirect_uris: [redirect], response_types: ["code"], grant_types: ["authorization_code", "refresh_token"], application_type: "native" }),
    ],
    scopes: SCOPES.split(" "),
    cookies: { keys: ["words of a test"] },
    features: {
      devInteractions: { enabled: true },
      registration: { enabled: true },
      revocation: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({ scope: SCOPES, accessTokenFormat: "opaque", accessTokenTTL: 20 }),
      },
    },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: () => true,
    ttl: { AccessToken: 20, Grant: 3600, Session: 3600, Interaction: 600, IdToken: 300, RefreshToken: 3600, AuthorizationCode: 60 },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  });
}

async function whose(issuer, token) {
  const answer = await fetch(`${issuer}/token/introspection`, {
    method: "POST",
    headers: { authorization: `Basic ${Buffer.from("server:secret-of-server").toString("base64")}`, "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ token }),
  });
  const said = await answer.json();
  return said.active ? said : undefined;
}

function protect(issuer, port) {
  const url = `http://127.0.0.1:${port}/mcp`;
  const seen = [];
  const reply = (response, status, content, more = {}) => {
    response.writeHead(status, { "content-type": "application/json", ...more });
    response.end(content === undefined ? "" : JSON.stringify(content));
  };
  const answer = (message, account) => {
    const { method, params } = message;
    if (method === "initialize") {
      return { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "third", version: "1.0.0" } };
    }
    if (method === "tools/list") {
      return { tools: [{ name: "whoami", description: "Whose account this is", inputSchema: { type: "object" }, annotations: { readOnlyHint: true } }] };
    }
    if (method === "tools/call") return { content: [{ type: "text", text: `account ${account}` }] };
    return method === "ping" ? {} : undefined;
  };
  const server = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url, url);
    if (pathname === "/.well-known/oauth-protected-resource/mcp") {
      return reply(response, 200, { resource: url, authorization_servers: [issuer], scopes_supported: ["read"] });
    }
    if (pathname === "/seen") return reply(response, 200, seen);
    const bearer = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "")?.[1];
    const known = bearer && (await whose(issuer, bearer));
    if (!known) {
      const challenge = `Bearer resource_metadata="http://127.0.0.1:${port}/.well-known/oauth-protected-resource/mcp"`;
      return reply(response, 401, { error: "invalid_token" }, { "www-authenticate": challenge });
    }
    let body = "";
    for await (const piece of request) body += piece;
    if (request.method !== "POST") return reply(response, 405);
    const message = JSON.parse(body);
    if (message.id === undefined) return reply(response, 202);
    if (message.method === "tools/call") seen.push({ account: known.sub, client: known.client_id });
    const result = answer(message, known.sub);
    const more = result ? { result } : { error: { code: -32601, message: "no such method" } };
    return reply(response, 200, { jsonrpc: "2.0", id: message.id, ...more });
  });
  return new Promise((done) => server.listen(Number(port), "127.0.0.1", done));
}

async function main([providerPort, serverPort, redirect]) {
  const entry = path.join(process.env.NODE_PACKAGES, "node_modules", "oidc-provider", "lib", "index.js");
  const { Provider } = await import(pathToFileURL(entry).href);
  const issuer = `http://127.0.0.1:${providerPort}`;
  const made = provider(Provider, issuer, redirect);
  await new Promise((done) => made.listen(Number(providerPort), "127.0.0.1", done));
  await protect(issuer, serverPort);
  console.log("listening");
}

main(process.argv.slice(2)).catch((error) => {
  console.error(String(error.stack ?? error));
  process.exit(1);
});
