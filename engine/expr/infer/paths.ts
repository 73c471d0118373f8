import type { JsonSchema } from "../../types.ts";
import type { Node } from "../ast.ts";
import {
  comparable,
  describe,
  DYNAMIC,
  elementOf,
  keysOf,
  mayBe,
  memberOf,
  solidTypes,
} from "../schema-types.ts";
import { didYouMean } from "../wording.ts";
import type { Problems } from "./problems.ts";

/** `owner.key`; `at` is where the key stands. */
export function checkMember(
  problems: Problems,
  ownerNode: Node,
  owner: JsonSchema,
  key: string,
  at: { start: number; end: number },
): JsonSchema {
  const member = memberOf(owner, key);
  if ("schema" in member) return member.schema;
  const text = problems.text(ownerNode);
  if (member.missing === "unknown") {
    return problems.report(
      at,
      "unknown-key",
      `${text} has no key ${key}`,
      didYouMean(key, member.keys),
    );
  }
  const hint = mayBe(owner, "array")
    ? `Index it, ${text}[0].${key}, or use ${text}.map(x, x.${key}).`
    : "Only maps have keys.";
  return problems.report(
    at,
    "type-mismatch",
    `${text} is ${describe(owner)}, it has no key ${key}`,
    hint,
  );
}

/** `owner[index]`. */
export function checkIndex(
  problems: Problems,
  node: Node & { op: "[]" },
  owner: JsonSchema,
  index: JsonSchema,
): JsonSchema {
  const [ownerNode, indexNode] = node.args;
  const isKey =
    indexNode.op === "value" && typeof indexNode.args === "string" && mayBe(owner, "object");
  if (isKey && mayBe(keysOf(owner), "string"))
    return checkMember(problems, ownerNode, owner, indexNode.args as string, indexNode);
  const text = problems.text(ownerNode);
  if (!mayBe(owner, "array", "object")) {
    return problems.report(
      node,
      "type-mismatch",
      `${text} is ${describe(owner)} and can't be indexed`,
      "Only lists and maps can.",
    );
  }
  const fits =
    (mayBe(owner, "array") && mayBe(index, "integer", "uint")) ||
    (mayBe(owner, "object") && comparable(index, keysOf(owner)));
  if (!fits) {
    return problems.report(
      indexNode,
      "type-mismatch",
      `${text} is ${describe(owner)} and can't be indexed with ${describe(index)}`,
      `Write ${text}[0] for a list, m['key'] for a map.`,
    );
  }
  const types = solidTypes(owner);
  if (types?.size === 1 && types.has("array")) return elementOf(owner);
  return typeof owner.additionalProperties === "object" && !owner.properties
    ? owner.additionalProperties
    : DYNAMIC;
}
