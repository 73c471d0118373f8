import type { Json } from "../../engine/types.ts";
import { must } from "../backup/schedule/node-home.ts";
import { defineStep } from "../define.ts";
import { END_PGDBA } from "./node/ask.ts";
import { homeOf, isOfPgdba, watchedFiles } from "./node/home-of.ts";
import { PORT } from "./node/places.ts";
import { putFiles } from "./node/put-files.ts";
import { entryOf } from "./node/entry.ts";

export default defineStep({
  type: "monitor.targets",
  summary: "Bring the targets of the nodes that monitor a cluster in step with its entry",
  docs: `After members were added or removed: one that the entry has is asked, and told when it is down; one that it has no more is asked no more, as soon as Patroni does not list it
either. Prometheus reads the files by itself; pgdba is started again there where its entry is another. Rules and receivers stay as they are.`,
  example: `- monitor.targets: {nodes: [monitor1]}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["nodes"],
  uses: ["repository"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["nodes"],
    properties: { nodes: { type: "array", items: { type: "string", minLength: 1 } } },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["members", "files"],
    properties: {
      members: { type: "array", items: { type: "string" } },
      files: { type: "array", items: { type: "string" }, description: "Those that were changed" },
    },
  },
  // What it put is right, or is put anew.
  async run(ctx, { nodes: watching }) {
    const entry = await entryOf(ctx);
    const cluster = entry.name;
    const home = await homeOf(ctx, entry, false);
    const nodes = await ctx.use("nodes");
    const files = new Set<string>();
    for (const node of watching) {
      const put = await putFiles(nodes, node, watchedFiles(cluster, home, node, PORT));
      if (put.some(isOfPgdba)) await must(nodes, node, END_PGDBA);
      for (const path of put) files.add(path);
    }
    if (files.size === 0) ctx.unchanged();
    return { members: home.watched.servers.map(({ name }) => name), files: [...files] };
  },
  async plan(_ctx, { nodes }): Promise<Json> {
    return { nodes };
  },
  // The next of its kind puts what holds then.
  undo: async (ctx) => ctx.unchanged(),
});
