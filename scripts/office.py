"""A person with a browser and an OAuth client, of the standard library alone, for scripts that need what the front office hands out.

As a program it signs a person in by the link that `COMMAND... admin-link` prints; no browser is started, pages are read as text.

  scripts/office.py token HOST:PORT SERVER COMMAND...    registers a client, allows it all that the consent page offers, prints its access token
  scripts/office.py visit HOST:PORT ADDRESS COMMAND...   opens an authorization request of a client, allows all, prints where the answer goes
  scripts/office.py device HOST:PORT CODE COMMAND...     types the code of a device, and allows all
  scripts/office.py deny HOST:PORT CODE COMMAND...       types the code of a device, and declines
"""

import base64
import hashlib
import html
import http.client
import json
import re
import subprocess
import sys
import time
import urllib.parse

VERIFIER = "a-verifier-of-the-office-kit-that-is-long-enough-0123456789"
CALLBACK = "http://127.0.0.1:61036/callback"
# A decision that comes sooner is no decision.
READING = 0.8


class Broken(Exception):
    """A promise was broken; scripts/crash knows it under the same name."""


def expect(holds, text):
    if not holds:
        raise Broken(text)


def ask(port, method, path, fields=None, headers=None, body=None, source="127.0.0.1"):
    """One request on a connection of its own: status, header fields, body; status 0 if there was no whole answer. `source` is the loopback
    address that asks."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15, source_address=(source, 0))
    try:
        sent = dict(headers or {})
        if fields is not None:
            body, sent["Content-Type"] = urllib.parse.urlencode(fields), "application/x-www-form-urlencoded"
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        return response.status, response.getheaders(), response.read().decode()
    except (OSError, http.client.HTTPException):
        return 0, [], ""
    finally:
        connection.close()


class Person:
    """A browser in which somebody is signed in."""

    def __init__(self, house, client, source="127.0.0.1"):
        self.house, self.client, self.cookies, self.source = house, client, {}, source
        link = re.search(r"/setup#(\S+)", house.command("admin-link")).group(1)
        fields = self.form(self.open("/setup")[2])
        status, _, text = self.post("/setup", [*fields, ("code", link)])
        expect(status == 303, f"a link signs nobody in: {status} {text[:200]}")

    def send(self, method, path, fields=None, site="none"):
        headers = {"Sec-Fetch-Site": site, **({"Origin": "null"} if fields is not None else {})}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = ask(self.house.port, method, path, fields, headers, source=self.source)
        for name, value in answer[1]:
            if name.lower() == "set-cookie":
                key, content = value.split(";")[0].split("=", 1)
                if "Max-Age=0" in value:
                    self.cookies.pop(key, None)
                else:
                    self.cookies[key] = content
        return answer

    def open(self, path):
        return self.send("GET", path)

    def post(self, path, fields):
        return self.send("POST", path, fields, "same-origin")

    def change(self, change):
        """What the API of administrators answers to a change of this person."""
        status, _, text = self.send("GET", "/api/v1/session", site="same-origin")
        expect(status == 200, f"no session at the API: {status} {text[:200]}")
        headers = {
            "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json", "Doorward-Form": json.loads(text)["form"],
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
        }
        status, _, text = ask(self.house.port, "POST", "/api/v1/changes", headers=headers, body=json.dumps(change), source=self.source)
        return status, json.loads(text)

    @staticmethod
    def form(page):
        """The hidden fields of the first form."""
        first = page.split("<form", 1)[1].split("</form>", 1)[0]
        hidden = [tag for tag in re.findall(r"<input[^>]*>", first) if 'type="hidden"' in tag]
        value = lambda tag, name: html.unescape(re.search(rf'{name}="([^"]*)"', tag).group(1))
        return [(value(tag, "name"), value(tag, "value")) for tag in hidden]

    def page(self, server="lax", scope="lax:read"):
        """The consent page of a request of this client."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
        query = {
            "response_type": "code", "client_id": self.client, "redirect_uri": CALLBACK, "code_challenge": challenge,
            "code_challenge_method": "S256", "resource": f"{self.house.public}/s/{server}/mcp", "scope": scope, "state": "s",
        }
        return self.asked("/oauth/authorize?" + urllib.parse.urlencode(query))

    def asked(self, path):
        """The consent page of a request: its hidden fields, and the scopes that it offers."""
        status, _, text = self.open(path)
        expect(status == 200 and 'name="txn"' in text, f"no consent page: {status} {text[:300]}")
        return self.form(text), re.findall(r'name="grant" value="([^"]*)"', text)

    def allow(self, page):
        """The code of a yes to all that is offered."""
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.answer(page)).query))["code"]

    def answer(self, page):
        """Where the browser is sent after a yes to all that is offered."""
        fields, offered = page
        answers = [("decision", "allow"), ("duration", "8h"), *(("grant", scope) for scope in offered)]
        status, _, text = self.post("/oauth/consent", [*fields, *answers])
        found = re.search(r'http-equiv="refresh" content="[^"]*?url=([^"]*)"', text)
        expect(status == 200 and found, f"no answer: {status} {text[:300]}")
        address = html.unescape(found.group(1)).strip("'")
        expect("code=dwac_" in address, "an answer without a code")
        return address


    def device(self, code, decision):
        """A decision about the request of a device."""
        typed = [*self.form(self.open("/device")[2]), ("user_code", code)]
        status, _, text = self.post("/device", typed)
        expect(status == 200 and "Only go on if you started this yourself" in text, f"no question: {status} {text[:300]}")
        fields, offered = self.form(text), re.findall(r'name="grant" value="([^"]*)"', text)
        time.sleep(READING)
        answers = [("decision", decision), ("duration", "8h"), ("device", "mine"), *(("grant", scope) for scope in offered)]
        status, _, text = self.post("/oauth/consent", [*fields, *answers])
        expect(status == 200 and "You can close this window" in text, f"no end: {status} {text[:300]}")


def register(house, source="127.0.0.1"):
    body = json.dumps({"client_name": "Office kit", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"})
    status, _, text = ask(house.port, "POST", "/oauth/register", headers={"Content-Type": "application/json"}, body=body, source=source)
    expect(status == 201, f"no registration: {status} {text}")
    return json.loads(text)["client_id"]


def by_code(house, client, code, source="127.0.0.1"):
    return ask(house.port, "POST", "/oauth/token", {
        "grant_type": "authorization_code", "client_id": client, "code": code, "code_verifier": VERIFIER, "redirect_uri": CALLBACK,
    }, source=source)


def by_refresh(house, client, token):
    return ask(house.port, "POST", "/oauth/token", {"grant_type": "refresh_token", "client_id": client, "refresh_token": token})


class Door:
    """A gateway that somebody else started."""

    def __init__(self, address, command):
        self.port, self.public, self.words = int(address.rsplit(":", 1)[1]), f"http://{address}", command

    def command(self, *words):
        return subprocess.run([*self.words, *words], capture_output=True, text=True, check=True).stdout


def token(door, server):
    """An access token for everything that the consent page offers of a server."""
    client = register(door)
    person = Person(door, client)
    page = person.page(server, " ".join(f"{server}:{what}" for what in ("read", "write", "destructive")))
    time.sleep(READING)
    status, _, text = by_code(door, client, person.allow(page))
    expect(status == 200, f"no tokens: {status} {text[:300]}")
    return json.loads(text)["access_token"]


def main(what, address, about, *command):
    door = Door(address, command)
    if what == "token":
        print(token(door, about))
    elif what in ("device", "deny"):
        Person(door, None).device(about, "allow" if what == "device" else "cancel")
    else:
        person, asked = Person(door, None), urllib.parse.urlsplit(about)
        page = person.asked(f"{asked.path}?{asked.query}")
        time.sleep(READING)
        print(person.answer(page))


if __name__ == "__main__":
    main(*sys.argv[1:])
