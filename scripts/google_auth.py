"""Holds what Doorward asks of Google against what google-auth asks, credential file by credential file."""
import base64
import json
import pathlib
import subprocess
import sys
import urllib.parse

import google.auth
import google.auth.transport.requests
import google.oauth2.service_account
from google.auth import identity_pool

target, scratch = map(pathlib.Path, sys.argv[1:3])
SCOPE = "https://www.googleapis.com/auth/bigquery.readonly"
SERVER = "https://upstream.invalid/mcp"
# Fields of a request that differ, and why that is meant.
MEANT = {
    "becoming": {"lifetime": "10 minutes instead of an hour: the least that is needed", "delegates": "not written where there are none"},
}


def form(text):
    return dict(urllib.parse.parse_qsl(text))


def claims(token):
    head, body = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    return {name: value for name, value in {**head, **body}.items() if name not in ("iat", "exp")}


def plain(asked):
    """A request in a form in which two of them can be compared."""
    line = urllib.parse.unquote(asked["line"])
    if ":generate" in line:
        fields = json.loads(asked["body"])
        if "lifetime" in fields:
            fields["lifetime"] = int(fields["lifetime"].rstrip("s"))
        return {"line": line, **fields}
    fields = form(asked["body"])
    if "assertion" in fields:
        fields["assertion"] = claims(fields["assertion"])
    return {"line": line, **fields}


fake = subprocess.Popen([target / "doorward-google", scratch], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
base = fake.stdout.readline().strip()


# The audience of assertions is a constant of the library, whatever the file says.
google.oauth2.service_account._GOOGLE_OAUTH2_TOKEN_ENDPOINT = f"{base}/token"


class Led(google.auth.transport.requests.Request):
    """The library has some addresses as constants: requests to them go to the fake."""

    def __call__(self, url, *rest, **more):
        for real in ("https://oauth2.googleapis.com", "https://iamcredentials.googleapis.com"):
            url = url.replace(real, base)
        return super().__call__(url, *rest, **more)


def journal():
    fake.stdin.write("\n")
    fake.stdin.flush()
    return [plain(asked) for asked in json.loads(fake.stdout.readline())]


def theirs(name):
    if name.startswith("workload"):
        # Loaded in the usual way it would ask for the name of a project first.
        credentials = identity_pool.Credentials.from_file(str(scratch / f"{name}.json"), scopes=[SCOPE])
    else:
        credentials, _ = google.auth.load_credentials_from_file(str(scratch / f"{name}.json"), scopes=[SCOPE])
    credentials.refresh(Led())
    return journal()


def ours(name):
    for file in scratch.glob("*.json"):
        file.chmod(0o600)
    source = f"file:{scratch / name}.json"
    endpoints = "".join(f'{key} = "{base}"\n' for key in ("iamcredentials", "sts", "oauth2", "metadata"))
    config = scratch / "doorward.toml"
    credential = f'{{ kind = "gcp-access-token", source = "{source}", scopes = "{SCOPE}" }}'
    config.write_text(f'[server.a]\nurl = "{SERVER}"\ncredential = {credential}\n[endpoints]\n{endpoints}')
    doorward = [target / "doorward", "--config", config, "--state", scratch / "state", "--insecure-test-endpoints"]
    # The first command makes the state directory.
    subprocess.run([*doorward, "apikey", "list"], capture_output=True, check=True, timeout=60)
    said = subprocess.run([*doorward, "doctor"], capture_output=True, text=True, timeout=120).stdout
    assert "Google gives a token" in said, said
    return journal()


failed = False
for name in ("person", "key", "becoming", "workload", "workload-becoming"):
    # Doctor asks twice: once to try, once to look at the server with.
    (one, other), meant = (theirs(name), ours(name)), MEANT.get(name, {})
    seen, last = [], {}
    for theirs_asked in one:
        fitting = [asked for asked in other if asked["line"].split("?")[0] == theirs_asked["line"].split("?")[0]]
        if not fitting:
            seen.append(("line", theirs_asked["line"], "(not asked)"))
            continue
        for field in sorted(set(theirs_asked) | set(fitting[0])):
            if theirs_asked.get(field) != fitting[0].get(field):
                seen.append((field, theirs_asked.get(field), fitting[0].get(field)))
    for field, wanted, got in seen:
        known = field in meant
        failed |= not known
        print(f"{name}: {field}: google-auth {wanted!r}, Doorward {got!r}: {meant.get(field, 'NOT MEANT')}")
    print(f"{name}: {len(one)} questions of google-auth, {len(other)} of Doorward, {len(seen)} differences")
fake.stdin.close()
sys.exit(failed)
