/** What speaks against a physical backup, before it is taken and before it is recorded. */
import { PgdbaError } from "../../engine/errors.ts";
import type { Repository } from "../repository/contract.ts";
import type { ClusterKey } from "../repository/layout.ts";
import type { Part } from "./record.ts";

interface Wanted {
  key: ClusterKey;
  type: "full" | "incremental";
  cluster: string;
  node: string;
}

/** @throws PgdbaError identity_mismatch */
export function assertOurs({ key, cluster, node }: Wanted, identity: string): void {
  if (identity === key.system_identifier) return;
  throw new PgdbaError(
    "identity_mismatch",
    `${node} has the system identifier ${identity}; the repository's part of ${cluster} is that of ${key.system_identifier}`,
    {
      hint: "Another server answers there, or the cluster was made anew: run `pgdba backup setup` for it.",
    },
  );
}

/** @throws PgdbaError step_refused | unsupported */
export function assertFits({ key, type, node }: Wanted, version: number): void {
  if (version !== key.version)
    throw new PgdbaError(
      "step_refused",
      `${node} runs PostgreSQL ${version}; the repository's part is for ${key.version}`,
      {
        hint: "After an upgrade run `pgdba backup setup` again, so that the new version gets a part of its own.",
      },
    );
  if (version < 13)
    throw new PgdbaError(
      "unsupported",
      `${node} runs PostgreSQL ${version}, whose backups have no manifest`,
      {
        hint: "PostgreSQL 13 is the oldest that can be backed up so; `--type logical` works.",
      },
    );
  if (type === "incremental" && version < 17)
    throw new PgdbaError(
      "unsupported",
      `PostgreSQL ${version} has no incremental backups; they came with 17`,
      {
        hint: "Take a full one (`--type full`) more often, with WAL archived in between; or, where full ones are too large, use pgBackRest, whose backups pgdba lists.",
      },
    );
}

/** Somebody may have taken it for the leftover of a dead one. @throws PgdbaError repository_failed */
export async function assertThere(
  repository: Repository,
  prefix: string,
  parts: readonly Part[],
  signal: AbortSignal,
): Promise<void> {
  for (const { name, stored_bytes } of parts) {
    const found = await repository.stat(`${prefix}${name}`, { signal });
    if (found?.bytes === stored_bytes) continue;
    throw new PgdbaError(
      "repository_failed",
      `${name} was written to ${repository.where}, and is not there as it was written`,
      {
        hint: "Somebody removes or changes what lies in the repository; find out who, and take the backup again.",
      },
    );
  }
}
