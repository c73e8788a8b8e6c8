"""A server on PyPI `mcp` with its own authorization server, for the auditor: `PORT [check]`. Tokens are words; nobody can sign in.

With `check` the SDK compares the resource of a token (`validate_token_resource`); without it, as by default, the verifier would have to.
"""
import sys

from mcp.server import MCPServer
from mcp.server.auth.provider import AccessToken, OAuthAuthorizationServerProvider
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions

port = int(sys.argv[1])
base = f"http://127.0.0.1:{port}"
TOKENS = {
    "own-token-of-the-testkit": ("own", f"{base}/mcp"),
    "second-token-of-the-testkit": ("second", f"{base}/mcp"),
    "foreign-token-of-the-testkit": ("own", "https://another-server.example/mcp"),
}


class Provider(OAuthAuthorizationServerProvider):
    def __init__(self):
        self.clients = {}

    async def get_client(self, client_id):
        return self.clients.get(client_id)

    async def register_client(self, client_info):
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client, params):
        return f"{base}/login"

    async def load_access_token(self, token):
        subject, resource = TOKENS.get(token, (None, None))
        if subject is None:
            return None
        return AccessToken(token=token, client_id=subject, scopes=["notes"], resource=resource, subject=subject)


auth = AuthSettings(
    issuer_url=base,
    resource_server_url=f"{base}/mcp",
    required_scopes=["notes"],
    client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=["notes"], default_scopes=["notes"]),
    validate_token_resource=True if sys.argv[2:] == ["check"] else None,
)
server = MCPServer("python-auth-server", auth_server_provider=Provider(), auth=auth)


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


server.run("streamable-http", host="127.0.0.1", port=port)
