/** The data that a restore in place has moved aside on a node. */
import { dirname } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type {} from "../../../providers/target/access.ts";
import { serverFacts } from "../../node-files.ts";
import { beforeOf } from "./scratch.ts";

/** The folder; null where there is none. @throws PgdbaError invalid_param where there are several and nobody says which | io_failed | step_refused for a node without PostgreSQL */
export async function keptBefore(
  ctx: StepContext,
  node: string,
  run: string | null,
): Promise<string | null> {
  const nodes = await ctx.use("nodes");
  const { postgres } = await serverFacts(nodes, node);
  const prefix = beforeOf(postgres.data, "");
  const beside = ["find", dirname(postgres.data), "-maxdepth", "1", "-type", "d"];
  const { exit_code, stdout, stderr } = await nodes.exec(node, beside);
  // Else what can't be listed would count as not there.
  if (exit_code !== 0)
    throw new PgdbaError("io_failed", `${beside[1]} on ${node} can't be listed: ${stderr.trim()}`, {
      hint: "Look at the node, and run again.",
    });
  const all = stdout.split("\n").filter((path) => path.startsWith(prefix));
  const own = run === null ? all : all.filter((path) => path === beforeOf(postgres.data, run));
  if (own.length <= 1) return own[0] ?? null;
  throw new PgdbaError("invalid_param", `${node} keeps the data of ${own.length} restores`, {
    hint: `Name one with --run: ${own.map((path) => path.slice(prefix.length)).join(", ")}.`,
  });
}
