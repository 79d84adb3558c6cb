// Web is the shop as customers see it.
import express from "express";

const { CATALOG_URL, ORDERS_URL, REVIEWS_URL, SHIPPING_URL } = process.env;
const app = express();
app.use(express.urlencoded({ extended: false }));

async function ask(url, options = {}) {
  const res = await fetch(url, { ...options, signal: AbortSignal.timeout(5000) });
  if (!res.ok) throw new Error(`${url} answered ${res.status}`);
  return res.json();
}

const euros = (cents) => `${(cents / 100).toFixed(2)} €`;
const text = (s) => String(s).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

app.get("/healthz", (req, res) => res.send("ok\n"));

app.get("/", async (req, res, next) => {
  try {
    const [books, stars, shipping] = await Promise.all([
      ask(`${CATALOG_URL}/books`), ask(`${REVIEWS_URL}/stars`), ask(`${SHIPPING_URL}/quote?grams=400`)]);
    const rows = books.map((b) => `<tr><td>${text(b.title)}<td>${text(b.author)}<td>${"★".repeat(stars[b.id] ?? 0)}<td>${euros(b.cents)}
      <td><form method="post" action="/buy"><input type="hidden" name="book" value="${text(b.id)}">
      <input name="email" type="email" placeholder="you@example.com" required><button>Buy</button></form>`);
    res.send(`<!doctype html><title>Bookshop</title><h1>Bookshop</h1><table>${rows.join("")}</table>
      <p>Sent in ${shipping.days} days for ${euros(shipping.cents)}.`);
  } catch (err) {
    next(err);
  }
});

app.post("/buy", async (req, res, next) => {
  try {
    const { book, email } = req.body;
    const order = await ask(`${ORDERS_URL}/orders`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ book, email }),
    });
    res.status(201).send(`<!doctype html><title>Thank you</title><p>Order ${order.id}: ${text(order.title)}, ${euros(order.cents)}.`);
  } catch (err) {
    next(err);
  }
});

app.use((err, req, res, next) => {
  console.error(err);
  res.status(500).send("Something went wrong; nothing was bought.\n");
});

const port = process.env.PORT || 3000;
const server = app.listen(port, () => console.log(`web listens on :${port}`));
process.on("SIGTERM", () => server.close());
