import type { GateInput, Verdict } from "../gates/verdict.ts";
import type { JsonObject } from "../types.ts";
import { approversOf } from "./approve.ts";

/** What a plan is judged by, as the run itself will be, with the same flags. */
export function asRun(input: GateInput): GateInput {
  return { ...input, plan: false, flags: { ...input.flags, readOnly: false } };
}

/** The first that does not let the run through, in words: whoever looks at a plan knows whom to ask. A refusal goes before a question. */
export function aheadOf(
  verdicts: readonly Verdict[],
  askers: readonly string[],
): JsonObject | null {
  const answers = ["refuse", "approve", "ask"] as const;
  const first = answers.flatMap((answer) => verdicts.find((one) => one.answer === answer) ?? [])[0];
  switch (first?.answer) {
    case "refuse": {
      const { answer, gate, reason, hint, opens = [] } = first;
      return { answer, gate, message: reason, hint, opens: [...opens] };
    }
    case "ask": {
      const { answer, gate, question, opens } = first;
      const hint = `When it is wanted, run it with ${opens.join(" ")}.`;
      return { answer, gate, message: question, hint, opens: [...opens] };
    }
    case "approve": {
      const { answer, gate, rules } = first;
      const why = rules.map((rule) => rule.reason ?? "The policy wants an approval");
      return {
        answer,
        gate,
        message: why.join("; "),
        hint: "Run it: the refusal names the request that is to be approved.",
        approvers: approversOf(rules, askers),
      };
    }
    default:
      return null;
  }
}
