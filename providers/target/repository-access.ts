import { PgdbaError } from "../../engine/errors.ts";
import type { AccessFor } from "../../engine/types.ts";
import type { Place, Repository } from "../repository/contract.ts";
import type { Source } from "../backup/holdings.ts";
import type { ClusterKey } from "../repository/layout.ts";

/** What the registry says of a cluster's repository. */
export interface RepositorySource {
  /** Null when this machine reaches it only through a node. */
  place: Place | null;
  /** The folder on the nodes, or the same place. */
  location: string;
  key: ClusterKey;
  /** Of a copy: the parts of those that it was restored from, the nearest first, and where it left each. */
  origins: Source[];
}

export interface RepositoryAccess extends RepositorySource {
  /** As narrow as the step: one that reads can only read. It closes with the target. */
  repository: Repository;
}

/** The repository of a target: opened when it is first asked for, and closed with the target. */
export class TargetRepository {
  readonly #name: () => string;
  #opened: { at: string; opening: Promise<Repository> } | undefined;

  constructor(name: () => string) {
    this.#name = name;
  }

  /** See `Access.repository`. @throws PgdbaError capability_missing | repository_failed */
  async use(source: RepositorySource | undefined, on: AccessFor): Promise<RepositoryAccess> {
    if (source === undefined) {
      throw new PgdbaError(
        "capability_missing",
        `The entry of ${this.#name()} names no repository`,
        {
          hint: "`pgdba backup setup` makes one, and archives WAL into it.",
          nothingDone: true,
        },
      );
    }
    if (source.place === null) {
      throw new PgdbaError(
        "unsupported",
        `The repository of ${this.#name()} is reached only through its nodes`,
        { hint: "Use a folder of this machine, or an object store.", nothingDone: true },
      );
    }
    const repository = await this.#open(source.place);
    const { readingOnly } = await import("../repository/open.ts");
    return { ...source, repository: on.effect === "read" ? readingOnly(repository) : repository };
  }

  async close(): Promise<void> {
    const repository = await this.#opened?.opening.catch(() => undefined);
    this.#opened = undefined;
    await repository?.close();
  }

  async #open(place: Place): Promise<Repository> {
    const at = JSON.stringify(place);
    if (this.#opened?.at !== at) {
      await this.close();
      const { openRepository } = await import("../repository/open.ts");
      const opening = openRepository(place);
      this.#opened = { at, opening };
      opening.catch(() => (this.#opened = undefined));
    }
    return this.#opened!.opening;
  }
}
