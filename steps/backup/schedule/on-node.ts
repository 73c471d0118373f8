/** Schedules that a node of the cluster keeps: files in its state folder, which `backup.scheduler` goes by there. */
import type { StepContext } from "../../../engine/types.ts";
import type { NodeInfo, Nodes } from "../../../providers/nodes/contract.ts";
import { type Entry, type Keeper, type Kept } from "./keeper.ts";
import { must, prepareHome } from "./node-home.ts";
import { entryFile, keptOf, type Memory, memoryFile } from "./memory.ts";

/** Each file behind its name, a line each. */
const READ = `cd schedules 2>/dev/null || exit 0
for file in *.schedule *.memory; do if test -e "$file"; then printf '%s\\t' "$file"; cat "$file"; fi; done`;

export function nodeKeeper(
  ctx: StepContext,
  nodes: Nodes,
  { node, state }: Pick<NodeInfo, "node" | "state">,
): Keeper {
  const show = ({ cron, timezone, commands }: Entry): string =>
    `${cron} (${timezone}): ${commands.map((words) => ["pgdba", ...words].join(" ")).join(" && ")}`;
  return {
    where: node,
    halted: state.running === "running" ? null : `${node} does not run: it is ${state.running}`,
    zone: null,
    show,
    async list() {
      const lines = (await must(nodes, node, ["sh", "-c", READ])).split("\n");
      const files = new Map(
        lines.flatMap((line): [string, unknown][] => {
          const at = line.indexOf("\t");
          return at < 0 ? [] : [[line.slice(0, at), parsed(line.slice(at + 1))]];
        }),
      );
      return [...files.keys()].flatMap((file): Kept[] => {
        const name = /^(.+)\.schedule$/.exec(file)?.[1];
        if (name === undefined) return [];
        const entry = files.get(file) as Entry | null;
        return [keptOf(name, entry, (files.get(memoryFile(name)) ?? null) as Memory | null)];
      });
    },
    async put(entry) {
      await prepareHome(ctx, nodes, node);
      const home = await must(nodes, node, ["pwd"]);
      const content = `${JSON.stringify(entry)}\n`;
      await nodes.put(node, `${home}/schedules/${entryFile(entry.name)}`, { content });
      return show(entry);
    },
    async remove(name) {
      const files = [entryFile(name), memoryFile(name), `${name}.json`, `${name}.log`];
      await must(nodes, node, ["rm", "-f", ...files.map((file) => `schedules/${file}`)]);
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
