import { parseDuration } from "../../engine/shared/units.ts";
import { defineStep } from "../define.ts";
import { wantedSettings } from "../../providers/backup/archive.ts";
import { archiveMembers } from "./archive/members.ts";

export default defineStep({
  type: "backup.archiving",
  summary: "Read how the servers archive their WAL, and whether pgdba may set it up",
  docs: `\`foreign\` are the members that archive by a command or a library which pgdba did not write: it is not replaced, and its text, which may hold a
password, is not shown. \`settings\` are those that would make the servers archive into the repository, and \`awaits_restart\` the members that a
restart would have to bring to it.`,
  example: `- backup.archiving: {}
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres", "superuser"],
  uses: ["member"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      timeout: {
        type: "string",
        format: "duration",
        default: "60s",
        description: "When a segment that is not full is ended and archived; 0s for never",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: [
      "members",
      "silent",
      "foreign",
      "awaits_restart",
      "settings",
      "version",
      "system_identifier",
    ],
    properties: {
      members: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["name", "standby", "archive_mode", "archiver", "archive_timeout"],
          properties: {
            name: { type: "string" },
            standby: { type: "boolean" },
            archive_mode: { type: "string" },
            archiver: { type: "string", enum: ["none", "pgdba", "foreign"] },
            archive_timeout: { type: "integer" },
          },
        },
      },
      silent: { type: "array", items: { type: "string" }, description: "Those that do not answer" },
      foreign: { type: "array", items: { type: "string" } },
      awaits_restart: { type: "array", items: { type: "string" } },
      settings: { type: "object", additionalProperties: { type: "string" } },
      version: { type: "integer" },
      system_identifier: { type: "string" },
    },
  },
  async run(ctx, { timeout = "60s" }) {
    // The server counts it in whole seconds, and 0 would be for never.
    const seconds = Math.ceil(parseDuration(timeout) / 1000);
    const { members, silent } = await archiveMembers(ctx);
    const [first] = members;
    const wanted = members.map((one) => wantedSettings(one, one.version, seconds));
    return {
      members: members.map(({ name, standby, archive_mode, archiver, archive_timeout }) => ({
        name,
        standby,
        archive_mode,
        archiver,
        archive_timeout,
      })),
      silent,
      foreign: members.filter(({ archiver }) => archiver === "foreign").map(({ name }) => name),
      awaits_restart: members.filter((one) => one.awaits_restart).map(({ name }) => name),
      settings: Object.assign({}, ...wanted) as Record<string, string>,
      version: first?.version ?? 0,
      system_identifier: first?.system_identifier ?? "",
    };
  },
});
