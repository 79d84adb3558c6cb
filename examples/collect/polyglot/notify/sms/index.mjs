// Sends customers a short message when a pickup has come to its end.

const edition = "1";

export async function handler(event) {
  if (event.probe) return { statusCode: 200, body: "able" };
  for (const record of event.Records) {
    const news = JSON.parse(record.Sns.Message);
    const what = (news.state ?? "") + (news.money ?? "");
    await append({
      request: `${news.pickup}:${what}:sms`,
      kind: "notice",
      pickup: news.pickup,
      note: { channel: "sms", text: `${news.pickup}: ${news.state}` },
    });
  }
  return { edition };
}

// append writes an entry of the ledger; one that is there already is answered with 200.
async function append(entry) {
  const answer = await fetch(`${process.env.TITRATE_URL_LEDGER}/ledger/entries`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(entry),
  });
  if (!answer.ok) throw new Error(`the ledger answered ${answer.status}: ${await answer.text()}`);
}
