import assert from "node:assert/strict";
import test from "node:test";
import { total } from "./total.js";

test("two copies cost twice as much", () => assert.equal(total({ cents: 990 }, 2), 1980));
test("half a copy is not sold", () => assert.throws(() => total({ cents: 990 }, 0.5), RangeError));
