import { binary, checkedInt, compare, isNumber, ValueError } from "../operators.ts";
import { List, typeName, type Value } from "../values.ts";
import type { Work } from "../work.ts";

export function sum(list: List, work: Work): Value {
  work.charge(list.size);
  let total: Value = 0n;
  let isFirst = true;
  for (const item of list) {
    if (!isNumber(item)) {
      throw new ValueError(
        `sum() takes numbers, the list holds a ${typeName(item)}`,
        "Leave others out with .filter(x, x != null).",
      );
    }
    if (typeof item === "bigint" && typeof total === "bigint") total = checkedInt(total + item);
    else total = isFirst ? item : binary("+", total, item, work);
    isFirst = false;
  }
  return total;
}

/** The first items of a list, `count` at most. */
export function take(list: List, count: bigint, work: Work): List {
  const kept = Number(count < 0n ? 0n : count);
  const items: Value[] = [];
  for (const item of list) {
    if (items.length >= kept) break;
    items.push(item);
  }
  work.charge(items.length);
  return List.of(items);
}

/** The least (`sign` 1) or greatest (-1) of the items. */
export function extreme(name: string, sign: 1 | -1, items: Iterable<Value>, work: Work): Value {
  let best: Value | undefined;
  for (const item of items) {
    const order = best === undefined ? compare(item, item, work) : compare(item, best, work);
    if (order === undefined) {
      throw new ValueError(
        `${name}() can't order a ${typeName(item)}${best === undefined ? "" : ` with a ${typeName(best)}`}`,
        "Leave others out with .filter(x, x != null).",
      );
    }
    if (best === undefined || order * sign < 0) best = item;
  }
  if (best === undefined)
    throw new ValueError(`${name}() of an empty list`, "Test size(list) > 0 first.");
  return best;
}
