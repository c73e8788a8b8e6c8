// Drives npm `@modelcontextprotocol/sdk` (1.x, legacy only): URL KEY_FILE ERA TOOL ARGUMENTS -> one JSON line. NODE_PACKAGES names its folder.
const { readFileSync } = require('node:fs');
const packages = require('node:module').createRequire(`${process.env.NODE_PACKAGES}/here.cjs`);
const { Client } = packages('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = packages('@modelcontextprotocol/sdk/client/streamableHttp.js');

async function drive(url, keyFile, era, tool, args) {
  if (era !== 'legacy') throw new Error('this client speaks the earlier revisions only');
  const headers = keyFile === '-' ? {} : { Authorization: `Bearer ${readFileSync(keyFile, 'utf8').trim()}` };
  const client = new Client({ name: 'node-sdk', version: '1' });
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
  await client.connect(transport);
  try {
    const { tools } = await client.listTools();
    const result = await client.callTool({ name: tool, arguments: args });
    await transport.terminateSession();
    return { tools: tools.length, ok: !result.isError, error: result.isError ? JSON.stringify(result.content) : null };
  } finally {
    await client.close();
  }
}

const [url, keyFile, era, tool, args] = process.argv.slice(2);
const late = new Promise((_, reject) => setTimeout(() => reject(new Error('timeout')), 30000).unref());
Promise.race([drive(url, keyFile, era, tool, JSON.parse(args)), late])
  .catch((error) => ({ tools: 0, ok: false, error: String(error).slice(0, 300) }))
  .then((report) => {
    console.log(JSON.stringify({ client: 'node-sdk', era, ...report }));
    process.exit(report.ok ? 0 : 1);
  });
