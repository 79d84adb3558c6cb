"""Puts a pickup that has come to its end on the board of the office."""

import json
import os
import urllib.request

edition = "1"


def lambda_handler(event, context):
    if event.get("probe"):
        return {"statusCode": 200, "body": "able"}
    for record in event["Records"]:
        news = json.loads(record["Sns"]["Message"])
        what = news.get("state", "") + news.get("money", "")
        append({
            "request": f"{news['pickup']}:{what}:dashboard",
            "kind": "notice",
            "pickup": news["pickup"],
            "note": {"channel": "dashboard", "text": f"{news.get('state', '')} {news['pickup']}"},
        })
    return {"edition": edition}


def append(entry):
    """Writes an entry of the ledger; one that is there already is answered with 200."""
    request = urllib.request.Request(
        os.environ["TITRATE_URL_LEDGER"] + "/ledger/entries",
        data=json.dumps(entry).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()
