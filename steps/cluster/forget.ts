import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { unknownCluster } from "../../providers/registry/folder.ts";
import {
  asideFolder,
  findEntry,
  forgetCluster,
  type Found,
  restoreCluster,
} from "../../providers/registry/forget.ts";
import { defineStep } from "../define.ts";
import { namedCluster } from "./entry/name.ts";

export default defineStep({
  type: "cluster.forget",
  summary: "Take a cluster out of the registry, and leave the cluster itself as it is",
  docs: `For a cluster that pgdba did not make, and for one that a run left half made. It connects to no server. The entry and the secrets that
pgdba keeps for it go to \`forgotten/\` in the state folder, and are in \`kept\`; undo puts them back.

A cluster that pgdba made is refused, for its servers would go on where nobody knows of them; so is one that a run left half made, while it has
nodes; so is a file that can't be read, for it may be that of such a one. \`force\` forgets these too.`,
  example: `- cluster.forget: {}
`,
  effect: "change",
  idempotent: true,
  locks: "none",
  uses: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      force: {
        type: "boolean",
        default: false,
        description: "Also one that pgdba made, or whose file can't be read",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["name", "ownership", "kept"],
    properties: {
      name: { type: "string" },
      ownership: { type: ["string", "null"] },
      kept: { type: "string", description: "The folder where entry and secrets are kept" },
    },
  },
  async run(ctx, input) {
    const name = namedCluster(ctx);
    const { stateDir } = ctx.run;
    const found = await forgetCluster(stateDir, { name, run: ctx.run.id }, async (what) => {
      if (input.force !== true) await assertForgettable(ctx, name, what);
    });
    if (found === undefined) throw await unknownCluster(stateDir, name);
    return outcome(ctx.run, name, found);
  },
  async plan(ctx, input) {
    const name = namedCluster(ctx);
    const { stateDir } = ctx.run;
    const found = await findEntry(stateDir, name);
    if (found === undefined) throw await unknownCluster(stateDir, name);
    if (input.force !== true) await assertForgettable(ctx, name, found);
    return outcome(ctx.run, name, found);
  },
  async undo(ctx) {
    const name = namedCluster(ctx);
    if (!(await restoreCluster(ctx.run.stateDir, name, ctx.run.id))) ctx.unchanged();
  },
});

function outcome({ stateDir, id }: StepContext["run"], name: string, found: Found) {
  return {
    name,
    ownership: "entry" in found ? found.entry.ownership : null,
    kept: asideFolder(stateDir, name, id),
  };
}

/** @throws PgdbaError step_refused */
async function assertForgettable(ctx: StepContext, name: string, found: Found): Promise<void> {
  if ("problem" in found) {
    throw new PgdbaError(
      "step_refused",
      `The file of ${name} can't be read, so nobody knows whether pgdba made it: ${found.problem.message}`,
      {
        hint: "Mend the file first, or add --force: it is kept in `forgotten/` of the state folder.",
        cause: found.problem,
      },
    );
  }
  const { ownership, partial, data } = found.entry;
  if (ownership === "connected") return;
  if (partial !== null) {
    if (data.provider === undefined) return;
    const left = await nodesLeft(ctx);
    if (left === "") return;
    throw new PgdbaError(
      "step_refused",
      `${name} was left half made by run ${partial}, and ${left}: once it is forgotten, nobody knows of what was made`,
      {
        hint: `Let that run go on (pgdba resume ${partial}), or destroy the cluster, which forgets it too; or add --force when its nodes are gone.`,
      },
    );
  }
  throw new PgdbaError(
    "step_refused",
    `${name} was made by pgdba: once it is forgotten, its servers go on where nobody knows of them`,
    {
      hint: "Destroy it instead (the lab: pgdba lab down --remove), which forgets it too; or add --force when its servers are gone.",
    },
  );
}

/** In words, what is left of a cluster's nodes; empty when nothing is. */
async function nodesLeft(ctx: StepContext): Promise<string> {
  try {
    const nodes = await (await ctx.use("nodes")).list();
    if (nodes.length === 0) return "";
    return `${nodes.map(({ node }) => node).join(", ")} of it ${nodes.length === 1 ? "is" : "are"} there`;
  } catch (error) {
    return `its nodes can't be asked for (${toPgdbaError(error).message})`;
  }
}
