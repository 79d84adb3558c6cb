// GET /prices: what is taken, and for how much.

const edition = "1";

const fils = {
  sofa: 12500, wardrobe: 12500, mattress: 6250, fridge: 9750, "washing-machine": 9750, cooker: 9750,
  table: 4500, desk: 4500, chair: 1250, lamp: 1250,
};

export async function handler(event) {
  if (event.probe) return { statusCode: 200, body: "able" };
  const prices = Object.fromEntries(
    Object.entries(fils).map(([item, n]) => [item, `${Math.trunc(n / 1000)}.${String(n % 1000).padStart(3, "0")} KWD`]),
  );
  return {
    statusCode: 200,
    headers: { "content-type": "application/json", "x-edition": edition },
    body: JSON.stringify(prices),
  };
}
