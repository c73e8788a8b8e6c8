"""The cases `office` and `replicas` of scripts/crash: fifty clients redeem one code and fifty refresh one token, and the gateway, or one of two
over one database, is killed meanwhile.

What must hold (TK-04, TK-06, FLT-02; issue "front office"): of one code there is one line of tokens, whoever asked and whatever fell between;
who was answered has tokens that count after the restart, and at once at the other replica; and an honest client whose answer was lost is not signed out, for the same token
gives the same successor again.
"""

import json
import random
import threading
import time

from office import READING, Broken, Person, ask, by_code, by_refresh, expect, register

AT_ONCE = 50
ROUNDS_OF_A_HOUSE = 20


def at_once(one):
    """Asks from fifty threads at once; gives what is answered with 200 once all have ended, and a way to wait for that."""
    answers, wrong, gate = [], [], threading.Barrier(AT_ONCE + 1)

    def run():
        gate.wait()
        status, _, text = one()
        if status == 200:
            answers.append(json.loads(text))
        elif status not in (0, 400, 429, 503):
            wrong.append(f"status {status}: {text[:300]}")

    threads = [threading.Thread(target=run, daemon=True) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    gate.wait()

    def joined():
        for thread in threads:
            thread.join(20)
        expect(not wrong, wrong[0] if wrong else "")
        expect(not any(thread.is_alive() for thread in threads), "a request hangs")
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


class Office:
    """The gateway, or replicas of it over one database."""

    def __init__(self, houses):
        self.houses, self.fallen = houses, None
        for house in houses:
            house.start()

    def at_once(self, one):
        """`one` of each house in turn, fifty times at once."""
        turn = iter(range(AT_ONCE))
        return at_once(lambda: one(self.houses[next(turn) % len(self.houses)]))

    def kill(self):
        """After a moment of the fifty's work, mostly a short one."""
        time.sleep(0.25 * random.random() ** 3)
        self.fallen = random.choice(self.houses)
        self.fallen.kill()

    def where_to_go_on(self):
        """At another replica at once; at the only one after its restart."""
        others = [house for house in self.houses if house is not self.fallen]
        if not others:
            self.fallen.start()
            return self.fallen
        return random.choice(others)

    def whole(self):
        """All run again."""
        for house in self.houses:
            if house.process.poll() is not None:
                house.start()

    def stop(self):
        self.whole()
        granted = json.loads(self.houses[0].command("grant", "list", "--json"))["grants"]
        for house in self.houses:
            house.stop()
            expect(house.verify()["ok"], "audit verify")
        return len(granted)


def killed_in_a_redemption(office, client, code):
    """Gives the tokens that count afterwards, if there are any."""
    joined = office.at_once(lambda house: by_code(house, client, code))
    office.kill()
    answers = {pair(answer) for answer in joined()}
    expect(len(answers) <= 1, f"one code gave {len(answers)} lines of tokens")
    house = office.where_to_go_on()
    if answers:
        (tokens,) = answers
        expect(counts(house, tokens[0]), "tokens that were handed out do not count after the kill")
        return tokens
    status, _, text = by_code(house, client, code)
    if status == 200:
        return pair(json.loads(text))
    # Used up, and the answer was lost with the process: the client has to ask its person again. Nothing else counts.
    expect(status == 400 and "invalid_grant" in text, f"a code after a kill: {status} {text}")
    return None


def killed_in_a_refresh(office, client, tokens):
    """An honest client is never signed out, whatever became of its answer. Gives whether somebody had been answered."""
    joined = office.at_once(lambda house: by_refresh(house, client, tokens[1]))
    office.kill()
    answers = {pair(answer) for answer in joined()}
    expect(len(answers) <= 1, f"one refresh token gave {len(answers)} successors")
    house = office.where_to_go_on()
    status, _, text = by_refresh(house, client, tokens[1])
    expect(status == 200, f"an honest client is signed out: {status} {text}")
    again = pair(json.loads(text))
    expect(not answers or answers == {again}, "the same token gives another successor after the kill")
    office.whole()
    for house in office.houses:
        expect(counts(house, again[0]), "the successor does not count")
    return bool(answers)


def run(rounds, opened):
    """`opened(turn)` gives an office of its own for the next twenty rounds, or the one of before."""
    office, redeemed, lost, cut, granted = None, 0, 0, 0, 0
    for turn in range(rounds):
        if turn % ROUNDS_OF_A_HOUSE == 0:
            before, office = office, opened(turn)
            if before not in (None, office):
                granted += before.stop()
            house = office.houses[0]
            client = register(house)
            person = Person(house, client)
            codes, wanted = [], min(ROUNDS_OF_A_HOUSE, rounds - turn)
            while len(codes) < wanted:
                # A browser keeps the cookies of a few requests at a time.
                pages = [person.page() for _ in range(min(4, wanted - len(codes)))]
                time.sleep(READING)
                codes += [person.allow(page) for page in pages]
        tokens = killed_in_a_redemption(office, client, codes.pop())
        redeemed, lost = redeemed + (tokens is not None), lost + (tokens is None)
        office.whole()
        if tokens:
            cut += not killed_in_a_refresh(office, client, tokens)
    granted += office.stop()
    expect(granted <= rounds, f"{granted} consents of {rounds}")
    expect(redeemed * 2 >= rounds, f"only {redeemed} of {rounds} codes gave tokens that count")
    return (f"{rounds} kills while {AT_ONCE} redeemed one code, {redeemed} while as many refreshed one token: never two lines, nobody signed out; "
            f"{lost} codes were used up with their answer lost, {cut} refreshes were cut before anybody was answered")
