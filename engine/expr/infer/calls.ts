import type { JsonSchema } from "../../types.ts";
import { FUNCTION_SCOPE, type Node } from "../ast.ts";
import { findOverload, FUNCTIONS, signatures } from "../functions.ts";
import { type Kind, kindsOf, runOverload } from "../functions/overload.ts";
import { regex } from "../functions/text.ts";
import { ValueError } from "../operators.ts";
import { describe, mayBe, union } from "../schema-types.ts";
import { didYouMean } from "../wording.ts";
import { Work } from "../work.ts";
import type { Problems } from "./problems.ts";

/** A call as written; of a method, the receiver is the first argument. */
export interface Call {
  node: Node;
  name: string;
  args: Node[];
  hasReceiver: boolean;
}

const KIND_TYPES: Record<Kind, string[]> = {
  any: [],
  string: ["string"],
  bool: ["boolean"],
  int: ["integer", "number"],
  uint: ["uint"],
  double: ["number"],
  number: ["number"],
  list: ["array"],
  map: ["object"],
  timestamp: ["timestamp"],
  duration: ["duration"],
  bytes: ["bytes"],
  type: ["type"],
};

/** A call of a function or a method with arguments of the schemas `given`. */
export function checkCall(problems: Problems, call: Call, given: JsonSchema[]): JsonSchema {
  const { node, name, hasReceiver } = call;
  const all = FUNCTIONS[name];
  if (!all) {
    return problems.report(
      node,
      "unknown-function",
      `there is no function ${name}`,
      didYouMean(name, [...Object.keys(FUNCTIONS), ...FUNCTION_SCOPE]),
    );
  }
  const sameShape = all.filter(
    (overload) =>
      (overload.receiver !== undefined) === hasReceiver &&
      kindsOf(overload).length === given.length,
  );
  if (sameShape.length === 0) {
    return problems.report(
      node,
      "wrong-arguments",
      `${problems.text(node)} is not how ${name} is called`,
      `It is ${signatures(name)}.`,
    );
  }
  const fitting = sameShape.filter((overload) =>
    kindsOf(overload).every((kind, i) => kind === "any" || mayBe(given[i]!, ...KIND_TYPES[kind])),
  );
  if (fitting.length === 0) {
    return problems.report(
      node,
      "type-mismatch",
      `${name} does not take ${given.map(describe).join(", ")}`,
      `It is ${signatures(name)}.`,
    );
  }
  tryOut(problems, call);
  return union(
    fitting.map(({ returns }) => (typeof returns === "function" ? returns(given) : returns)),
  );
}

/** A call whose arguments are all written out is made, so that `bytes('1XB')` is found before anything runs. */
function tryOut(problems: Problems, { node, name, args, hasReceiver }: Call): void {
  try {
    const pattern = args.at(-1);
    if (name === "matches" && pattern?.op === "value") regex(pattern.args as string, new Work());
    const values = args.flatMap((arg) => (arg.op === "value" ? [arg.args] : []));
    if (values.length < args.length) return;
    const overload = findOverload(name, values, hasReceiver);
    if (overload) runOverload(overload, values, new Work());
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    problems.report(node, "invalid-value", error.message, error.hint);
  }
}
