// total returns what a number of copies costs, in cents.
export function total(price, copies) {
  if (!Number.isInteger(copies) || copies < 1) throw new RangeError(`${copies} copies`);
  return price.cents * copies;
}
