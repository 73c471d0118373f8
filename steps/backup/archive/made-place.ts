import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { Place, Repository } from "../../../providers/repository/contract.ts";
import { makeRepository } from "../../../providers/repository/open.ts";
import type { ClusterEntry } from "../../../providers/registry/read.ts";
import { placeHere } from "../../../providers/registry/repository.ts";
import { throughNode } from "../../../providers/repository/through-node.ts";
import type {} from "../../../providers/target/access.ts";
import { hostsOf } from "./hosts.ts";
import { installProgramOn } from "../../../providers/backup/install.ts";

/** The repository at the place, made where there is none yet: here, or on a node where only nodes reach it. */
export async function madePlace(
  ctx: StepContext,
  entry: ClusterEntry,
  data: NonNullable<ClusterEntry["data"]["repository"]>,
  open: (place: Place) => Promise<Repository>,
): Promise<Repository> {
  const here = placeHere(entry, data);
  if (here !== null) {
    const owner = here.kind === "directory" ? await ownerOf(ctx) : undefined;
    await makeRepository(here, owner);
    return open(here);
  }
  const nodes = await ctx.use("nodes");
  const place = { kind: "directory", path: data.location } as const;
  const { hosts } = await hostsOf(ctx);
  for (const host of hosts) {
    const program = await installProgramOn(host, {
      env: ctx.env,
      signal: ctx.signal,
      progress: (text) => ctx.progress({ text }),
    });
    const { exit_code, stdout } = await host.run(
      [program, "work", "make"],
      JSON.stringify({ place }),
    );
    if (exit_code === 0) break;
    const { error } = JSON.parse(stdout) as { error: { message: string; hint?: string } };
    throw new PgdbaError("repository_failed", error.message, { hint: error.hint });
  }
  return throughNode(nodes, place, ctx.signal);
}

/** The servers' user must write there: a folder that root makes for them is theirs. */
async function ownerOf(ctx: StepContext): Promise<{ uid: number; gid: number } | undefined> {
  const { hosts } = await hostsOf(ctx);
  for (const host of hosts) {
    const { exit_code, stdout } = await host.run(["stat", "-c", "%u %g", host.data]);
    const [uid, gid] = stdout.trim().split(" ").map(Number);
    if (exit_code === 0 && Number.isInteger(uid) && Number.isInteger(gid))
      return { uid: uid!, gid: gid! };
  }
  return undefined;
}
