import type { workspace } from "./layers.ts";
import { faultsOf, rejectionOf } from "./refused.ts";

export const BASE = `name: base
summary: Base
risk: change
needs: [postgres, superuser]
params:
  lag: {type: integer, default: 1, description: How far}
  name: {type: string, enum: [a, b]}
steps:
  - id: one
    noop: {}
  - id: two
    block:
      - id: inner
        noop: {}
      - id: other
        noop: {}
    rescue:
      - id: saved
        noop: {}
    always:
      - id: closing
        noop: {}
    undo:
      - id: undone
        noop: {}
  - noop: {unnamed: true}
  - id: last
    noop: {}
output:
  a: steps.one.output.a
  deep: {x: '1', y: '2'}
output_schema:
  a: {type: string}
`;

/** Ids of the steps of BASE, as `ids` gives them. */
export const ALL =
  "one two[block: inner other; rescue: saved; always: closing; undo: undone] - last";

export const plain = (value: unknown) => JSON.parse(JSON.stringify(value));

/** Loads the document `child` that extends `base`. */
export function extending(library: ReturnType<typeof workspace>["library"]) {
  const extended = (text: string, base = BASE) =>
    library({
      builtin: { "base.yaml": base },
      project: { "child.yaml": `extends: base\n${text}` },
    }).load("child");
  const faults = async (text: string, base = BASE) =>
    faultsOf(await rejectionOf(extended(text, base)));
  return { extended, faults };
}

/** Ids in order, those of a block in brackets after it. */
export function ids(steps: any): string {
  return steps
    .map((step: any) => {
      const inner = ["block", "rescue", "always", "undo"].flatMap((key) =>
        Array.isArray(step[key]) ? [`${key}: ${ids(step[key])}`] : [],
      );
      return (step.id ?? "-") + (inner.length > 0 ? `[${inner.join("; ")}]` : "");
    })
    .join(" ");
}
