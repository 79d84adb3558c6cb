"""Reports how many pickups to expect: as many as there were."""

import json
import os
import urllib.error
import urllib.request

edition = "1"


def lambda_handler(event, context):
    if event.get("probe"):
        return {"statusCode": 200, "body": "able"}
    ledger = os.environ["TITRATE_URL_LEDGER"] + "/ledger"
    at = event["time"]
    with urllib.request.urlopen(ledger + "/summary", timeout=10) as answer:
        pickups = json.load(answer)["pickups"]
    note = {"name": "forecast", "at": at, "edition": edition, "expected": str(pickups)}
    entry = {"request": f"report:forecast:{at}", "kind": "report", "note": note}
    request = urllib.request.Request(
        ledger + "/entries",
        data=json.dumps(entry).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()
    except urllib.error.HTTPError as refused:
        # 422: the report of this time is written, and the figures have moved on.
        if refused.code != 422:
            raise
    return {"edition": edition}
