"""The case `office` of scripts/crash: fifty clients redeem one code and fifty refresh one token, and the gateway is killed meanwhile.

What must hold (TK-04, TK-06, FLT-02; issue "front office"): of one code there is one line of tokens, whoever asked and whatever fell between;
who was answered has tokens that count after the restart; and an honest client whose answer was lost is not signed out, for the same token
gives the same successor again.
"""

import base64
import hashlib
import html
import http.client
import json
import random
import re
import threading
import time
import urllib.parse

AT_ONCE = 50
VERIFIER = "a-verifier-of-the-crash-kit-that-is-long-enough-0123456789"
CALLBACK = "http://127.0.0.1:61036/callback"
# A decision that comes sooner is no decision.
READING = 0.8
ROUNDS_OF_A_HOUSE = 20


class Broken(Exception):
    """A promise was broken; scripts/crash knows it under the same name."""


def expect(holds, text):
    if not holds:
        raise Broken(text)


def ask(port, method, path, fields=None, headers=None, body=None):
    """One request on a connection of its own: status, header fields, body; status 0 if there was no whole answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
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

    def __init__(self, house, client):
        self.house, self.client, self.cookies = house, client, {}
        link = re.search(r"/setup#(\S+)", house.command("admin-link")).group(1)
        fields = self.form(self.open("/setup")[2])
        status, _, text = self.post("/setup", [*fields, ("code", link)])
        expect(status == 303, f"a link signs nobody in: {status} {text[:200]}")

    def send(self, method, path, fields=None, site="none"):
        headers = {"Sec-Fetch-Site": site, **({"Origin": "null"} if fields is not None else {})}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = ask(self.house.port, method, path, fields, headers)
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

    @staticmethod
    def form(page):
        """The hidden fields of the first form."""
        first = page.split("<form", 1)[1].split("</form>", 1)[0]
        hidden = [tag for tag in re.findall(r"<input[^>]*>", first) if 'type="hidden"' in tag]
        value = lambda tag, name: html.unescape(re.search(rf'{name}="([^"]*)"', tag).group(1))
        return [(value(tag, "name"), value(tag, "value")) for tag in hidden]

    def page(self):
        """A consent page: its hidden fields."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
        query = {
            "response_type": "code", "client_id": self.client, "redirect_uri": CALLBACK, "code_challenge": challenge,
            "code_challenge_method": "S256", "resource": f"http://127.0.0.1:{self.house.port}/s/lax/mcp", "scope": "lax:read", "state": "s",
        }
        status, _, text = self.open("/oauth/authorize?" + urllib.parse.urlencode(query))
        expect(status == 200 and 'name="txn"' in text, f"no consent page: {status} {text[:300]}")
        return self.form(text)

    def allow(self, fields):
        """The code of a yes."""
        answers = [("decision", "allow"), ("duration", "8h"), ("grant", "lax:read"), ("grant", "lax:destructive")]
        status, _, text = self.post("/oauth/consent", [*fields, *answers])
        found = re.search(r"code=(dwac_[A-Za-z0-9_-]+)", html.unescape(text))
        expect(status == 200 and found, f"no code: {status} {text[:300]}")
        return found.group(1)


def register(house):
    body = json.dumps({"client_name": "Crash", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"})
    status, _, text = ask(house.port, "POST", "/oauth/register", headers={"Content-Type": "application/json"}, body=body)
    expect(status == 201, f"no registration: {status} {text}")
    return json.loads(text)["client_id"]


def by_code(house, client, code):
    return ask(house.port, "POST", "/oauth/token", {
        "grant_type": "authorization_code", "client_id": client, "code": code, "code_verifier": VERIFIER, "redirect_uri": CALLBACK,
    })


def by_refresh(house, client, token):
    return ask(house.port, "POST", "/oauth/token", {"grant_type": "refresh_token", "client_id": client, "refresh_token": token})


def at_once(one):
    """Asks from fifty threads at once; gives what is answered with 200 once all have ended, and a way to wait for that."""
    answers, gate = [], threading.Barrier(AT_ONCE + 1)

    def run():
        gate.wait()
        status, _, text = one()
        if status == 200:
            answers.append(json.loads(text))
        else:
            expect(status in (0, 400, 429, 503), f"status {status}: {text}")

    threads = [threading.Thread(target=run, daemon=True) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    gate.wait()

    def joined():
        for thread in threads:
            thread.join(20)
        return answers

    return joined


def counts(house, token):
    """Whether a token opens the server."""
    headers = {
        "Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list",
    }
    prefix = "io.modelcontextprotocol/"
    meta = {prefix + "protocolVersion": "2026-07-28", prefix + "clientInfo": {"name": "crash", "version": "1"}, prefix + "clientCapabilities": {}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}})
    return ask(house.port, "POST", "/s/lax/mcp", headers=headers, body=body)[0] == 200


def pair(answer):
    return answer["access_token"], answer["refresh_token"]


def killed_in_a_redemption(house, client, code):
    """Gives the tokens that count afterwards, if there are any, and whether somebody had been answered."""
    joined = at_once(lambda: by_code(house, client, code))
    time.sleep(random.uniform(0.0, 0.25))
    house.kill()
    answers = {pair(answer) for answer in joined()}
    expect(len(answers) <= 1, f"one code gave {len(answers)} lines of tokens")
    house.start()
    if answers:
        (tokens,) = answers
        expect(counts(house, tokens[0]), "tokens that were handed out do not count after the restart")
        return tokens, True
    status, _, text = by_code(house, client, code)
    if status == 200:
        return pair(json.loads(text)), False
    # Used up, and the answer was lost with the process: the client has to ask its person again. Nothing else counts.
    expect(status == 400 and "invalid_grant" in text, f"a code after a kill: {status} {text}")
    return None, False


def killed_in_a_refresh(house, client, tokens):
    """An honest client is never signed out, whatever became of its answer."""
    joined = at_once(lambda: by_refresh(house, client, tokens[1]))
    time.sleep(random.uniform(0.0, 0.25))
    house.kill()
    answers = {pair(answer) for answer in joined()}
    expect(len(answers) <= 1, f"one refresh token gave {len(answers)} successors")
    house.start()
    status, _, text = by_refresh(house, client, tokens[1])
    expect(status == 200, f"an honest client is signed out: {status} {text}")
    again = pair(json.loads(text))
    expect(not answers or answers == {again}, "the same token gives another successor after the restart")
    expect(counts(house, again[0]), "the successor does not count")
    return bool(answers)


def run(bench, rounds):
    house, redeemed, lost, cut = None, 0, 0, 0
    for turn in range(rounds):
        if turn % ROUNDS_OF_A_HOUSE == 0:
            if house:
                house.stop()
            house = bench.house(f"office-{turn}")
            house.start()
            client = register(house)
            person = Person(house, client)
            codes, wanted = [], min(ROUNDS_OF_A_HOUSE, rounds - turn)
            while len(codes) < wanted:
                # A browser keeps the cookies of a few requests at a time.
                pages = [person.page() for _ in range(min(4, wanted - len(codes)))]
                time.sleep(READING)
                codes += [person.allow(page) for page in pages]
        tokens, answered = killed_in_a_redemption(house, client, codes.pop())
        redeemed, lost = redeemed + (tokens is not None), lost + (tokens is None)
        if tokens:
            cut += not killed_in_a_refresh(house, client, tokens)
    if house:
        granted = json.loads(house.command("grant", "list", "--json"))["grants"]
        house.stop()
        expect(house.verify()["ok"], "audit verify")
        expect(len(granted) <= ROUNDS_OF_A_HOUSE, f"{len(granted)} consents of {ROUNDS_OF_A_HOUSE}")
    return (f"{rounds} kills while {AT_ONCE} redeemed one code, {redeemed} while as many refreshed one token: never two lines, nobody signed out; "
            f"{lost} codes were used up with their answer lost, {cut} refreshes were cut before anybody was answered")
