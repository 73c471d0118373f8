/** Where the backups of a target are: for one that has no repository of its own, a folder of the state folder, laid out like any other. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import type { Repository } from "../../providers/repository/contract.ts";
import type { ClusterKey } from "../../providers/repository/layout.ts";
import { makeRepository, openRepository } from "../../providers/repository/open.ts";
import type {} from "../../providers/target/access.ts";

export interface BackupPlace {
  repository: Repository;
  key: ClusterKey;
  /** For people, and in records. */
  cluster: string;
}

/** Whoever calls it `uses` the repository. @throws PgdbaError step_refused where nobody knows whose backups they are | repository_failed */
export async function backupPlace(ctx: StepContext): Promise<BackupPlace> {
  if ((await ctx.target.facts()).capabilities.includes("repository")) {
    const { repository, key } = await ctx.use("repository");
    return { repository, key, cluster: ctx.target.name };
  }
  const folder = join(ctx.run.stateDir, "backups");
  const key = await ownKey(ctx);
  const repository = await ctx.resource(`backups of the state folder`, async () => {
    await makeRepository({ kind: "directory", path: folder });
    const value = await openRepository({ kind: "directory", path: folder });
    return { value, close: () => value.close() };
  });
  return { repository, key, cluster: ctx.target.name };
}

async function ownKey(ctx: StepContext): Promise<ClusterKey> {
  const { identity, facts, state, why } = await ctx.target.facts();
  if (state === "none") {
    throw new PgdbaError("no_target", "Whose backups? No server and no cluster is named", {
      hint: "Give --cluster NAME, or --host.",
    });
  }
  const version = facts["version_num"];
  if (typeof version !== "number") {
    throw (
      why ??
      new PgdbaError("step_refused", `Nobody knows which server ${ctx.target.name} is`, {
        hint: "Its backups are found by what the server says of itself: start it, then again.",
      })
    );
  }
  return {
    // A role that may not read it has dumps all the same, by the address.
    system_identifier: identity ?? "0",
    version: Math.floor(version / 10_000),
    cluster_id: ctx.target.cluster ?? addressId(String(facts["host"]), Number(facts["port"])),
  };
}

/** A name that the address can be read from and that is this address's alone. */
function addressId(host: string, port: number): string {
  const text = `${host}:${port}`;
  const readable = text.replace(/[^A-Za-z0-9]+/g, "-").replace(/^-/, "");
  return `${readable.slice(0, 40)}-${createHash("sha256").update(text).digest("hex").slice(0, 8)}`;
}
