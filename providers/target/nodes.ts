import { PgdbaError } from "../../engine/errors.ts";
import type { AccessFor, TargetState } from "../../engine/types.ts";
import type { NodeInfo, Nodes, Opened, Running } from "../nodes/contract.ts";
import type { TargetSource } from "./source.ts";

/** How long a place is given to say what runs there, where a run only wants to know, ms. */
const LOOK_MS = 5_000;
/** A node is asked on nobody's behalf when a run looks at its target. */
const NOBODY = { run: "", path: "" };

/** The way to the nodes of a target: opened when it is first asked for, and closed with the target. */
export class TargetNodes {
  readonly #source: () => TargetSource;
  #opened: { by: TargetSource["nodes"]; opening: Promise<Opened> } | undefined;

  constructor(source: () => TargetSource) {
    this.#source = source;
  }

  /** The verbs that a step has declared. @throws PgdbaError capability_missing | invalid_config | missing_secret */
  async use(on: AccessFor): Promise<Nodes> {
    const opened = await this.#open();
    if (opened === undefined) {
      const { name } = this.#source();
      throw new PgdbaError(
        "capability_missing",
        `It is not known where the nodes of ${name} live`,
        {
          hint: "Its entry in the registry names no provider.",
          nothingDone: true,
        },
      );
    }
    const { nodesFor } = await import("../nodes/narrow.ts");
    return nodesFor(opened, on);
  }

  /** The nodes that are there, and the verbs that the place has; undefined where no provider is known, or it does not answer. */
  async look(): Promise<{ nodes: NodeInfo[]; can: Record<string, boolean> } | undefined> {
    try {
      const opened = await this.#open();
      if (opened === undefined) return undefined;
      const nodes = opened.nodes({ ...NOBODY, signal: AbortSignal.timeout(LOOK_MS) });
      return { nodes: await nodes.list(), can: await verbsOf(nodes) };
    } catch {
      return undefined;
    }
  }

  /** Which verbs the place has, as expressions see them; none where no provider is known, or it does not answer. */
  async can(): Promise<Record<string, boolean>> {
    try {
      const opened = await this.#open();
      if (opened === undefined) return {};
      return await verbsOf(opened.nodes({ ...NOBODY, signal: AbortSignal.timeout(LOOK_MS) }));
    } catch {
      return {};
    }
  }

  async close(): Promise<void> {
    const opened = await this.#opened?.opening.catch(() => undefined);
    this.#opened = undefined;
    await opened?.close();
  }

  async #open(): Promise<Opened | undefined> {
    const { nodes } = this.#source();
    if (nodes === undefined) return undefined;
    if (this.#opened?.by !== nodes) {
      await this.close();
      this.#opened = { by: nodes, opening: nodes() };
    }
    return this.#opened?.opening;
  }
}

async function verbsOf(nodes: Nodes): Promise<Record<string, boolean>> {
  const can = Object.entries(await nodes.can()).map(([verb, answer]) => [verb, answer.can]);
  return Object.fromEntries(can) as Record<string, boolean>;
}

const STANDS: ReadonlySet<Running> = new Set<Running>(["absent", "stopped", "failed"]);

/**
 * Of a cluster whose server does not answer: `down` when each node that may run PostgreSQL was asked, and none does; also when there are
 * none any more, as in one that is half removed.
 */
export function stateByNodes(nodes: readonly NodeInfo[]): TargetState {
  const servers = nodes.filter(({ roles }) => roles.includes("postgres"));
  return servers.every(({ state }) => STANDS.has(state.running)) ? "down" : "unreachable";
}
