import { readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { exclusively } from "../../../engine/shared/exclusive.ts";
import type { Change, Spec } from "../contract.ts";
import { disarmNode } from "./arm.ts";
import { dropSlot } from "./clone.ts";
import { decide, findNodes } from "./decide.ts";
import {
  baseOf,
  type Home,
  makeBase,
  makeDir,
  type NodeRecord,
  nodeOf,
  placeOf,
  readRecords,
  removeBase,
} from "./home.ts";
import { endNode, startNode, stateOf } from "./life.ts";
import { clientOf, makePrimary, makeStandby, passwordsOf, type Work } from "./make-node.ts";

const lockOf = (home: Home): string => join(home.dir, "lock");
/** The work of others under the lock takes seconds; a longer wait is one for something that hangs. */
const LOCK_MS = 60_000;
const wait = ({ home, by }: Work) => ({
  what: `the nodes of ${home.cluster}`,
  waitMs: LOCK_MS,
  signal: by.signal,
});

export async function plan(home: Home, spec: Spec): Promise<Change[]> {
  return decide(spec, await findNodes(home)).changes;
}

export async function provision(work: Work, spec: Spec): Promise<Change[]> {
  const { home, by } = work;
  await makeDir(home);
  return exclusively(lockOf(home), wait(work), async () => {
    const { changes, lead } = decide(spec, await findNodes(home));
    const todo = changes.filter(({ act }) => act !== "keep");
    const makes = todo.some(({ act }) => act === "make");
    const passwords = makes ? await passwordsOf(work, spec) : new Map<string, string>();
    const making = { ...work, base: await makeBase(home), spec, passwords };
    for (const [done, { node, act, what }] of todo.entries()) {
      by.signal.throwIfAborted();
      const text = `${act === "make" ? "making" : "starting"} ${node}, ${what}`;
      by.progress?.({ done, total: todo.length, unit: "nodes", text });
      if (act === "start") {
        await startNode({ ...(await nodeOf(home, node)), home, signal: by.signal });
      } else if (node === lead) await makePrimary(making, node);
      else await makeStandby(making, node, lead);
    }
    if (todo.length > 0)
      by.progress?.({ done: todo.length, total: todo.length, unit: "nodes", text: "done" });
    return changes;
  });
}

export async function deprovision(
  work: Work,
  which?: { run: string; but?: readonly string[] } | { nodes: readonly string[] },
): Promise<Change[]> {
  const { home } = work;
  const base = baseOf(home);
  if (base === undefined) return [];
  return exclusively(lockOf(home), wait(work), async () => {
    const all = await readRecords(home);
    const going = all.filter(
      ({ node, labels }) =>
        which === undefined ||
        ("run" in which
          ? labels.run === which.run && which.but?.includes(node) !== true
          : which.nodes.includes(node)),
    );
    const staying = all.filter((record) => !going.includes(record));
    if (which !== undefined && "nodes" in which && going.some(({ made }) => made))
      assertDataStays(staying);
    for (const { node } of going) {
      const at = placeOf(base, node);
      await disarmNode(home, node);
      await endNode(home, base, node, at);
      await forgetSlot(work, base, node, staying);
      // Last, and in one step: what has the label is found again after a crash.
      await rename(at.dir, join(base, `.removed-${node}-${crypto.randomUUID()}`));
    }
    await sweep(base);
    if (staying.length === 0) await removeBase(home);
    return going.map(({ node }): Change => ({ node, act: "remove", what: "with its data" }));
  });
}

function assertDataStays(staying: readonly NodeRecord[]): void {
  if (staying.some(({ made }) => made)) return;
  throw new PgdbaError("step_refused", "No node would be left that has the data", {
    hint: "To remove a whole cluster is another thing than to remove nodes: destroy it.",
    nothingDone: true,
  });
}

/** A removal that was cut off may have come as far as the folder itself. */
async function sweep(base: string): Promise<void> {
  const names = await readdir(base).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  for (const name of names)
    if (name.startsWith(".removed-")) await rm(join(base, name), { recursive: true, force: true });
}

/** A slot that can't be dropped here is reported, for it fills a disk. */
async function forgetSlot(
  work: Work,
  base: string,
  node: string,
  staying: readonly NodeRecord[],
): Promise<void> {
  for (const record of staying) {
    if ((await stateOf(record, placeOf(base, record.node))).running !== "running") continue;
    try {
      const client = await clientOf(record, await work.secret(record.superuser.password));
      try {
        await dropSlot(client, node);
      } finally {
        await client.end().catch(() => {});
      }
    } catch (error) {
      const { message } = error as Error;
      work.by.log?.(`The replication slot of ${node} may be left on ${record.node}: ${message}`);
    }
  }
}
