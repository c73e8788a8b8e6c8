// oauth4webapi, a strict client of somebody else's, against the front office: it refuses whatever is not as the RFCs have it.
//   strict_oauth.mjs ISSUER DIR SECRET_FILE VISIT...
// DIR holds signer.pem; VISIT is a command that opens an authorization request as a person, allows it and prints where the answer goes. Run where
// oauth4webapi and jose are installed.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import assert from 'node:assert/strict';

const require = createRequire(`${process.cwd()}/`);
const o = await import(pathToFileURL(require.resolve('oauth4webapi')));
const { importPKCS8 } = await import(pathToFileURL(require.resolve('jose')));
const [root, directory, secret, visitor, ...visit] = process.argv.slice(2);
const http = { [o.allowInsecureRequests]: true };
const resource = new URL(`${root}/s/conf/mcp`);
const checked = [];
const done = (what) => checked.push(what);

// Who guards the resource says so, in a challenge and in a document (RFC 9728).
const challenge = await o.protectedResourceRequest('nothing', 'POST', resource, undefined, undefined, http).then(
  () => assert.fail('let in'),
  (error) => error,
);
assert.ok(challenge instanceof o.WWWAuthenticateChallengeError, String(challenge));
const [{ scheme, parameters }] = challenge.cause;
assert.equal(scheme, 'bearer');
assert.equal(parameters.resource_metadata, `${root}/.well-known/oauth-protected-resource/s/conf/mcp`);
const guarded = await o.processResourceDiscoveryResponse(resource, await o.resourceDiscoveryRequest(resource, http));
const issuer = new URL(guarded.authorization_servers[0]);
done('resource metadata');

for (const algorithm of ['oauth2', 'oidc']) {
  const as = await o.processDiscoveryResponse(issuer, await o.discoveryRequest(issuer, { algorithm, ...http }));
  assert.deepEqual(as.code_challenge_methods_supported, ['S256']);
}
const as = await o.processDiscoveryResponse(issuer, await o.discoveryRequest(issuer, { algorithm: 'oauth2', ...http }));
done('server metadata');

const redirect_uri = 'http://127.0.0.1:61036/callback';
async function registered(method) {
  const metadata = { client_name: 'Strict', redirect_uris: [redirect_uri], token_endpoint_auth_method: method };
  return o.processDynamicClientRegistrationResponse(await o.dynamicClientRegistrationRequest(as, metadata, http));
}

async function throughAPerson(client, proof) {
  const verifier = o.generateRandomCodeVerifier();
  const state = o.generateRandomState();
  const request = new URL(as.authorization_endpoint);
  const query = { response_type: 'code', client_id: client.client_id, redirect_uri, state, resource: resource.href, scope: 'conf:read',
    code_challenge: await o.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' };
  for (const [name, value] of Object.entries(query)) request.searchParams.set(name, value);
  const answer = execFileSync(visitor, [visit[0], 'visit', new URL(root).host, request.href, ...visit.slice(1)], { encoding: 'utf8' }).trim();
  const callback = o.validateAuthResponse(as, client, new URL(answer), state);
  const code = await o.authorizationCodeGrantRequest(as, client, proof, callback, redirect_uri, verifier, http);
  const tokens = await o.processAuthorizationCodeResponse(as, client, code);
  assert.ok(tokens.refresh_token && tokens.expires_in > 0 && tokens.scope.includes('conf:read'));
  const next = await o.processRefreshTokenResponse(as, client, await o.refreshTokenGrantRequest(as, client, proof, tokens.refresh_token, http));
  assert.notEqual(next.refresh_token, tokens.refresh_token);
  return next;
}

async function revoked(client, proof, token) {
  await o.processRevocationResponse(await o.revocationRequest(as, client, proof, token, http));
}

// A public client: registration, PKCE, state and iss of the answer, code, rotation, revocation.
const publicly = await registered('none');
const tokens = await throughAPerson(publicly, o.None());
await revoked(publicly, o.None(), tokens.refresh_token);
const dead = await o.refreshTokenGrantRequest(as, publicly, o.None(), tokens.refresh_token, http);
await assert.rejects(o.processRefreshTokenResponse(as, publicly, dead), (error) => error instanceof o.ResponseBodyError && error.error === 'invalid_grant');
done('public client');

// Confidential ones: each way, and introspection of what they hold.
for (const [method, proof] of [['client_secret_basic', o.ClientSecretBasic], ['client_secret_post', o.ClientSecretPost]]) {
  const client = await registered(method);
  const shown = proof(client.client_secret);
  const held = await throughAPerson(client, shown);
  const told = await o.processIntrospectionResponse(as, client, await o.introspectionRequest(as, client, shown, held.access_token, http));
  assert.deepEqual([told.active, told.client_id, told.sub], [true, client.client_id, undefined]);
  await revoked(client, shown, held.access_token);
  const after = await o.processIntrospectionResponse(as, client, await o.introspectionRequest(as, client, shown, held.access_token, http));
  assert.equal(after.active, false);
  const refused = await o.clientCredentialsGrantRequest(as, client, shown, { resource: resource.href }, http);
  await assert.rejects(o.processClientCredentialsResponse(as, client, refused), (error) => error.error === 'unauthorized_client');
  done(method);
}

// A device: asked, polled, allowed or declined by a person elsewhere, fetched once.
const device = { client_id: 'doorward-cli' };
const person = (what, code) => execFileSync(visitor, [visit[0], what, new URL(root).host, code, ...visit.slice(1)]);
const poll = (code) => o.deviceCodeGrantRequest(as, device, o.None(), code, http).then((reply) => o.processDeviceCodeResponse(as, device, reply));
const refusal = (code, error) => assert.rejects(poll(code), (told) => told instanceof o.ResponseBodyError && told.error === error);
async function asked() {
  const wanted = { resource: resource.href, scope: 'conf:read' };
  const reply = await o.deviceAuthorizationRequest(as, device, o.None(), wanted, http);
  return o.processDeviceAuthorizationResponse(as, device, reply);
}
const [yes, no] = [await asked(), await asked()];
assert.equal(yes.verification_uri_complete, `${root}/device?user_code=${yes.user_code}`);
assert.deepEqual([yes.expires_in, yes.interval, yes.verification_uri], [600, 5, `${root}/device`]);
await refusal(yes.device_code, 'authorization_pending');
await refusal(yes.device_code, 'slow_down');
person('device', yes.user_code);
person('deny', no.user_code);
const fetched = await poll(yes.device_code);
assert.ok(fetched.refresh_token && fetched.expires_in > 0 && fetched.scope.includes('conf:read'));
// Whose answer was lost asks again, and is given the same (docs/adr/0023).
assert.equal((await poll(yes.device_code)).refresh_token, fetched.refresh_token);
await o.processRefreshTokenResponse(as, device, await o.refreshTokenGrantRequest(as, device, o.None(), fetched.refresh_token, http));
await refusal(no.device_code, 'access_denied');
done('device grant');

// Machines.
const key = await importPKCS8(readFileSync(`${directory}/signer.pem`, 'utf8'), 'ES256');
for (const [client_id, proof] of [['nightly', o.ClientSecretBasic(readFileSync(secret, 'utf8'))], ['signer', o.PrivateKeyJwt({ key, kid: 'signer-1' })]]) {
  const client = { client_id };
  const own = await o.processClientCredentialsResponse(as, client, await o.clientCredentialsGrantRequest(as, client, proof, { resource: resource.href }, http));
  assert.equal(own.refresh_token, undefined);
  const told = await o.processIntrospectionResponse(as, client, await o.introspectionRequest(as, client, proof, own.access_token, http));
  assert.deepEqual([told.active, told.sub, told.iss], [true, client_id, as.issuer]);
  done(`client_credentials of ${client_id}`);
}
// Tokens that are bound to a key (RFC 9449): of a person, by a code that is bound to it as well, and of a machine. Each handle is told a nonce
// once, and the one for the next request comes with each answer.
assert.deepEqual(as.dpop_signing_alg_values_supported, ['ES256', 'EdDSA', 'PS256', 'RS256']);
const list = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} } } });
const headers = () => new Headers({ 'content-type': 'application/json', accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' });
async function bound(client, algorithm) {
  const DPoP = o.DPoP(client, await o.generateKeyPair(algorithm));
  const options = { DPoP, ...http };
  let asked = 0;
  const once = async (act) => {
    try {
      return await act();
    } catch (error) {
      if (!o.isDPoPNonceError(error)) throw error;
      asked += 1;
      return act();
    }
  };
  const lists = async (token) => {
    const answer = await once(() => o.protectedResourceRequest(token, 'POST', resource, headers(), list, options));
    assert.equal(answer.status, 200);
    assert.ok(Array.isArray((await answer.json()).result.tools));
  };
  const stolen = async (token) => {
    const error = await o.protectedResourceRequest(token, 'POST', resource, headers(), list, http).then(() => assert.fail('let in'), (error) => error);
    assert.ok(error instanceof o.WWWAuthenticateChallengeError, String(error));
    const [{ scheme, parameters }] = error.cause;
    assert.deepEqual([scheme, parameters.error, parameters.algs], ['dpop', 'invalid_token', 'ES256 EdDSA PS256 RS256']);
  };
  return { DPoP, options, once, lists, stolen, asked: () => asked };
}
for (const algorithm of ['ES256', 'PS256', 'RS256']) {
  const metadata = { client_name: 'Bound', redirect_uris: [redirect_uri], token_endpoint_auth_method: 'none', dpop_bound_access_tokens: true };
  const client = await o.processDynamicClientRegistrationResponse(await o.dynamicClientRegistrationRequest(as, metadata, http));
  assert.equal(client.dpop_bound_access_tokens, true);
  const { DPoP, options, once, lists, stolen, asked } = await bound(client, algorithm);
  const verifier = o.generateRandomCodeVerifier();
  const state = o.generateRandomState();
  const request = new URL(as.authorization_endpoint);
  const query = { response_type: 'code', client_id: client.client_id, redirect_uri, state, resource: resource.href, scope: 'conf:read',
    code_challenge: await o.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', dpop_jkt: await DPoP.calculateThumbprint() };
  for (const [name, value] of Object.entries(query)) request.searchParams.set(name, value);
  const answer = execFileSync(visitor, [visit[0], 'visit', new URL(root).host, request.href, ...visit.slice(1)], { encoding: 'utf8' }).trim();
  const callback = o.validateAuthResponse(as, client, new URL(answer), state);
  const unbound = await o.authorizationCodeGrantRequest(as, client, o.None(), callback, redirect_uri, verifier, http);
  await assert.rejects(o.processAuthorizationCodeResponse(as, client, unbound), (error) => error.error === 'invalid_dpop_proof');
  const tokens = await once(async () => o.processAuthorizationCodeResponse(as, client,
    await o.authorizationCodeGrantRequest(as, client, o.None(), callback, redirect_uri, verifier, options)));
  assert.equal(tokens.token_type, 'dpop');
  await lists(tokens.access_token);
  await stolen(tokens.access_token);
  const thief = await bound(client, algorithm);
  await assert.rejects(thief.once(async () => o.processRefreshTokenResponse(as, client,
    await o.refreshTokenGrantRequest(as, client, o.None(), tokens.refresh_token, thief.options))), (error) => error.error === 'invalid_grant');
  const next = await once(async () => o.processRefreshTokenResponse(as, client,
    await o.refreshTokenGrantRequest(as, client, o.None(), tokens.refresh_token, options)));
  await lists(next.access_token);
  assert.equal(asked(), 1);
  done(`code, refresh and resource with DPoP (${algorithm})`);
}
{
  const client = { client_id: 'nightly' };
  const proof = o.ClientSecretBasic(readFileSync(secret, 'utf8'));
  const { DPoP, options, once, lists, stolen } = await bound(client, 'ES256');
  const own = await once(async () => o.processClientCredentialsResponse(as, client,
    await o.clientCredentialsGrantRequest(as, client, proof, { resource: resource.href }, options)));
  assert.equal(own.token_type, 'dpop');
  await lists(own.access_token);
  await stolen(own.access_token);
  const told = await o.processIntrospectionResponse(as, client, await o.introspectionRequest(as, client, proof, own.access_token, http));
  assert.deepEqual([told.active, told.token_type, told.cnf.jkt], [true, 'DPoP', await DPoP.calculateThumbprint()]);
  done('client_credentials and resource with DPoP');
}

// An agent acts for a person with a token of its own, for the one that a portal was given; both end together.
{
  const [portal, agent] = [{ client_id: 'portal' }, { client_id: 'agent' }];
  const proof = o.ClientSecretBasic(readFileSync(secret, 'utf8'));
  const given = await throughAPerson(portal, o.None());
  const kind = 'urn:ietf:params:oauth:token-type:access_token';
  const wanted = { subject_token: given.access_token, subject_token_type: kind, scope: 'conf:read', resource: resource.href };
  const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
  assert.ok(as.grant_types_supported.includes(exchange));
  const asks = async (client, shown) => o.processGenericTokenEndpointResponse(as, client,
    await o.genericTokenEndpointRequest(as, client, shown, exchange, wanted, http));
  const own = await asks(agent, proof);
  assert.deepEqual([own.issued_token_type, own.scope, own.refresh_token], [kind, 'conf:read', undefined]);
  const told = async () => o.processIntrospectionResponse(as, agent, await o.introspectionRequest(as, agent, proof, own.access_token, http));
  assert.deepEqual((await told()).act, { sub: 'agent', client_id: 'agent' });
  const nightly = [{ client_id: 'nightly' }, o.ClientSecretBasic(readFileSync(secret, 'utf8'))];
  await assert.rejects(asks(...nightly), (error) => error.error === 'unauthorized_client');
  await revoked(portal, o.None(), given.refresh_token);
  assert.equal((await told()).active, false);
  await assert.rejects(asks(agent, proof), (error) => error.error === 'invalid_request');
  done('token exchange');
}
console.log(`oauth4webapi: ${checked.join(', ')}`);
