import { amount } from "../../shared/amount.ts";
import { ExprError, type Node, textOf } from "../ast.ts";
import { ValueError } from "../operators.ts";
import { Dict, keyOf, List, Uint, type Value } from "../values.ts";
import { didYouMean, short, withArticle } from "../wording.ts";

/** `owner.key`, or `owner['key']`. @throws ExprError */
export function member(
  source: string,
  node: Node & { op: "." | "[]" },
  owner: Value,
  key: string,
): Value {
  const found = owner instanceof Dict ? owner.get(key) : undefined;
  if (found !== undefined) return found;
  const text = short(textOf(source, node.args[0]));
  const at = { start: node.op === "." ? node.pos : node.start, end: node.end };
  if (owner instanceof Dict)
    throw new ExprError(at, `${text} has no key ${short(key)}`, () =>
      didYouMean(key, owner.keys().map(String)),
    );
  const hint =
    owner instanceof List
      ? `Index it, ${text}[0].${key}, or use ${text}.map(x, x.${key}).`
      : owner === null
        ? `Test it first: ${text} != null && ...`
        : "Only maps have keys.";
  throw new ExprError(at, `${text} is ${withArticle(owner)}, it has no key ${short(key)}`, hint);
}

/** `owner[index]`. @throws ExprError · ValueError */
export function element(
  source: string,
  node: Node & { op: "[]" },
  owner: Value,
  index: Value,
): Value {
  if (owner instanceof Dict && typeof index === "string") return member(source, node, owner, index);
  const text = short(textOf(source, node.args[0]));
  if (owner instanceof Dict) {
    const key = keyOf(index);
    const found = key === undefined ? undefined : owner.get(key);
    if (found !== undefined) return found;
    throw new ValueError(
      key === undefined
        ? `${withArticle(index)} is never the key of a map`
        : `${text} has no key ${short(String(key))}`,
      `Test it first: key in ${text}. Keys that came as data are text: m[string(n)].`,
    );
  }
  if (!(owner instanceof List))
    throw new ValueError(
      `${text} is ${withArticle(owner)} and can't be indexed`,
      "Only lists and maps can.",
    );
  const whole = index instanceof Uint ? index.value : index;
  if (typeof whole !== "bigint" && !Number.isInteger(whole))
    throw new ValueError(
      `a list is indexed with an int, not ${withArticle(index)}`,
      `Write ${text}[0].`,
    );
  const position = Number(whole);
  if (position >= 0 && position < owner.size) return owner.at(position);
  throw new ValueError(
    `${text} has ${amount(owner.size, "item")}, there is no item ${position}`,
    `Test size(${text}) first; items count from 0.`,
  );
}
