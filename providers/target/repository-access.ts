import { PgdbaError } from "../../engine/errors.ts";
import type { AccessFor } from "../../engine/types.ts";
import type { Nodes } from "../nodes/contract.ts";
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
  /** The replication slot by which WAL is streamed into it, where the servers do not archive. */
  slot?: string;
}

export interface RepositoryAccess extends RepositorySource {
  /** As narrow as the step: one that reads can only read. It closes with the target. */
  repository: Repository;
}

/** The repository of a target: opened when it is first asked for, and closed with the target. */
export class TargetRepository {
  readonly #name: () => string;
  readonly #nodes: (on: AccessFor) => Promise<Nodes>;
  #opened: { at: string; opening: Promise<Repository> } | undefined;

  /** `nodes` gives those of the cluster, for a repository that only they reach. */
  constructor(name: () => string, nodes: (on: AccessFor) => Promise<Nodes>) {
    this.#name = name;
    this.#nodes = nodes;
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
    const repository = await this.#open(source, on);
    const { readingOnly } = await import("../repository/open.ts");
    return { ...source, repository: on.effect === "read" ? readingOnly(repository) : repository };
  }

  async close(): Promise<void> {
    const repository = await this.#opened?.opening.catch(() => undefined);
    this.#opened = undefined;
    await repository?.close();
  }

  async #open({ place, location }: RepositorySource, on: AccessFor): Promise<Repository> {
    const at = JSON.stringify(place ?? location);
    // The line to a node may have broken since.
    const works = this.#opened?.at === at && (place !== null || (await this.#answers()));
    if (!works) {
      await this.close();
      const opening = place === null ? this.#through(location, on) : openHere(place);
      this.#opened = { at, opening };
      opening.catch(() => (this.#opened = undefined));
    }
    return this.#opened!.opening;
  }

  async #through(path: string, on: AccessFor): Promise<Repository> {
    const { throughNode } = await import("../repository/through-node.ts");
    // It serves all steps of the run, so that it does not end with the one that opened it.
    const { signal } = new AbortController();
    const nodes = await this.#nodes({ ...on, effect: "read", signal });
    return throughNode(nodes, { kind: "directory", path }, on.signal);
  }

  async #answers(): Promise<boolean> {
    try {
      await (await this.#opened!.opening).space();
      return true;
    } catch {
      return false;
    }
  }
}

async function openHere(place: Place): Promise<Repository> {
  const { openRepository } = await import("../repository/open.ts");
  return openRepository(place);
}
