import { ARCHIVE_COMMAND } from "../../providers/backup/archive.ts";
import { defineStep } from "../define.ts";

const VALUE = { type: ["string", "number", "boolean"] } as const;
const values = (description: string) =>
  ({ type: "object", additionalProperties: VALUE, description }) as const;
/** A copy may get standbys, whatever the original had. */
const SENDERS = 10;

export default defineStep({
  type: "backup.settings",
  summary: "The settings for a server that is to run on restored data",
  docs: `As much of what a standby must hold as the original had (connections, workers, locks), its libraries, and archiving by pgdba. What is given under \`over\`
counts before that.`,
  example: `- backup.settings: {version: 18, settings: {max_connections: "100"}}
`,
  effect: "read",
  idempotent: true,
  locks: "none",
  pure: true,
  input: {
    type: "object",
    additionalProperties: false,
    required: ["version", "settings"],
    properties: {
      version: { type: "integer", description: "PostgreSQL's major version" },
      settings: values("Of the original, as `backup.plan` gives them"),
      over: values("The settings that count before all others"),
      archive: { type: "boolean", default: true },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["settings"],
    properties: { settings: values("For a server that is made now") },
  },
  async run(_ctx, { version, settings, over = {}, archive = true }) {
    const kept = Object.entries(settings).filter(([, value]) => value !== "");
    const senders = Math.max(SENDERS, Number(settings["max_wal_senders"] ?? 0));
    return {
      settings: {
        ...Object.fromEntries(kept),
        max_wal_senders: senders,
        ...(archive
          ? {
              archive_mode: "on",
              archive_command: ARCHIVE_COMMAND,
              archive_timeout: "60s",
              ...(version >= 17 ? { summarize_wal: "on" } : {}),
            }
          : {}),
        ...over,
      },
    };
  },
});
