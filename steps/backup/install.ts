import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { assertArchives, install } from "../../providers/backup/install.ts";
import { settingsOn } from "../../providers/backup/node-settings.ts";
import { readText } from "../../engine/shared/read-file.ts";
import { readClusterFile } from "../../providers/registry/read.ts";
import { sourceOfRepository } from "../../providers/registry/repository.ts";
import { clusterFile } from "../../providers/registry/folder.ts";
import { settingsFile } from "../../providers/backup/settings.ts";
import { defineStep } from "../define.ts";
import { hostsOf } from "./archive/hosts.ts";
import { keyOfStore } from "./archive/kept-key.ts";
import { isSetSince, repositoryBy } from "./archive/set-since.ts";

interface Before {
  /** What `repository.json` said on each host. */
  files: Record<string, string | null>;
  by: string | null;
}

const SEGMENT =
  "SELECT setting::bigint::int AS bytes FROM pg_settings WHERE name = 'wal_segment_size'";

async function segmentSize(ctx: StepContext): Promise<number> {
  const { rows } = await (await ctx.use("postgres")).query(SEGMENT);
  return Number(rows[0]?.["bytes"]);
}

export default defineStep({
  type: "backup.install",
  summary:
    "Put beside each server's data what it needs to archive: pgdba, and where the repository is",
  docs: `A folder beside the data directory, by its name with \`.pgdba\` at the end, for the server's user alone: the program, \`repository.json\`, and the
key to an object store. What is there already and right is left as it is. A server whose host does not answer is told in \`silent\`; it archives nothing
until this was done there, and keeps its WAL.`,
  example: `- backup.install: {}
`,
  effect: "change",
  idempotent: true,
  needs: ["repository"],
  uses: ["nodes", "member", "postgres", "superuser"],
  locks: "backup",
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      nodes: { type: ["array", "null"], items: { type: "string" }, description: "Only these" },
      try: {
        type: "boolean",
        default: false,
        description:
          "Try on each node, as the server's user, whether it can write to the repository, and fail where it can't",
      },
      segment_bytes: {
        type: ["number", "null"],
        description: "Of a copy: the size of a segment of WAL; the server is asked without it",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["installed", "silent"],
    properties: {
      installed: { type: "array", items: { type: "string" } },
      silent: { type: "array", items: { type: "string" } },
    },
  },
  async run(ctx, { nodes, segment_bytes, try: tries }) {
    const cluster = ctx.target.cluster!;
    const entry = (await readClusterFile(cluster, clusterFile(ctx.run.stateDir, cluster)))!;
    const { data } = entry;
    // It is not opened: where only nodes reach it, they do so by what is installed here.
    const { place, key, origins } = sourceOfRepository(entry)!;
    const secret = place?.kind === "object_store" ? keyOfStore(ctx, place) : undefined;
    const ca =
      place?.kind === "object_store" && place.cafile !== undefined
        ? readText(place.cafile, { maxBytes: 1024 * 1024 })
        : undefined;
    const { hosts, silent } = await hostsOf(ctx);
    const wanted = hosts.filter(({ name }) => nodes == null || nodes.includes(name));
    // Only a copy has origins, of which it may not read too much.
    const segmentBytes = origins.length === 0 ? 0 : (segment_bytes ?? (await segmentSize(ctx)));
    let changed = false;
    const { files, by } = (ctx.noted ?? {
      files: {},
      by: await repositoryBy(ctx),
    }) as unknown as Before;
    for (const host of wanted)
      if (!(host.name in files))
        files[host.name] = (await host.text(settingsFile(host.data))) ?? null;
    ctx.note({ files, by });
    for (const [done, host] of wanted.entries()) {
      ctx.progress({ done, total: wanted.length, unit: "nodes", text: host.name });
      const settings = settingsOn(data.repository!, {
        key,
        origins,
        segmentBytes,
        data: host.data,
      });
      const did = await install(host, {
        settings,
        key: secret,
        ca,
        env: ctx.env,
        signal: ctx.signal,
        progress: (text) => ctx.progress({ text }),
      });
      changed ||= did;
      if (tries) await assertArchives(host, settings);
    }
    const missed = (nodes ?? []).filter((name) => !wanted.some((host) => host.name === name));
    if (missed.length > 0)
      throw new PgdbaError("connection_failed", `${missed.join(", ")} does not answer`, {
        hint: "Start it, and run again.",
        retryable: true,
      });
    for (const name of nodes == null ? silent : [])
      ctx.warn(
        `${name} does not answer: nothing was installed there; run \`pgdba backup setup\` again when it is back`,
      );
    if (!changed) ctx.unchanged();
    return { installed: wanted.map(({ name }) => name), silent };
  },
  async undo(ctx) {
    const before = ctx.noted as unknown as Before | undefined;
    if (before === undefined || (await isSetSince(ctx, before.by))) return ctx.unchanged();
    const { files } = before;
    const { hosts } = await hostsOf(ctx);
    for (const host of hosts) {
      const text = files[host.name];
      const path = settingsFile(host.data);
      if (typeof text === "string") await host.put(path, { content: text }, 0o600);
      else if (text === null) await host.run(["rm", "-f", path]);
    }
    for (const name of Object.keys(files))
      if (!hosts.some((host) => host.name === name))
        ctx.warn(
          `${name} does not answer, and keeps the settings of the repository beside its data`,
        );
  },
});
