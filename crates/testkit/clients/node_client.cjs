// Drives npm `@modelcontextprotocol/client`: URL KEY_FILE ERA TOOL ARGUMENTS -> one JSON line. NODE_PACKAGES names the folder that has it installed.
const { readFileSync } = require('node:fs');
const packages = require('node:module').createRequire(`${process.env.NODE_PACKAGES}/here.cjs`);
const { Client, StreamableHTTPClientTransport } = packages('@modelcontextprotocol/client');

async function drive(url, keyFile, era, tool, args) {
  const mode = { legacy: 'legacy', modern: { pin: '2026-07-28' }, auto: 'auto' }[era];
  const headers = keyFile === '-' ? {} : { Authorization: `Bearer ${readFileSync(keyFile, 'utf8').trim()}` };
  const client = new Client({ name: 'node-client', version: '1' }, { versionNegotiation: { mode } });
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  try {
    const { tools } = await client.listTools();
    const result = await client.callTool({ name: tool, arguments: args });
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
    console.log(JSON.stringify({ client: 'node-client', era, ...report }));
    process.exit(report.ok ? 0 : 1);
  });
