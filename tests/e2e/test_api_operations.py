# SPDX-License-Identifier: Apache-2.0
"""Operations of the HTTP API that ask more than the directory: name servers, the daemon, the log, upstreams; and a client made of the document."""
import json
import re
import subprocess
import sys
from urllib.parse import quote

import pytest

import dns
from test_http_api import SECRET, Api, Daemon

ACME = "/v1/accounts/acme"
ALICE = ACME + "/mailboxes/alice@acme.example"
ZONE = {
    "acme.example": {"TXT": ["v=spf1 include:spf.relay.test ~all"], "MX": ["10 mx.acme.example"]},
    "mx.acme.example": {"A": ["192.0.2.1"]},
    "s1._domainkey.acme.example": {"TXT": ["v=DKIM1; k=rsa; p=MIGf"]},
    "_dmarc.acme.example": {"TXT": ["v=DMARC1; p=none"]},
    "silent.example": dns.SILENT,
}


@pytest.fixture(scope="module")
def names():
    with dns.Server(dict(ZONE)) as server:
        yield server


@pytest.fixture
def api(tmp_path, names):
    api = Api(tmp_path / "byway", more=f"\n[dns]\nresolver = {names.address}\ntimeout = 1s\nspf_include = spf.relay.test\n[log]\npath = byway.log\n")
    yield api.fill()
    api.end()


# ---- domains ------------------------------------------------------------------------------------

def test_records_are_those_of_the_tool(api):
    path = ACME + "/domains/acme.example/records"
    told = api.ok("GET", path)
    assert told == json.loads(api.tool("domain", "records", "acme.example", "--json"))
    assert told == api.ok("GET", path + "?format=json")
    reply = api.call("GET", path + "?format=zone")
    assert reply.status == 200 and reply.headers["content-type"].startswith("text/plain")
    assert reply.body.decode() == api.tool("domain", "records", "acme.example", "--zone")
    api.refused(422, "GET", path + "?format=xml", says="json or zone")
    api.ok("PATCH", ACME + "/domains/acme.example", {"route": "mg"})
    assert "profile mg" in api.ok("GET", path)["note"]


def test_a_domain_is_verified(api):
    path = ACME + "/domains/acme.example"
    api.ok("PATCH", path, {"verified": False})
    told = api.ok("POST", path + "/verify")
    assert (told["status"], told["verified"]) == ("Domain not verified", False)
    assert next(r for r in told["records"] if r["record"] == "dkim")["state"] == "missing"
    api.ok("PATCH", path, {"dkim_selector": "s1"})
    told = api.ok("POST", path + "/verify")
    assert (told["status"], told["verified"]) == ("Active", True)
    assert api.ok("GET", path)["verified"] is True
    assert told == json.loads(api.tool("domain", "verify", "acme.example", "--json"))


def test_name_servers_that_do_not_answer(api):
    api.ok("PUT", ACME + "/domains/silent.example", {"verified": True, "dkim_selector": "s1"})
    told = api.ok("POST", ACME + "/domains/silent.example/verify")
    assert told["verified"] is True and "stays as it was" in told["status"]
    assert api.ok("GET", ACME + "/domains/silent.example")["verified"] is True


# ---- routes -------------------------------------------------------------------------------------

def test_routes(api):
    account, domain = ACME + "/route", ACME + "/domains/acme.example/route"
    assert api.ok("GET", account) == {"account": "acme", "domain": None, "route": "inherit", "fallback": "none", "effective": "native"}
    for _ in range(2):
        told = api.ok("PUT", domain, {"route": "mg", "fallback": "native"})
        assert told == {"account": "acme", "domain": "acme.example", "route": "mg", "fallback": "native", "effective": "mg"}
    assert told == json.loads(api.tool("route", "show", "acme.example", "--json"))
    assert api.ok("PUT", domain, {"route": "native"})["fallback"] == "none"  # its fallback was that itself
    api.ok("PUT", account, {"route": "mg"})
    assert api.ok("GET", ACME + "/routes")["items"] == json.loads(api.tool("route", "list", "--json"))[:2]
    for _ in range(2):
        assert api.ok("DELETE", account)["route"] == "inherit"
        assert api.ok("DELETE", domain)["effective"] == "native"
    assert api.ok("GET", ACME)["route"] == "inherit"


@pytest.mark.parametrize("body,status,says", [
    ({}, 422, "route: native"), ({"route": "nowhere"}, 422, "nowhere"), ({"route": "mg", "fallback": "a b"}, 422, "a b"),
    ({"route": 7}, 422, "a string"), ({"rout": "mg"}, 422, "rout"),
])
def test_routes_that_are_none(api, body, status, says):
    before = api.tool("export")
    for path in (ACME + "/route", ACME + "/domains/acme.example/route"):
        api.refused(status, "PUT", path, body, says=says)
    assert api.tool("export") == before


# ---- the daemon ---------------------------------------------------------------------------------

def test_what_the_daemon_is_asked(api):
    daemon = Daemon(api.dir / "control.sock", {"ok": True, "checks": [{"number": 1}], "refusals": [{"cause": "rcpt"}]})
    for path, word in ((ACME + "/explain?mailbox=ALICE%40acme.example", "explain alice@acme.example"),
                       (ACME + "/explain?mailbox=alice@acme.example&to=b%40x.example", "explain alice@acme.example b@x.example")):
        assert api.ok("GET", path) == daemon.answer
        assert daemon.asked.pop() == word + "\n"
    assert api.ok("GET", ACME + "/refusals") == {"refusals": [{"cause": "rcpt"}]}
    assert daemon.asked.pop() == "usage acme\n"
    assert api.ok("POST", "/v1/drain") == daemon.answer
    assert daemon.asked.pop() == "drain\n"
    assert api.ok("GET", ACME + "/profiles/mg/health") == daemon.answer
    assert re.fullmatch(r"profile \d+ acme/mg\n", daemon.asked.pop())
    api.refused(422, "GET", ACME + "/explain", says="say which one")
    for path in ("/v1/accounts/other/explain?mailbox=alice@acme.example", ACME + "/explain?mailbox=nobody@acme.example",
                 "/v1/accounts/none/refusals", ACME + "/profiles/none/health"):
        api.refused(404, "GET", path)
    assert daemon.asked == []


# ---- the machine --------------------------------------------------------------------------------

def test_presets_are_those_of_the_tool(api):
    told = api.ok("GET", "/v1/providers")
    assert told == {"items": json.loads(api.tool("provider", "list", "--json"))}
    assert {"mailgun", "sendgrid", "custom"} <= {preset["name"] for preset in told["items"]}
    api.refused(422, "GET", "/v1/providers?name=x")


def test_config_is_that_of_the_tool(api):
    assert api.ok("GET", "/v1/config")["config"] == json.loads(api.tool("config", "print", "--changed", "--json"))
    assert api.ok("GET", "/v1/config?changed=0")["config"] == json.loads(api.tool("config", "print", "--json"))
    api.refused(422, "GET", "/v1/config?changed=x")
    good = api.config.read_text()
    api.config.write_text(good + "nonsense = 1\n")
    api.refused(503, "GET", "/v1/config", says="nonsense")
    api.config.write_text(good)


LOG = """2026-11-26T08:00:00.000Z info worker-0 session id=S1abcdefgh at="1" peer=192.0.2.1
2026-11-26T08:00:01.000Z info worker-0 message id=M1abcdefgh session=S1abcdefgh from=a@x.example
2026-11-26T08:00:02.000Z info worker-0 message id=M2abcdefgh session=S2abcdefgh from=b@x.example
"""


def test_trace_is_that_of_the_tool(api):
    api.refused(503, "GET", "/v1/trace?id=M1abcdefgh", says="no log")
    (api.dir / "byway.log").write_text(LOG)
    told = api.ok("GET", "/v1/trace?id=M1abcdefgh")["lines"]
    assert [line["id"] for line in told] == ["S1abcdefgh", "M1abcdefgh"]
    assert told == json.loads(api.tool("trace", "M1abcdefgh", "--json"))
    api.refused(404, "GET", "/v1/trace?id=M9abcdefgh", says="nothing of")
    for wrong in ("", "?id=", "?id=x", "?id=a%20b%20c%20d%20e"):
        api.refused(422, "GET", "/v1/trace" + wrong)


# ---- a client made of the document --------------------------------------------------------------

NEEDED = {"putAccount": {"plan": "pro"}, "putMailbox": {"password": SECRET}, "suspendAccount": {"reason": "billing"},
          "putProfile": {"host": "smtp.mg.example", "username": "u", "password": SECRET},
          "putRoute": {"route": "native"}, "putDomainRoute": {"route": "native"}}
QUERY = {"mailbox": "alice@acme.example", "to": "b@x.example", "id": "M1abcdefgh"}
# What must be so before an operation makes sense, each time that it is called.
BEFORE = {"unblockMailbox": [("POST", ALICE + "/block", None)], "deletePlan": [("PUT", "/v1/plans/gold", {})],
          "resumeMailbox": [("POST", ALICE + "/unblock", None)], "pauseMailbox": [("POST", ALICE + "/unblock", None)]}
# What a second call may change.
MOVES = {"was", "password_set", "version", "password"}
ORDER = {"PUT": 0, "GET": 1, "PATCH": 2, "POST": 3, "DELETE": 4}
LEAVES = ["route", "{mailbox}", "{profile}", "{ip}", "{domain}", "{account}", "{plan}"]


def still(value):
    return {k: v for k, v in value.items() if k not in MOVES} if isinstance(value, dict) else value


class Client:
    """Calls operations by their ids, with nothing but the document and the names of things."""

    def __init__(self, api):
        self.api, self.document = api, api.ok("GET", "/v1/openapi.json")
        self.values = {"plan": "pro", "account": "acme", "domain": "acme.example", "mailbox": "alice@acme.example", "profile": "mg",
                       "ip": quote("192.0.2.0/24", "")}
        self.operations = [(method.upper(), path, op) for path, methods in self.document["paths"].items() for method, op in methods.items()]

    def schema(self, content):
        name = content["schema"].get("$ref", "").rsplit("/", 1)[-1]
        return self.document["components"]["schemas"][name] if name else content["schema"]

    def call(self, method, path, op):
        for step in BEFORE.get(op["operationId"], []):
            self.api.call(*step)
        query = "&".join(f"{p['name']}={quote(QUERY[p['name']])}" for p in op["parameters"] if p["in"] == "query" and p["required"])
        body = None
        if "requestBody" in op:
            body = NEEDED.get(op["operationId"], {})
            schema = self.schema(op["requestBody"]["content"]["application/json"])
            assert set(body) <= set(schema["properties"]) and schema["additionalProperties"] is False
        return self.api.call(method, path.format(**self.values) + (f"?{query}" if query else ""), body)


def test_a_client_calls_everything_and_twice_is_once(api):
    (api.dir / "byway.log").write_text(LOG)
    Daemon(api.dir / "control.sock", {"ok": True, "refusals": []})
    client = Client(api)
    assert client.document["openapi"].startswith("3.1")
    ids = [op["operationId"] for _, _, op in client.operations]
    assert len(ids) == len(set(ids)) and len(ids) >= 50

    def place(one):
        method, path, _ = one
        return ORDER[method], method == "DELETE" and LEAVES.index(path.rsplit("/", 1)[1])

    for method, path, op in sorted(client.operations, key=place):
        named = {p["name"] for p in op["parameters"] if p["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        if op["operationId"] == "deletePlan":
            client.values["plan"] = "gold"
        reply = client.call(method, path, op)
        assert str(reply.status) in op["responses"], (method, path, reply)
        kind, content = next(iter(op["responses"]["200"]["content"].items()))
        assert reply.headers["content-type"].split(";")[0] == kind, (path, reply)
        told = client.schema(content)
        assert told.get("additionalProperties", True) or set(reply.json) <= set(told["properties"]), (path, reply)
        before = api.tool("export")
        again = client.call(method, path, op)
        if method == "DELETE" and path.endswith("}") and op["operationId"] != "deletePlan":
            assert again.status == 404, again  # gone is gone
        elif method != "GET":
            assert again.status == 200 and still(again.json) == still(reply.json), (method, path, reply, again)
        assert re.sub("password is set, on .*", "", api.tool("export")) == re.sub("password is set, on .*", "", before), (method, path)


def test_the_document_is_in_order(api):
    """What linters of OpenAPI 3.1 look for: ids, tags of paths, references that lead somewhere, no two paths alike."""
    document = api.ok("GET", "/v1/openapi.json")
    schemas, shapes = document["components"]["schemas"], set()

    def references(value):
        for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from references(one)
        if isinstance(value, dict) and "$ref" in value:
            yield value["$ref"]

    assert {r.rsplit("/", 1)[1] for r in references(document)} <= set(schemas)
    for path, methods in document["paths"].items():
        shape = re.sub(r"{\w+}", "{}", path)
        assert shape not in shapes
        shapes.add(shape)
        for method, op in methods.items():
            assert op["summary"] and op["x-scope"] in ("read", "mailboxes", "profiles", "accounts", "operator")
            assert method in ("get", "put", "post", "patch", "delete") and "200" in op["responses"] and "default" in op["responses"]
            assert ("requestBody" in op) <= (method in ("put", "post", "patch"))
            named = [p["name"] for p in op["parameters"]]
            assert len(named) == len(set(named))
