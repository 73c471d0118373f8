import { expect, test } from "bun:test";
import type { StepType } from "../../../engine/types.ts";
import { stepFacts, stepFactsInWords } from "../../../engine/view/step-facts.ts";

const type = (more: Partial<StepType>) =>
  ({ type: "team.kill", effect: "change", idempotent: false, ...more }) as StepType;

test("a step type is told with what it declares, and with what follows from its effect", () => {
  const said = type({ hazards: ["fault"], needs: ["nodes"], takes: ["postgres"], locks: "roles" });
  expect(stepFactsInWords(said)).toEqual([
    "effect: change",
    "risk: change",
    "hazards: fault",
    "needs: nodes",
    "takes: postgres",
    "locks: roles",
    "idempotent: no",
  ]);
  expect(stepFacts(type({ effect: "read", async plan() {}, idempotent: true } as never))).toEqual({
    effect: "read",
    risk: "read",
    hazards: [],
    needs: [],
    uses: [],
    gives: [],
    takes: [],
    locks: "none",
    idempotent: true,
    has: ["plan"],
  });
});

test("what a function of the input tells is said to depend on it", () => {
  const varied = type({ effect: () => "read", hazards: () => ["loses"], idempotent: () => true });
  expect(stepFacts(varied)).toMatchObject({
    effect: "by its input",
    risk: "by its input",
    hazards: "by its input",
    locks: "by its input",
    idempotent: "by its input",
  });
});
