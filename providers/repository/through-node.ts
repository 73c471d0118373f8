import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { programBeside } from "../backup/settings.ts";
import type { Nodes } from "../nodes/contract.ts";
import type { Place, Repository } from "./contract.ts";
import { type Line, remoteRepository } from "./remote.ts";

/**
 * The repository at a place that a node reaches; the first node that runs and answers is taken.
 * @throws PgdbaError repository_failed
 */
export async function throughNode(
  nodes: Nodes,
  place: Place,
  signal: AbortSignal,
): Promise<Repository> {
  const candidates = (await nodes.list()).filter(
    ({ roles, state }) => roles.includes("postgres") && state.running !== "absent",
  );
  let why: PgdbaError | undefined;
  for (const { node } of candidates) {
    signal.throwIfAborted();
    try {
      const { postgres } = await nodes.facts(node);
      if (postgres === null) continue;
      return await remoteRepository(lineTo(nodes, node, programBeside(postgres.data), { place }));
    } catch (error) {
      why = toPgdbaError(error);
    }
  }
  throw new PgdbaError(
    "repository_failed",
    `No node reaches the repository${why === undefined ? "" : `: ${why.message}`}`,
    {
      hint: why?.hint ?? "Start a node of the cluster (pgdba cluster start), and run again.",
      cause: why,
      retryable: true,
    },
  );
}

/** A `pgdba work serve` on the node, for as long as it is open. */
function lineTo(nodes: Nodes, node: string, program: string, order: object): Line {
  const queue: Uint8Array[] = [new TextEncoder().encode(`${JSON.stringify(order)}\n`)];
  let more = Promise.withResolvers<void>();
  /** Settled when what waits to be sent was taken, or is taken no more. */
  let room: PromiseWithResolvers<void> | undefined;
  const madeRoom = () => {
    room?.resolve();
    room = undefined;
  };
  let closed = false;
  let ended = false;
  const stdin = async function* (): AsyncIterable<Uint8Array> {
    for (;;) {
      const part = queue.shift();
      if (part !== undefined) {
        yield part;
        continue;
      }
      madeRoom();
      if (closed) return;
      await more.promise;
      more = Promise.withResolvers();
    }
  };
  let take: ((bytes: Uint8Array) => void) | undefined;
  const early: Uint8Array[] = [];
  const done = nodes
    .exec(node, [program, "work", "serve"], {
      stdin: stdin(),
      onStdout: (bytes) => (take === undefined ? void early.push(bytes) : take(bytes)),
    })
    .then(
      ({ exit_code, signal, unknown, stderr }) =>
        unknown ?? `it ended on ${node} with ${exit_code ?? signal} ${stderr.trim()}`.trim(),
      (error: unknown) => toPgdbaError(error).message,
    );
  void done.then(() => {
    ended = true;
    madeRoom();
  });
  return {
    async send(bytes) {
      queue.push(bytes);
      more.resolve();
      if (queue.length < 16 || ended) return;
      room ??= Promise.withResolvers();
      await room.promise;
    },
    receive(taker) {
      take = taker;
      for (const bytes of early.splice(0)) taker(bytes);
    },
    done,
    async close() {
      closed = true;
      more.resolve();
      await done;
    },
  };
}
