// Orders takes what customers buy.
import express from "express";
import pg from "pg";
import { total } from "./total.js";

const db = new pg.Pool({ connectionString: process.env.DATABASE_URL });
db.on("error", (err) => console.error(err.message)); // of an idle connection: the next query opens another
const app = express();
app.use(express.json());

async function get(url) {
  const res = await fetch(url, { signal: AbortSignal.timeout(3000) });
  if (res.status === 404) return null;
  if (!res.ok) throw new Error(`${url} answered ${res.status}`);
  return res.json();
}

app.get("/healthz", async (req, res, next) => {
  try {
    await db.query("SELECT 1");
    res.send("ok\n");
  } catch (err) {
    next(err);
  }
});

app.post("/orders", async (req, res, next) => {
  try {
    const { book: id, email, copies = 1 } = req.body;
    const book = await get(`${process.env.CATALOG_URL}/books/${encodeURIComponent(id)}`);
    if (!book) return res.status(404).json({ error: "no such book" });
    const price = await get(`${process.env.PRICING_URL}/price?cents=${book.cents}`);
    const cents = total(price, copies);
    const { rows } = await db.query(
      "INSERT INTO orders (book, title, email, cents) VALUES ($1, $2, $3, $4) RETURNING id", [book.id, book.title, email, cents]);
    res.status(201).json({ id: rows[0].id, title: book.title, cents });
  } catch (err) {
    next(err);
  }
});

app.get("/orders", async (req, res, next) => {
  try {
    const { rows } = await db.query("SELECT id, title, cents, mailed FROM orders ORDER BY id DESC LIMIT 20");
    res.json(rows);
  } catch (err) {
    next(err);
  }
});

app.use((err, req, res, next) => {
  console.error(err);
  res.status(500).json({ error: "the order was not taken" });
});

await db.query(`CREATE TABLE IF NOT EXISTS orders (
  id serial PRIMARY KEY, book text NOT NULL, title text NOT NULL, email text NOT NULL, cents int NOT NULL, mailed bool NOT NULL DEFAULT false)`);
const port = process.env.PORT || 3000;
const server = app.listen(port, () => console.log(`orders listens on :${port}`));
process.on("SIGTERM", () => server.close(() => db.end()));
