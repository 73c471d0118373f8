import { PgdbaError } from "../../engine/errors.ts";
import type { Json } from "../../engine/types.ts";
import { findEntry } from "../../providers/registry/forget.ts";
import { unknownCluster } from "../../providers/registry/folder.ts";
import { changeCluster } from "../../providers/registry/write.ts";
import { defineStep } from "../define.ts";
import { namedCluster } from "./entry/name.ts";

/** The label that refuses faults and destruction: see engine/gates.ts. */
const PRODUCTION = "production";
const WORD = { type: "string", pattern: "^[A-Za-z0-9][A-Za-z0-9_.:/=-]{0,62}$" } as const;
const WORDS = { type: "array", items: WORD } as const;

export default defineStep({
  type: "cluster.label",
  summary: "Add labels to a cluster's entry in the registry, or take them away",
  docs: `Connects to no server. A label that is there is not added again, and one that is not there is not missed. \`production\` keeps a cluster
from faults and destruction, so it is only taken away when \`unprotect\` names the cluster. Undo puts the labels back, but for those that somebody
else has changed since.`,
  example: `- cluster.label:
    add: [production, emea]
`,
  effect: "change",
  idempotent: true,
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      add: { ...WORDS, description: "Labels that it gets" },
      remove: { ...WORDS, description: "Labels that it loses" },
      unprotect: {
        type: ["string", "null"],
        description: "The cluster's name, when `production` is taken away",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["name", "labels", "added", "removed"],
    properties: {
      name: { type: "string" },
      labels: { type: "array", items: { type: "string" }, description: "All that it has now" },
      added: { type: "array", items: { type: "string" } },
      removed: { type: "array", items: { type: "string" } },
    },
  },
  async run(ctx, input) {
    const name = namedCluster(ctx);
    const missing = await unknownCluster(ctx.run.stateDir, name);
    let changed = difference([], input);
    const entry = await changeCluster(ctx.run.stateDir, name, (before) => {
      if (before === undefined) throw missing;
      changed = difference(before.labels, input);
      assertUnprotected(name, changed.removed, input.unprotect);
      // By what is on disk before it acts, an undo knows which of them were there.
      if (ctx.noted === undefined) ctx.note({ added: changed.added, removed: changed.removed });
      const { labels: _labels, ...rest } = before.data;
      return changed.labels.length === 0 ? rest : { ...before.data, labels: changed.labels };
    });
    if (changed.added.length + changed.removed.length === 0) ctx.unchanged();
    return { name, ...changed, labels: entry!.labels };
  },
  async plan(ctx, input): Promise<Json> {
    const name = namedCluster(ctx);
    const found = await findEntry(ctx.run.stateDir, name);
    if (found === undefined) throw await unknownCluster(ctx.run.stateDir, name);
    if ("problem" in found) throw found.problem;
    const changed = difference(found.entry.labels, input);
    assertUnprotected(name, changed.removed, input.unprotect);
    return { name, ...changed };
  },
  async undo(ctx) {
    if (ctx.noted === undefined) return ctx.unchanged();
    const { added, removed } = ctx.noted as { added: string[]; removed: string[] };
    await changeCluster(ctx.run.stateDir, namedCluster(ctx), (before) => {
      if (before === undefined) return undefined;
      const { labels } = difference(before.labels, { add: removed, remove: added });
      const { labels: _labels, ...rest } = before.data;
      return labels.length === 0 ? rest : { ...before.data, labels };
    });
  },
});

/** @throws PgdbaError invalid_param when a label is to be added and taken away at once */
function difference(
  before: readonly string[],
  { add = [], remove = [] }: { add?: string[]; remove?: string[] },
): { labels: string[]; added: string[]; removed: string[] } {
  const both = add.find((label) => remove.includes(label));
  if (both !== undefined) {
    throw new PgdbaError("invalid_param", `${both} is to be added and to be taken away`, {
      hint: "Say one of them.",
    });
  }
  const added = [...new Set(add)].filter((label) => !before.includes(label));
  const removed = [...new Set(remove)].filter((label) => before.includes(label));
  return {
    labels: [...before.filter((label) => !removed.includes(label)), ...added],
    added,
    removed,
  };
}

/** @throws PgdbaError step_refused */
function assertUnprotected(name: string, removed: string[], said: string | null | undefined): void {
  if (!removed.includes(PRODUCTION) || said === name) return;
  throw new PgdbaError(
    "step_refused",
    said == null
      ? `${PRODUCTION} keeps ${name} from faults and destruction, and is not taken away by --remove alone`
      : `--unprotect names ${said}, and the run is on ${name}`,
    { hint: `When ${name} is no production any more, say so: --unprotect=${name}.` },
  );
}
