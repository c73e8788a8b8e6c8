// The official TypeScript clients, unmodified: `client` (2.4, 2026-07-28) and `sdk` (1.32, sessions).
//
//   node oauth_node.cjs client|sdk URL BROWSER...     BROWSER is the command that opens an address, which is added to it
"use strict";
const http = require("node:http");
const { spawn } = require("node:child_process");
const packages = require("node:module").createRequire(`${process.env.NODE_PACKAGES}/here.cjs`);

function load(which) {
  if (which === "client") {
    const { Client, StreamableHTTPClientTransport, UnauthorizedError } = packages("@modelcontextprotocol/client");
    return { Client, Transport: StreamableHTTPClientTransport, Unauthorized: UnauthorizedError };
  }
  const { Client } = packages("@modelcontextprotocol/sdk/client/index.js");
  const { StreamableHTTPClientTransport } = packages("@modelcontextprotocol/sdk/client/streamableHttp.js");
  const { UnauthorizedError } = packages("@modelcontextprotocol/sdk/client/auth.js");
  return { Client, Transport: StreamableHTTPClientTransport, Unauthorized: UnauthorizedError };
}

async function main([which, url, ...browser]) {
  const { Client, Transport, Unauthorized } = load(which);
  let answered;
  const answer = new Promise((resolve) => (answered = resolve));
  const server = http.createServer((request, response) => {
    const address = new URL(request.url, "http://127.0.0.1");
    if (address.pathname === "/callback") answered(address.searchParams);
    response.end("ok");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const redirect = `http://127.0.0.1:${server.address().port}/callback`;
  const kept = {};
  const provider = {
    redirectUrl: redirect,
    clientMetadata: { client_name: `TypeScript ${which}`, redirect_uris: [redirect], token_endpoint_auth_method: "none", grant_types: ["authorization_code", "refresh_token"], response_types: ["code"] },
    state: () => "state-of-the-client",
    clientInformation: () => kept.client,
    saveClientInformation: (client) => (kept.client = client),
    tokens: () => kept.tokens,
    saveTokens: (tokens) => (kept.tokens = tokens),
    saveCodeVerifier: (verifier) => (kept.verifier = verifier),
    codeVerifier: () => kept.verifier,
    redirectToAuthorization: (address) => {
      spawn(browser[0], [...browser.slice(1), address.toString()], { stdio: "inherit" }).on("exit", (code) => code && process.exit(code));
    },
  };
  const info = { name: "oauth", version: "1" };
  let transport = new Transport(new URL(url), { authProvider: provider });
  let client = new Client(info, which === "client" ? { versionNegotiation: { mode: "auto" } } : {});
  try {
    await client.connect(transport);
    throw new Error("it let a stranger in");
  } catch (error) {
    if (!(error instanceof Unauthorized) && error.name !== "UnauthorizedError") throw error;
  }
  const back = await answer;
  if (back.get("state") !== "state-of-the-client") throw new Error(`state: ${back}`);
  await (which === "client" ? transport.finishAuth(back) : transport.finishAuth(back.get("code")));
  transport = new Transport(new URL(url), { authProvider: provider });
  client = new Client(info, which === "client" ? { versionNegotiation: { mode: "auto" } } : {});
  await client.connect(transport);
  const tools = (await client.listTools()).tools;
  const result = await client.callTool({ name: "echo", arguments: { text: "through the front office" } });
  const text = result.content[0].text;
  if (!text.includes("through the front office") || !kept.tokens.refresh_token) throw new Error(`not what was expected: ${text}`);
  // The token is thrown away: the client refreshes by itself.
  const before = kept.tokens.access_token;
  kept.tokens = { ...kept.tokens, access_token: `${before.slice(0, -1)}${before.endsWith("A") ? "B" : "A"}` };
  await client.callTool({ name: "echo", arguments: { text: "again" } });
  if (kept.tokens.access_token === before) throw new Error("it did not refresh");
  await client.close();
  server.close();
  console.log(`TypeScript ${which}: ${tools.length} tools, echo says ${JSON.stringify(text)}, scope ${JSON.stringify(kept.tokens.scope)}, refreshed`);
  process.exit(0);
}

setTimeout(() => { console.error("took too long"); process.exit(1); }, 90000).unref();
main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
