"""The public Python client as a machine: `machine_python.py key DIR` makes its key pair, `machine_python.py call ISSUER DIR SECRET_FILE` calls a tool, once
with a secret and once with assertions that it signs. Discovery, the token request and the call are the client's own.
"""

import asyncio
import base64
import json
import pathlib
import sys

import httpx2
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mcp import Client
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.streamable_http import streamable_http_client


class Memory:
    """Keeps tokens for as long as this runs."""

    tokens = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return None

    async def set_client_info(self, info):
        pass


def key(directory):
    pair = ec.generate_private_key(ec.SECP256R1())
    numbers = pair.public_key().public_numbers()
    text = lambda number: base64.urlsafe_b64encode(number.to_bytes(32, "big")).decode().rstrip("=")
    public = {"kty": "EC", "crv": "P-256", "kid": "signer-1", "alg": "ES256", "x": text(numbers.x), "y": text(numbers.y)}
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "signer.pem").write_bytes(pair.private_bytes(*form))
    (directory / "signer.jwks").write_text(json.dumps({"keys": [public]}))


async def calls(name, issuer, provider):
    async with httpx2.AsyncClient(auth=provider) as http:
        async with Client(streamable_http_client(f"{issuer}/s/conf/mcp", http_client=http)) as client:
            tools = (await client.list_tools()).tools
            result = await client.call_tool("test_simple_text", {})
            said = "".join(part.text for part in result.content)
    if result.is_error or not said or not tools:
        sys.exit(f"{name}: {result}")
    tokens = provider.context.current_tokens
    print(f"python, {name}: {len(tools)} tools, called one; scope {tokens.scope}, a refresh token: {tokens.refresh_token is not None}")


async def call(issuer, directory, secret):
    server = f"{issuer}/s/conf/mcp"
    await calls("secret", issuer, ClientCredentialsOAuthProvider(server, Memory(), "nightly", secret.read_text(), issuer=issuer))
    signer = SignedJWTParameters(issuer="signer", subject="signer", signing_key=(directory / "signer.pem").read_text(), signing_algorithm="ES256")
    await calls("assertion", issuer, PrivateKeyJWTOAuthProvider(server, Memory(), "signer", signer.create_assertion_provider(), issuer=issuer))


if sys.argv[1] == "key":
    key(pathlib.Path(sys.argv[2]))
else:
    asyncio.run(call(sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])))
