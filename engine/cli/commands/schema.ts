import { resolve } from "node:path";
import { editorSchema } from "../../check/schema.ts";
import { writeWhole } from "../../shared/write-file.ts";
import type { Json } from "../../types.ts";
import type { Command } from "../command.ts";
import { loadConfig, stateDirOf } from "../config.ts";
import { registryOf } from "../library.ts";

export default {
  summary: "The JSON Schema of runbooks, for editors",
  usage: "[--out FILE]",
  flags: { out: { type: "string", summary: "Write the schema itself to this file" } },
  async run(front, parsed) {
    const config = await loadConfig(stateDirOf(front));
    const schema = await editorSchema(registryOf(front, config.user_steps === true));
    const out = parsed.flags["out"];
    if (typeof out !== "string") return { exit: 0, data: schema as Json };
    const file = resolve(front.cwd, out);
    await writeWhole(file, `${JSON.stringify(schema, null, 2)}\n`, { mode: 0o644 });
    return { exit: 0, data: { file } };
  },
} satisfies Command;
