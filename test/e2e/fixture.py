# SPDX-License-Identifier: Apache-2.0
# fixture.py - databases of released formats as text, and what the API says of them. tool/fixture makes
# one when something is released; test_formats.py reads all of them with the program of today.
#
# A fixture is two files in test/store/fixtures: NAME.sql, which makes the file again, and NAME.json, what
# the program that wrote it answered to QUESTIONS. Members may be added to answers later on; none of these
# may go or change.
import json
import pathlib
import sqlite3
import time

import kit

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "store" / "fixtures"
QUESTIONS = ("/inventory/instances", "/inventory/instances/web-1", "/inventory/instances/odd%20%C3%A9%22",
             "/deploy", "/deploy/r-1?members=completed", "/deploy/r-2", "/deploy/r-3", "/deploy/r-4",
             "/deploy/status", "/events?after=0&follow=false")
# Nothing moves while a fixture is made or looked at.
SETTINGS = ("reconcile=manual", "heartbeat_timeout=12h", "max_concurrent=3", "events_kept_days=3650",
            "rollouts_kept_days=36500")
COUNTS_WRITES = ("revision",)


# ---- databases as text -------------------------------------------------------------------------


def dump(data):
    """The database in the folder `data` of a server that was killed, its log included."""
    with sqlite3.connect(pathlib.Path(data, "dides.db")) as db:
        lines = list(db.iterdump())
        for name in ("application_id", "user_version"):
            lines.append(f"PRAGMA {name} = {db.execute('PRAGMA ' + name).fetchone()[0]};")
    db.close()
    return "\n".join(lines) + "\n"


def load(name, data):
    """Makes the folder `data` with the database of a fixture."""
    pathlib.Path(data).mkdir(mode=0o700, parents=True)
    with sqlite3.connect(pathlib.Path(data, "dides.db")) as db:
        db.executescript((FOLDER / (name + ".sql")).read_text())
    db.close()


def names():
    return sorted(path.stem for path in FOLDER.glob("*.sql"))


# ---- what the API says -------------------------------------------------------------------------


def answers(server):
    said = {}
    for question in QUESTIONS:
        answer = server.ask("GET", question)
        assert answer.status == 200, (question, answer)
        text = answer.body.decode()
        said[question] = text.split("\n") if question.startswith("/events") else json.loads(text)
    return said


def common(one, other):
    """What both say; what depends on the moment is left out."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: common(one[key], other[key]) for key in one
                if key in other and key not in COUNTS_WRITES and common(one[key], other[key]) is not Ellipsis}
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [common(a, b) for a, b in zip(one, other)]
    return one if one == other else Ellipsis


def missing(golden, now, path=""):
    """The places at which `now` does not say what `golden` does."""
    if isinstance(golden, dict):
        if not isinstance(now, dict):
            return [path]
        return [place for key in golden
                for place in (missing(golden[key], now[key], f"{path}/{key}") if key in now else [f"{path}/{key}"])]
    if isinstance(golden, list):
        if not isinstance(now, list) or len(now) != len(golden):
            return [path]
        return [place for i, (a, b) in enumerate(zip(golden, now)) for place in missing(a, b, f"{path}/{i}")]
    return [] if golden == now else [f"{path}: {json.dumps(golden)} became {json.dumps(now)}"]


# ---- making one --------------------------------------------------------------------------------


def _fleet(client):
    """Instances of every status, with and without a name, and names that want care."""
    for name, code, status in (("web-1", "1.0.0", "HEALTHY"), ("web-2", "1.0.0", "HEALTHY"),
                               ("web-3", "1.0.0", "DEGRADED"), ("db-1", "7", "FAILED"), ("gone", "1", "HEALTHY"),
                               ('odd é"', "1.0.0", "HEALTHY")):
        labels = {"env": "prod" if name.startswith("web") else "dev", "zone": "a"}
        assert kit.register(client, name, labels).status == 201
        body = {"code_version": code, "configuration_version": "c1", "status": status, "message": f"{name} is up"}
        assert client.patch(kit.instance_path(name), body).status == 200
    assert client.post("/inventory/register", {"instance": {"ip": "10.9.9.9"}, "token": "t"}).status == 201
    assert client.send("DELETE", "/inventory/instances/gone").status == 204


def _update(client, names_, code, status="HEALTHY", message=""):
    for name in names_:
        body = {"code_version": code, "status": status, "message": message}
        assert client.patch(kit.instance_path(name), body).status == 200
        client.post("/deploy/progress")


def _deploy(client, code, labels, reason, **configuration):
    body = {**kit.deploy_body(code, labels, "c2", **configuration), "reason": reason}
    answer = client.post("/deploy", body, headers={"Idempotency-Key": f"key-{code}"})
    assert answer.status == 201, answer
    return answer.json()["id"]


def _completed(client):
    """r-1 completes."""
    rollout = _deploy(client, "2.0.0", {"env": "prod"}, "the first one", batch_size=2)
    for name in ("web-1", "web-2", "web-3"):
        client.patch(kit.instance_path(name), {"code_version": "2.0.0", "configuration_version": "c2",
                                               "status": "HEALTHY"})
        client.post(f"/deploy/progress?id={rollout}")
    assert client.get(f"/deploy/{rollout}").json()["status_name"] == "COMPLETED"


def _failed_and_live(client):
    """r-2 fails and is rolled back by r-3, which is left in the middle; r-4 is paused."""
    rollout = _deploy(client, "3.0.0", {"env": "prod"}, "a bad one", batch_size=1, failure_threshold=1)
    _update(client, ["web-1"], "3.0.0", "FAILED", "exit 1: port in use")
    record = client.get(f"/deploy/{rollout}").json()
    assert record["status_name"] == "FAILED", record
    paused = _deploy(client, "8", {"env": "dev"}, "lunch first", batch_size="50%")
    assert client.post(f"/deploy/{paused}/pause", {"reason": "lunch"}).status == 200


def make(name, folder):
    """Plays the story with the program under test and writes both files of the fixture `name`."""
    data = pathlib.Path(folder, "data")
    home = kit.Server(data, sets=SETTINGS).start()
    client = home.client()
    _fleet(client)
    _completed(client)
    client.close()
    home.release()  # what was so far is folded and closed
    home = kit.Server(data, sets=SETTINGS).start()
    client = home.client()
    _failed_and_live(client)
    client.close()
    home.kill()  # what came since waits in the journal
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / (name + ".sql")).write_text(dump(data))
    said = []
    for attempt in ("one", "two"):
        load(name, pathlib.Path(folder, attempt))
        home = kit.Server(pathlib.Path(folder, attempt), sets=SETTINGS).start()
        said.append(answers(home))
        home.release()
        time.sleep(1.5)
    golden = common(*said)
    text = json.dumps(golden, indent=1, sort_keys=True, ensure_ascii=False)
    (FOLDER / (name + ".json")).write_text(text + "\n")
