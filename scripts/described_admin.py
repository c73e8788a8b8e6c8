"""The way of an administrator through docs/admin-api.json, for described.py: everything that is seen and changed, once as nobody, once as a
page of another site, once as it should be."""

import json
import urllib.parse

import office

# Where the words go that schemathesis asks with.
PLACES = (
    ("query.issuer", "issuer", 0.8), ("query.subject", "subject", 0.8), ("query.search", "subject", 0.5), ("query.user", "subject", 0.5),
    ("query.client", "client", 0.5), ("query.server", "server", 0.5), ("query.tool", "tool", 0.5), ("path.position", "position", 0.5),
    ("query.before", "position", 0.5), ("body.issuer", "issuer", 0.9), ("body.subject", "changed", 0.9), ("body.client", "client", 0.7),
    ("body.id", "held", 0.7),
)


def called(walk, door, key):
    """Calls for the record: one that is let through, one that is not."""
    for tool in ("test_simple_text", "none"):
        meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
        params = {"name": tool, "arguments": {}, "_meta": meta}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        status, _, text = office.ask(door.port, "POST", "/k/conf/mcp", body=body, headers={
            "Authorization": f"Bearer {key}", "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool,
        })
        office.expect(status == 200, f"{tool}: {status} {text[:300]}")


def refused(walk, anything, here):
    """Who may not ask: nobody is signed in, or another site asks."""
    for label in walk.operations():
        method, path = label.split(" ")
        request = anything(method, path)
        walk.ask(401, method, path, **request, headers={"Sec-Fetch-Site": "same-origin"})
        walk.ask(401, method, path, **request, headers={**here, "Cookie": "__Host-dw_session=none"})
        walk.ask(403, method, path, **request, headers={**here, "Sec-Fetch-Site": "cross-site"})


def seen(walk, here):
    """All that is seen; what a search finds, and what is no search."""
    def read(path, status=200, **request):
        return walk.ask(status, "GET", f"/api/v1/{path}", **request, headers=here).json()

    for path in ("session", "overview", "servers", "clients", "people", "attempts", "records", "settings"):
        read(path)
        read(path, 400, query={"more": "1"})
    calls = read("records", query={"tool": "conf__test_simple_text", "decision": "permit", "user": "local/admin", "server": "conf"})["entries"]
    office.expect(len(calls) == 1 and calls[0]["outcome"]["class"] == "completed", f"the call: {calls}")
    position = calls[0]["record"]["seq"]
    office.expect(not read("records", query={"until": "2001-01-01"})["entries"], "something was recorded a quarter of a century ago")
    office.expect(read("records", query={"since": "2001-01-01T00:00:00.000Z", "until": "2999-01-01T00:00"})["entries"], "nothing since")
    for query in ({"limit": "0"}, {"limit": "201"}, {"before": "-1"}, {"before": str(2 ** 64)}, {"decision": "all"}, {"since": "yesterday"}, {"until": "2026"}):
        read("records", 400, query=query)
    office.expect(read("records", query={"before": str(2 ** 64 - 1), "limit": "1"})["entries"], "nothing is before the last position")
    office.expect(not read("records", query={"before": "0"})["entries"], "something is before the first")
    one = {"path_parameters": {"position": str(position)}}
    office.expect(len(read("records/{position}", **one)["records"]) == 2, "what became of the call")
    read("records/{position}", 400, **one, query={"more": "1"})
    read("records/{position}", 404, path_parameters={"position": str(2 ** 64 - 1)})
    for none in ("0", "01", "-1", "x", str(2 ** 64)):
        walk.ask(404, "GET", "/api/v1/records/{position}", path_parameters={"position": none}, headers=here)
    who = {"issuer": "local", "subject": "admin"}
    read("people/person", 404, query={**who, "subject": "ghost"})
    read("people/person", 400, query={"issuer": "local"})
    office.expect(read("people", query={"search": "BOB"})["people"], "bob is not found")
    return position, read("people/person", query=who), read("people/person", query={**who, "subject": "bob"})


def changed(walk, here, client, consent, key):
    """Every change, twice: what was so before is no change; and what cannot be changed."""
    form = walk.ask(200, "GET", "/api/v1/session", headers=here).json()["form"]

    def change(status=200, media_type="application/json", token=form, **body):
        request = {"body": body, "media_type": media_type, "headers": {**here, "Doorward-Form": token}}
        return walk.ask(status, "POST", "/api/v1/changes", **request).json()

    bob = {"issuer": "local", "subject": "bob"}
    for body in (
        {"action": "block-client", "client": client, "reason": "tries"}, {"action": "unblock-client", "client": client},
        {"action": "disable-user", **bob}, {"action": "enable-user", **bob},
        {"action": "revoke-consent", "id": consent}, {"action": "revoke-key", "id": key},
    ):
        office.expect([change(**body)["changed"] for _ in range(2)] == [True, False], f"once: {body}")
    office.expect(not change(action="sign-out-user", **bob)["changed"], "bob is signed in nowhere")
    for status, reason, body in (
        (400, "bad_change", {"action": "drop"}), (400, "bad_change", {"action": "revoke-key"}),
        (404, "not_found", {"action": "revoke-key", "id": "-"}),
        (404, "not_found", {"action": "enable-user", "issuer": "local", "subject": "ghost"}),
        (409, "yourself", {"action": "disable-user", "issuer": "local", "subject": "admin"}),
        (409, "by_configuration", {"action": "unblock-client", "client": "doorward-cli"}),
        (403, "forged", {"action": "revoke-key", "id": key, "token": form[:-1]}),
        (413, "too_large", {"action": "revoke-key", "id": "a" * 17_000}),
        (415, "media_type", {"action": "revoke-key", "media_type": "text/plain"}),
    ):
        said = change(status, **body)["reason"]
        office.expect(said == reason, f"{body}: {said} instead of {reason}")
    return form


def walked(walk, door, key, anything):
    """All of it; then the words, places and sign-in of what follows, and its form."""
    token = office.token(door, "conf")
    bobs = door.command("apikey", "create", "--user", "bob", "--server", "conf").strip()
    person = office.Person(door, None)
    cookie = person.cookies["__Host-dw_session"]
    walk.knows(token, bobs, cookie)
    here = {"Cookie": f"__Host-dw_session={cookie}", "Sec-Fetch-Site": "same-origin"}
    called(walk, door, key)
    refused(walk, anything, here)
    position, admin, bob = seen(walk, here)
    consent, other = admin["consents"][0], admin["consents"][-1]
    form = changed(walk, here, consent["client"], consent["id"], bob["keys"][0]["id"])
    words = {
        "issuer": ["local"], "subject": ["admin", "bob"], "changed": ["bob"], "client": [consent["client"], "nightly", "doorward-cli"],
        "server": ["conf"], "tool": ["conf__test_simple_text"], "position": [position, 1, 2],
        "held": [other["id"], consent["id"], bob["keys"][0]["id"]],
    }
    return words, PLACES, f'[auth.openapi]\nperson = {{ api_key = "{cookie}" }}', form
