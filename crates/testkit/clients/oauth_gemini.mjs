// The MCP client of Gemini CLI, unmodified, without its screen: `@google/gemini-cli-core` signs in as `/mcp auth` does, then connects.
//
//   node oauth_gemini.mjs URL connect|refresh|again    one step; the last line that it prints is JSON
//
// NODE_PACKAGES names the folder with the package. It keeps tokens in its own file below HOME, opens the browser itself, and asks on standard
// input whether it may: `y`.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const folder = path.join(process.env.NODE_PACKAGES, "node_modules", "@google", "gemini-cli-core");
const core = await import(pathToFileURL(path.join(folder, "dist", "index.js")).href);
const version = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8")).version;
const url = process.argv[2];
const settings = { httpUrl: url, oauth: { enabled: true }, timeout: 30000 };
const workspace = { getDirectories: () => [], onDirectoriesChanged: () => () => {} };
const context = { sanitizationConfig: {}, emitMcpDiagnostic: () => {}, isTrustedFolder: () => true };
const storage = new core.MCPOAuthTokenStorage();

async function step(word) {
  if (word === "connect") await new core.MCPOAuthProvider(storage).authenticate("demo", settings.oauth, url);
  if (word === "refresh") {
    const file = storage.getTokenFilePath();
    const kept = JSON.parse(fs.readFileSync(file, "utf8"));
    for (const one of kept) one.token.expiresAt = 1;
    fs.writeFileSync(file, JSON.stringify(kept));
  }
  const client = await core.connectToMcpServer(version, "demo", settings, false, workspace, context);
  const tools = (await client.listTools()).tools;
  const result = await client.callTool({ name: "echo", arguments: { text: "through the front office" } });
  await client.close();
  return { version, tools: tools.length, text: result.content[0].text };
}

let answer;
try {
  answer = await step(process.argv[3]);
} catch (error) {
  answer = { error: `${error.name}: ${error.message}` };
}
process.stdout.write(`\n${JSON.stringify(answer)}\n`);
process.exit(0);
