// The public TypeScript client as a machine: `machine_typescript.mjs ISSUER DIR SECRET_FILE` calls a tool, once with a secret and once with
// assertions that it signs. Run where @modelcontextprotocol/client is installed.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const { Client, ClientCredentialsProvider, PrivateKeyJwtProvider, StreamableHTTPClientTransport } =
  await import(pathToFileURL(createRequire(`${process.cwd()}/`).resolve('@modelcontextprotocol/client')));
const [issuer, directory, secret] = process.argv.slice(2);

async function calls(name, authProvider) {
  const client = new Client({ name: 'machine', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${issuer}/s/conf/mcp`), { authProvider }));
  const { tools } = await client.listTools();
  const result = await client.callTool({ name: 'test_simple_text', arguments: {} });
  await client.close();
  if (result.isError || result.content.length === 0) throw new Error(`${name}: ${JSON.stringify(result)}`);
  console.log(`typescript, ${name}: ${tools.length} tools, called one`);
}

await calls('secret', new ClientCredentialsProvider({ clientId: 'nightly', clientSecret: readFileSync(secret, 'utf8'), expectedIssuer: issuer }));
const privateKey = readFileSync(`${directory}/signer.pem`, 'utf8');
await calls('assertion', new PrivateKeyJwtProvider({ clientId: 'signer', privateKey, algorithm: 'ES256', expectedIssuer: issuer }));
