import { expect, test } from "bun:test";
import type { Step } from "../../engine/types.ts";
import { builtIn } from "../support/command-lines.ts";

/** Each step that does something, with the `when` that it has. */
function actions(steps: readonly Step[]): { type: string; when: string }[] {
  return steps.flatMap((step) =>
    step.kind === "block"
      ? actions([...step.block, ...(step.rescue ?? []), ...(step.always ?? [])])
      : [{ type: step.type, when: step.when ?? "" }],
  );
}

test("the answer to a question that is given ahead says that it confirms, so that it is a person's to give", async () => {
  const silent: string[] = [];
  const said: string[] = [];
  for (const [name, { steps, params }] of await builtIn())
    for (const { type, when } of actions(steps))
      for (const [, param = ""] of type === "confirm" ? when.matchAll(/\bparams\.(\w+)/g) : [])
        (params[param]?.confirms === true ? said : silent).push(`${name}.${param}`);
  expect(silent).toEqual([]);
  expect(said).toContain("index/drop.confirmed");
});
