/** Uses the verbs of a provider in a process of its own, which tests kill. One call, as JSON on standard input; its answer on stdout. */
import type { Nodes, Opening } from "../../../providers/nodes/contract.ts";
import { openNodes } from "../../../providers/nodes/open.ts";

interface Call {
  provider: string;
  cluster: string;
  stateDir: string;
  place: Opening["place"];
  passwords: Record<string, string>;
  run: string;
  verb: string;
  args: unknown[];
  /** Stays there when it is done, until it is killed. */
  stay?: boolean;
}

const call = (await Bun.stdin.json()) as Call;
const { provider, cluster, stateDir, place, passwords } = call;
const opened = await openNodes(provider, {
  cluster,
  stateDir,
  place,
  env: {},
  secret: async (name) => passwords[name] ?? "",
});
const nodes = opened.nodes({
  run: call.run,
  path: "driven",
  signal: new AbortController().signal,
  progress: ({ text }) => void console.log(`progress ${text}`),
});
const [verb, object] = call.verb.startsWith("jobs.")
  ? [call.verb.slice(5), nodes.jobs]
  : [call.verb, nodes];
const method = object[verb as keyof typeof object] as (...args: unknown[]) => Promise<unknown>;
console.log(`begun`);
const answer = await method.apply(object satisfies Nodes | Nodes["jobs"], call.args);
console.log(`done ${JSON.stringify(answer ?? null)}`);
if (call.stay) await new Promise((resolve) => setTimeout(resolve, 1e8));
