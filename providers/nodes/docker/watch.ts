/** What becomes of the nodes, as the Engine tells it. */
import { Lines } from "../../../engine/shared/lines.ts";
import { sleep } from "../../../engine/shared/sleep.ts";
import type { NodeEvent, Running } from "../contract.ts";
import { type Cluster, filter, LABEL, readRecords } from "./record.ts";

/** How long the Engine is given to begin to tell its events. */
const ANSWER_MS = 10_000;
/** One that is away is asked again so often. */
const AGAIN_MS = 1_000;
/** Of an event, with all labels of its container. */
const MAX_EVENT = 1024 * 1024;

/** Of the actions of a container, those after which its node's state is another one. */
const ACTIONS: Record<string, Running> = {
  start: "starting",
  die: "failed",
  stop: "stopped",
  pause: "frozen",
  unpause: "running",
  destroy: "absent",
  oom: "failed",
};

/** Tells what the Engine tells, and what was missed while it was away; ends with the signal. */
export async function watchNodes(
  cluster: Cluster,
  onEvent: (event: NodeEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const { docker } = cluster.engine;
  const filters = {
    type: ["container"],
    event: Object.keys(ACTIONS),
    ...filter(cluster.name, { [LABEL.kind]: "node" }),
  };
  let known: Map<string, string> | undefined;
  while (!signal.aborted) {
    // An Engine that hangs takes the question and says nothing: that must not keep anybody who wants to stop.
    const cut = new AbortController();
    const timer = setTimeout(() => cut.abort(), ANSWER_MS);
    try {
      const stream = await docker.getEvents({
        filters: filters as never,
        abortSignal: AbortSignal.any([signal, cut.signal]),
      });
      clearTimeout(timer);
      const end = () => (stream as unknown as { destroy(): void }).destroy();
      signal.addEventListener("abort", end, { once: true });
      if (signal.aborted) end();
      try {
        known = await tellChanges(cluster, known, onEvent);
        const told = new Lines(MAX_EVENT);
        for await (const part of stream as AsyncIterable<Buffer>)
          for (const line of told.take(part)) tell(line, known, onEvent);
      } finally {
        signal.removeEventListener("abort", end);
      }
    } catch {
      // The Engine is away, or the line was cut: it is asked again, and what has changed meanwhile is told.
    } finally {
      clearTimeout(timer);
    }
    if (!signal.aborted) await sleep(AGAIN_MS, signal).catch(() => {});
  }
}

function tell(line: string, known: Map<string, string>, onEvent: (event: NodeEvent) => void): void {
  if (line.trim() === "") return;
  const { Action, Actor, timeNano } = JSON.parse(line) as {
    Action: string;
    Actor: { Attributes: Record<string, string> };
    timeNano: number;
  };
  const running = ACTIONS[Action.split(":")[0]!];
  const node = Actor.Attributes[LABEL.node];
  if (running === undefined || node === undefined) return;
  // What it was before is no measure any more for what may be missed later.
  known.delete(node);
  onEvent({ node, running, at: new Date(timeNano / 1e6).toISOString() });
}

/** Tells of the nodes that are not as they were known; gives them as they are. The first time, all are new to us and none has changed. */
async function tellChanges(
  cluster: Cluster,
  known: ReadonlyMap<string, string> | undefined,
  onEvent: (event: NodeEvent) => void,
): Promise<Map<string, string>> {
  const records = await readRecords(cluster);
  const now = new Map(records.map(({ node, state }) => [node, state]));
  if (known === undefined) return now;
  const at = new Date().toISOString();
  for (const node of known.keys()) if (!now.has(node)) onEvent({ node, running: "absent", at });
  for (const [node, state] of now) {
    if (known.get(node) === state) continue;
    const running: Running =
      state === "running" ? "starting" : state === "paused" ? "frozen" : "failed";
    onEvent({ node, running, at });
  }
  return now;
}
