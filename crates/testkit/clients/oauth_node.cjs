// The official TypeScript clients, unmodified: `client` (2.4, 2026-07-28) and `sdk` (1.32, sessions).
//
//   node oauth_node.cjs client|sdk URL    one step for each word on standard input: connect, refresh, more, again; each answers with one line of JSON
"use strict";
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const readline = require("node:readline");
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

// The package does not export its description.
function about(which) {
  const file = path.join(process.env.NODE_PACKAGES, "node_modules", "@modelcontextprotocol", which, "package.json");
  return JSON.parse(fs.readFileSync(file, "utf8"));
}

async function main([which, url]) {
  const { Client, Transport, Unauthorized } = load(which);
  const arrived = [];
  let wake = () => {};
  const server = http.createServer((request, response) => {
    const address = new URL(request.url, "http://127.0.0.1");
    if (address.pathname === "/callback") arrived.push(address.searchParams);
    wake();
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
    invalidateCredentials: (what) => {
      if (what === "all" || what === "client") delete kept.client;
      if (what === "all" || what === "tokens") delete kept.tokens;
    },
    redirectToAuthorization: (address) => void spawn(process.env.BROWSER, [address.toString()], { stdio: "ignore" }),
  };
  const open = async () => {
    const transport = new Transport(new URL(url), { authProvider: provider });
    const client = new Client({ name: "oauth", version: "1" }, which === "client" ? { versionNegotiation: { mode: "auto" } } : {});
    try {
      await client.connect(transport);
      return client;
    } catch (error) {
      if (!(error instanceof Unauthorized) && error.name !== "UnauthorizedError") throw error;
      await client.close().catch(() => {});
      return undefined;
    }
  };
  const answered = async (transport) => {
    if (arrived.length === 0) await new Promise((resolve) => (wake = resolve));
    const back = arrived.shift();
    if (back.get("state") !== "state-of-the-client") throw new Error(`state: ${back}`);
    await (which === "client" ? transport.finishAuth(back) : transport.finishAuth(back.get("code")));
  };
  // A call that needs more than was allowed: the client asks for it by itself, where it can.
  const more = async () => {
    const call = { name: "delete_note", arguments: { id: which === "client" ? "1" : "2" } };
    let client = await open();
    try {
      await client.callTool(call);
      throw new Error("it was allowed from the beginning");
    } catch (error) {
      if (!(error instanceof Unauthorized) && error.name !== "UnauthorizedError") throw error;
    } finally {
      await client.close().catch(() => {});
    }
    await answered(new Transport(new URL(url), { authProvider: provider }));
    client = await open();
    const result = await client.callTool(call);
    await client.close();
    const text = result.content[0].text;
    return { text: text.endsWith(" is gone.") ? "through the front office" : text };
  };
  const step = async (word) => {
    if (word === "more") return more();
    if (word === "refresh") {
      const token = kept.tokens.access_token;
      kept.tokens = { ...kept.tokens, access_token: token.slice(0, -4) + (token.endsWith("AAAA") ? "BBBB" : "AAAA") };
    }
    let client = await open();
    if (client === undefined) {
      await answered(new Transport(new URL(url), { authProvider: provider }));
      client = await open();
      if (client === undefined) throw new Error("it has a token, and is turned away");
    }
    const tools = (await client.listTools()).tools;
    const result = await client.callTool({ name: "echo", arguments: { text: "through the front office" } });
    await client.close();
    return { version: about(which).version, tools: tools.length, text: result.content[0].text };
  };
  for await (const word of readline.createInterface({ input: process.stdin })) {
    let answer;
    try {
      answer = await step(word);
    } catch (error) {
      answer = { error: `${error.name}: ${error.message}` };
    }
    console.log(JSON.stringify(answer));
  }
  process.exit(0);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
