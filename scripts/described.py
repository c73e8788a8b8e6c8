"""The descriptions of the APIs (docs/oauth-api.json, docs/admin-api.json) held against a gateway that runs, for scripts/api.

  scripts/described.py walk HOST:PORT FOLDER COMMAND...   goes every way once, as clients and a person go it: each answer is as described
  scripts/described.py judge FOLDER                       says what was seen in all, and fails where too little was, or a secret is in a log

In between schemathesis loads this file as its hooks. FOLDER has `secret`, the secret of the clients of the configuration, and `key`; what
was asked, and which secrets were handed out, is noted there. The way of an administrator stands in described_admin.py.
"""

import base64
import collections
import hashlib
import itertools
import json
import os
import pathlib
import re
import sys
import time
import urllib.parse

import schemathesis
import urllib3
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi import checks as failures
from schemathesis.specs.openapi import checks

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
OAUTH, ADMIN = DOCS / "oauth-api.json", DOCS / "admin-api.json"
GRANT = "urn:ietf:params:oauth:grant-type:"
# Members of answers that nobody else may read.
SECRETS = ("access_token", "refresh_token", "client_secret", "device_code", "user_code", "form")
# Everything that looks like a secret of the gateway, its own or made up.
SHAPE = re.compile(rb"dw(?:at|rt|ac|dc|cs|k|l|w)_[A-Za-z0-9_-]{20,}")

# Statuses that nothing here brings about: faults of the gateway, its store and its machine (the tests of faults do).
FAULTS = ("500", "503")
# Requests that a run makes at least; schemathesis alone makes more than 4,000.
LEAST = 3_000
AMBIGUOUS = "The request can be read in more than one way."

turn = itertools.count(1)
# Where all are to come from, if from one place.
place = None
connect = urllib3.util.connection.create_connection


def from_elsewhere(address, timeout=None, source_address=None, socket_options=None):
    """A connection of one of the 65,000 addresses of this computer, each in turn: how often one may ask is no matter of the description."""
    number = next(turn) % 65_000
    source = place or f"127.77.{number // 255}.{number % 255 + 1}"
    return connect(address, timeout, (source, 0), socket_options)


urllib3.util.connection.create_connection = from_elsewhere


def note(file, line):
    """Appends to a file of the run."""
    with open(pathlib.Path(os.environ["DESCRIBED"]) / file, "a") as out:
        out.write(line + "\n")


# Hooks of schemathesis.


@schemathesis.hook
def before_call(context, case, kwargs):
    """Each request is on a connection of its own, and so of an address of its own. Where a form is shown it is the right one, which nobody
    makes up, and the administrator who asks is not signed out."""
    case.headers = {**(case.headers or {}), "Connection": "close"}
    form = pathlib.Path(os.environ["DESCRIBED"]) / "form"
    if case.headers.get("Doorward-Form") and form.exists():
        case.headers["Doorward-Form"] = form.read_text()
    if isinstance(case.body, dict) and case.body.get("action") == "sign-out-user" and case.body.get("subject") == "admin":
        case.body["subject"] = "nobody"


@schemathesis.hook
def after_call(context, case, response):
    """What was asked and answered, and which secrets were handed out."""
    note("seen", f"{response.request.method} {case.operation.path} {response.status_code}")
    try:
        said = json.loads(response.content)
    except ValueError:
        return
    for member in SECRETS:
        if isinstance(said, dict) and isinstance(said.get(member), str):
            note("secrets", said[member])


@schemathesis.deserializer("text/html")
def page(context, response):
    """A page is held against its schema as a text."""
    return response.text


def texts(case):
    """The values of a request that are texts."""
    parts = [part for part in (case.query, case.body) if isinstance(part, dict)]
    return [value for part in parts for value in part.values() if isinstance(value, str)]


def why_excused(failure, case, response):
    """Why a failure is none; the reasons are part of the proof."""
    sent = response.request
    administers = case.operation.path.startswith("/api/v1/")
    are_longer = any(len(one) < len(one.encode()) > 200 for one in texts(case))
    if isinstance(failure, failures.RejectedPositiveData) and administers and are_longer:
        return "how long a name or a reason is counts in bytes, and a schema counts characters"
    if isinstance(failure, AcceptedNegativeData) and administers and "" in texts(case):
        return "a parameter without a value counts as left out, and no schema of a number or a choice says so"
    if isinstance(failure, failures.UnsupportedMethodResponse) and response.status_code == 400 and sent.body and response.text == AMBIGUOUS:
        return "a body with another method than POST is refused before anybody looks at the path: a proxy may read it otherwise (HTTP-03)"
    if isinstance(failure, failures.RejectedPositiveData) and "are too long together" in response.text:
        return "an id holds the registration and has 1,024 bytes: no schema says how long name and addresses are together"
    if isinstance(failure, failures.RejectedPositiveData) and '"error":"invalid_redirect_uri"' in response.text:
        return "redirect URIs are held against finer rules than a pattern can say, and against the type of the application"
    if isinstance(failure, failures.RejectedPositiveData) and b"\\u0000" in (sent.body or b"") and "one JSON object" in response.text:
        return "NUL in the name of a member is refused at every depth, and a schema says so for the first only"
    return None


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """True for what is a failure."""
    why = why_excused(failure, case, response)
    if why:
        note("excused", why)
    return why is None


# The walk.


class Walk:
    """A client at a gateway whose every answer is held against the description."""

    def __init__(self, address, description):
        self.schema = schemathesis.openapi.from_path(description)
        self.schema.config.update(base_url=f"http://{address}")
        self.root = f"http://{address}"
        self.held = [
            checks.status_code_conformance, checks.content_type_conformance, checks.response_headers_conformance,
            checks.response_schema_conformance,
        ]

    @staticmethod
    def knows(*secrets):
        """Remembers secrets that stand nowhere but here."""
        note("secrets", "\n".join(secrets))

    def operations(self):
        """`METHOD /path` of all that is described."""
        return [operation.ok().label for operation in self.schema.get_all_operations()]

    def case(self, method, path, **request):
        """One request, not yet sent."""
        request.setdefault("headers", {})
        if "body" in request:
            request.setdefault("media_type", "application/x-www-form-urlencoded")
        return self.schema[path][method].Case(**request)

    def ask(self, wanted, method, path, **request):
        """One request, its answer as described and with the status that is wanted here."""
        case = self.case(method, path, **request)
        response = case.call()
        case.validate_response(response, checks=self.held)
        if response.status_code != wanted:
            raise SystemExit(f"{method} {path}: {response.status_code} instead of {wanted}: {response.text[:300]}")
        return response

    def wear_out(self, method, path, **request):
        """Asks until it is too much, which is 200 at once and ten a second besides; that answer, too, is as described."""
        for _ in range(1000):
            case = self.case(method, path, **request)
            response = case.call()
            if response.status_code == 429:
                return case.validate_response(response, checks=self.held)
        raise SystemExit(f"{method} {path}: nobody is held up")

    def told(self, wanted, path, error=None, **body):
        """The JSON of a POST of a form; with the error that is wanted."""
        headers = body.pop("headers", {})
        said = self.ask(wanted, "POST", path, body=body, headers=headers).json()
        if said.get("error") != error:
            raise SystemExit(f"{path}: {said.get('error')} instead of {error}")
        return said


def basic(name, secret):
    """The header of RFC 6749 section 2.3.1."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def documents(walk):
    """Probes and metadata, under every name."""
    for path in ("/healthz", "/readyz", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"):
        walk.ask(200, "GET", path)
    for path in (
        "/.well-known/oauth-authorization-server/s/{server}/mcp", "/.well-known/openid-configuration/s/{server}/mcp",
        "/s/{server}/mcp/.well-known/openid-configuration", "/.well-known/oauth-protected-resource/s/{server}/mcp",
    ):
        walk.ask(200, "GET", path, path_parameters={"server": "conf"})
        walk.ask(404, "GET", path, path_parameters={"server": "Conf"})
    walk.ask(404, "GET", "/.well-known/oauth-protected-resource/s/{server}/mcp", path_parameters={"server": "other"})


def registrations(walk, callback):
    """Clients of each kind; the two that go on."""
    made = {}
    for path, auth in (("/oauth/register", "none"), ("/register", "client_secret_post"), ("/register", "client_secret_basic")):
        wish = {
            "client_name": "Walker", "redirect_uris": [callback], "token_endpoint_auth_method": auth, "application_type": "native",
            "grant_types": ["authorization_code", "refresh_token", GRANT + "device_code"], "client_uri": "https://walker.example",
        }
        made[auth] = walk.ask(201, "POST", path, body=wish, media_type="application/json").json()
    for bad in ({"redirect_uris": ["http://elsewhere.example/"]}, {"redirect_uris": [callback], "client_name": 7}):
        walk.ask(400, "POST", "/oauth/register", body=bad, media_type="application/json")
    walk.ask(400, "POST", "/oauth/register", body={"redirect_uris": [callback]}, media_type="text/plain")
    for path in ("/oauth/register", "/register"):
        walk.ask(413, "POST", path, body={"redirect_uris": [callback], "client_name": "a" * 17000}, media_type="application/json")
    return made["none"], made["client_secret_post"]


def browser(walk, door, client, callback):
    """Authorization requests, one of them to its end: code, tokens, refresh; the last access token and refresh token."""
    import office

    verifier = office.VERIFIER
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "response_type": "code", "client_id": client, "redirect_uri": callback,
        "code_challenge": challenge, "code_challenge_method": "S256",
        "resource": f"{walk.root}/s/conf/mcp", "scope": "conf:read", "state": "s",
    }
    for path in ("/oauth/authorize", "/authorize"):
        walk.ask(200, "GET", path, query=query)
        walk.ask(303, "GET", path, query={**query, "prompt": "none"})
        walk.ask(400, "GET", path, query={**query, "client_id": "nobody"})
        walk.ask(400, "GET", path, query={**query, "redirect_uri": callback + "/other"})
        walk.ask(400, "GET", path, query={"response_type": "code"})
    person = office.Person(door, client)
    page = person.asked("/oauth/authorize?" + urllib.parse.urlencode(query))
    time.sleep(office.READING)
    code = person.allow(page)
    note("secrets", code)
    # Of one who is signed in, what is wrong is told to the client.
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in person.cookies.items())}
    note("secrets", "\n".join(person.cookies.values()))
    for wrong in ({"resource": walk.root}, {"response_type": "token"}, {"code_challenge_method": "plain"}, {"request": "a.b.c"}):
        walk.ask(303, "GET", "/oauth/authorize", query={**query, **wrong}, headers=cookie)
    redeem = {"grant_type": "authorization_code", "client_id": client, "code_verifier": verifier, "redirect_uri": callback}
    walk.told(400, "/oauth/token", "invalid_grant", **redeem, code="dwac_nothing")
    first = walk.told(200, "/token", **redeem, code=code)
    renew = {"grant_type": "refresh_token", "client_id": client}
    walk.told(400, "/oauth/token", "invalid_grant", **renew, refresh_token=first["access_token"])
    walk.told(400, "/oauth/token", "invalid_target", **renew, refresh_token=first["refresh_token"], resource="https://elsewhere.example/")
    second = walk.told(200, "/oauth/token", **renew, refresh_token=first["refresh_token"])
    walk.told(401, "/oauth/introspect", "invalid_client", client_id=client, token=second["access_token"])
    walk.told(200, "/oauth/revoke", client_id=client, token=first["access_token"])
    return second


def device(walk, door, client, secret):
    """A program without a browser: declined, allowed, unknown."""
    import office

    shown = {"client_id": client, "client_secret": secret}
    ask = {**shown, "resource": f"{walk.root}/s/conf/mcp", "scope": "conf:read"}
    walk.told(400, "/oauth/device", "invalid_target", **shown)
    fetch = {**shown, "grant_type": GRANT + "device_code"}
    walk.told(400, "/oauth/token", "invalid_grant", **fetch, device_code="dwdc_nothing")
    for decision, status, error in (("allow", 200, None), ("cancel", 400, "access_denied")):
        said = walk.told(200, "/oauth/device", **ask)
        walk.told(400, "/oauth/token", "authorization_pending", **fetch, device_code=said["device_code"])
        walk.told(400, "/oauth/token", "slow_down", **fetch, device_code=said["device_code"])
        office.Person(door, None).device(said["user_code"], decision)
        walk.told(status, "/oauth/token", error, **fetch, device_code=said["device_code"])


def machines(walk, secret):
    """Clients that act for themselves, and what they ask about."""
    own = {"grant_type": "client_credentials", "resource": f"{walk.root}/s/conf/mcp"}
    by_form = {"client_id": "nightly", "client_secret": secret}
    for path in ("/oauth/token", "/token"):
        said = walk.told(200, path, **own, **by_form)
    other = walk.told(200, "/oauth/token", **own, headers=basic("teller", secret))
    walk.told(401, "/oauth/token", "invalid_client", **own, headers=basic("teller", "wrong"))
    walk.told(401, "/oauth/token", "invalid_client", **own, client_id="nightly", client_secret="wrong")
    walk.told(400, "/oauth/token", "invalid_request", **own, headers=basic("teller", secret), **by_form)
    walk.told(400, "/oauth/token", "invalid_scope", **own, **by_form, scope="conf:destructive")
    walk.told(400, "/oauth/token", "invalid_dpop_proof", **own, **by_form, headers={"DPoP": "a.b.c"})
    walk.told(400, "/oauth/token", "unauthorized_client", **own, client_id="box")
    walk.told(400, "/oauth/token", "unsupported_grant_type", grant_type="password", **by_form)
    walk.told(400, "/oauth/device", "unauthorized_client", **by_form)
    for path in ("/oauth/token", "/token", "/oauth/device", "/oauth/revoke", "/oauth/introspect"):
        walk.ask(415, "POST", path, body={"grant_type": "client_credentials"}, media_type="application/json")
        walk.told(413, path, "invalid_request", grant_type="client_credentials", client_id="a" * 17000)
        walk.told(401, path, "invalid_client", grant_type="client_credentials", client_id="nobody", token="a")
    for path in ("/oauth/revoke", "/oauth/introspect"):
        walk.told(400, path, "invalid_request", **by_form)
    active = walk.told(200, "/oauth/introspect", **by_form, token=said["access_token"])
    kind = "urn:ietf:params:oauth:token-type:access_token"
    swap = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token_type": kind}
    got = walk.told(200, "/oauth/token", **swap, subject_token=said["access_token"], headers=basic("teller", secret))
    acts = walk.told(200, "/oauth/introspect", token=got["access_token"], headers=basic("teller", secret))
    if acts["act"] != {"sub": "teller", "client_id": "teller"}:
        raise SystemExit(f"introspection: {acts}")
    walk.told(400, "/oauth/token", "invalid_request", **swap, subject_token=other["access_token"], headers=basic("teller", secret))
    walk.told(400, "/oauth/token", "unauthorized_client", **swap, subject_token=other["access_token"], **by_form)
    foreign = walk.told(200, "/oauth/introspect", **by_form, token=other["access_token"])
    walk.told(200, "/oauth/revoke", **by_form, token=said["access_token"])
    ended = walk.told(200, "/oauth/introspect", **by_form, token=said["access_token"])
    if (active["active"], foreign["active"], ended["active"]) != (True, False, False):
        raise SystemExit(f"introspection: {active} {foreign} {ended}")
    return walk.told(200, "/oauth/token", **own, **by_form)


def anything(method, path):
    """A request of an operation that is turned away for nothing but what is added to it."""
    request = {}
    if "{" in path:
        request["path_parameters"] = {"server": "conf"} if "{server}" in path else {"position": "1"}
    if path.endswith("/authorize"):
        request["query"] = {"client_id": "nobody"}
    if path.endswith("/person"):
        request["query"] = {"issuer": "local", "subject": "admin"}
    if method == "POST" and path.endswith("/register"):
        request |= {"body": {"redirect_uris": []}, "media_type": "application/json"}
    elif method == "POST" and path.endswith("/changes"):
        request |= {"body": {"action": "revoke-key", "id": "none"}, "media_type": "application/json"}
    elif method == "POST":
        request["body"] = {"grant_type": "none", "token": "a"}
    return request


def at_the_door(walk):
    """What every operation is answered before anybody looks at it: another host, what can be read in two ways, too large, too much."""
    global place
    for label in walk.operations():
        method, path = label.split(" ")
        for status, headers in ((403, {"Host": "elsewhere.example"}), (400, {"Content-Encoding": "gzip"}), (431, {"X-Long": "a" * 40_000})):
            walk.ask(status, method, path, **anything(method, path), headers=headers)
    place = "127.78.0.1"
    for label in walk.operations():
        method, path = label.split(" ")
        if path not in ("/healthz", "/readyz"):
            walk.wear_out(method, path, **anything(method, path))
    place = None


def settings(file, words, places, before=""):
    """What schemathesis makes requests of, besides what it makes up: clients, tokens and addresses that are there, each in its place."""
    text = [
        before,
        "[dictionaries]",
        *(f"{name} = {{ values = {json.dumps(values)} }}" for name, values in words.items()),
        "[parameters]",
        *(f'"{key}" = {{ dictionary = "{name}", probability = {chance} }}' for key, name, chance in places),
    ]
    file.write_text("\n".join(text) + "\n")


# Where the words of the OAuth API go. Redirect URIs are held against finer rules than a pattern can say: nobody makes up a good one.
PLACES = (
    ("body.redirect_uris[*]", "site", 1.0), ("path.server", "server", 0.7), ("query.client_id", "window", 0.7),
    ("query.redirect_uri", "callback", 0.7), ("query.resource", "resource", 0.7), ("body.client_id", "client", 0.7),
    ("body.client_secret", "secret", 0.7), ("body.token", "token", 0.7), ("body.resource", "resource", 0.7),
    ("body.refresh_token", "refresh", 0.7), ("body.scope", "scope", 0.7),
)


def walked(address, folder, command):
    """All of it, and the settings for what follows."""
    import described_admin
    import office

    os.environ["DESCRIBED"] = str(folder)
    walk, door = Walk(address, OAUTH), office.Door(address, command)
    secret, key = ((folder / name).read_text().strip() for name in ("secret", "key"))
    note("secrets", f"{secret}\n{key}")
    documents(walk)
    public, confidential = registrations(walk, office.CALLBACK)
    at_the_door(walk)
    tokens = browser(walk, door, public["client_id"], office.CALLBACK)
    device(walk, door, confidential["client_id"], confidential["client_secret"])
    own = machines(walk, secret)
    words = {
        "server": ["conf", "other"], "window": [public["client_id"], confidential["client_id"]], "callback": [office.CALLBACK],
        "site": ["https://client.example/callback"],
        "resource": [f"{walk.root}/s/conf/mcp"], "client": ["nightly", "box", public["client_id"]], "secret": [secret],
        "token": [own["access_token"], tokens["access_token"]], "refresh": [tokens["refresh_token"]], "scope": ["conf:read"],
    }
    settings(folder / "words.toml", words, PLACES)
    administration = Walk(address, ADMIN)
    at_the_door(administration)
    *words, form = described_admin.walked(administration, door, key, anything)
    settings(folder / "admin-words.toml", *words)
    (folder / "form").write_text(form)
    print(f"by hand: {len((folder / 'seen').read_text().splitlines())} requests, each answered as described")


def judged(folder):
    """Sums up; fails where too little was seen, or a secret is where it may not be."""
    seen = collections.Counter((folder / "seen").read_text().splitlines())
    schemas = [schemathesis.openapi.from_path(description) for description in (OAUTH, ADMIN)]
    operations = [operation.ok() for schema in schemas for operation in schema.get_all_operations()]
    wanted = [f"{one.label} {status}" for one in operations for status in one.responses.status_codes if status not in FAULTS]
    missing = [line for line in wanted if not seen[line]]
    logs = [folder / "gateway.log", folder / "gateway.err", folder / "record"]
    kept = [path for path in folder.glob("state-*/**/*") if path.is_file()]
    given = {line for line in (folder / "secrets").read_text().splitlines() if len(line) >= 8}
    told = [f"{path.name} holds what was handed out" for path in logs + kept if any(one.encode() in path.read_bytes() for one in given)]
    told += [f"{path.name} holds {found[:9]!r}.." for path in logs for found in SHAPE.findall(path.read_bytes())]
    excused = (folder / "excused").read_text().splitlines() if (folder / "excused").exists() else []
    for why, count in collections.Counter(excused).items():
        print(f"excused {count} times: {why}")
    print(f"{len(operations)} operations, {sum(seen.values())} requests, {len(wanted) - len(missing)} of {len(wanted)} statuses seen")
    places = f"{len(logs)} logs and records and {len(kept)} files of the state"
    print(f"{len(given)} secrets were handed out or configured; in {places} they stand {len(told)} times")
    empty = [f"{path.name} is empty" for path in (folder / "gateway.err", folder / "record") if not path.stat().st_size]
    empty += [f"no more than {sum(seen.values())} requests"] if sum(seen.values()) < LEAST else []
    faults = [*(f"never seen: {line}" for line in missing), *told, *empty, *([] if given and kept else ["nothing was handed out or kept"])]
    if faults:
        raise SystemExit("\n".join(faults))


def main(what, *rest):
    if what == "walk":
        walked(rest[0], pathlib.Path(rest[1]), rest[2:])
    else:
        judged(pathlib.Path(rest[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
