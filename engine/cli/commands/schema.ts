import { resolve } from "node:path";
import { didYouMean } from "../../check/messages.ts";
import { PgdbaError } from "../../errors.ts";
import { documentsSchema, FILE_SCHEMAS, fileSchema } from "../../schemas.ts";
import { writeWhole } from "../../shared/write-file.ts";
import type { Json, JsonSchema } from "../../types.ts";
import type { Command } from "../command.ts";
import type { Front } from "../front.ts";
import { loadRegistry } from "../user-steps.ts";

const CLUSTER = "cluster";
const NAMES = [CLUSTER, ...Object.keys(FILE_SCHEMAS)];

export default {
  name: "schema",
  place: 6,
  summary: "The JSON Schema of runbooks, tests and checks, or of another file, for editors",
  usage: `[${NAMES.join("|")}] [--out FILE]`,
  takes: NAMES,
  flags: { out: { type: "string", file: true, summary: "Write the schema itself to this file" } },
  async run(front, parsed, words) {
    const schema = await schemaOf(front, words[0]);
    const out = parsed.flags["out"];
    if (typeof out !== "string") return { exit: 0, data: schema as Json, whole: true };
    const file = resolve(front.cwd, out);
    await writeWhole(file, `${JSON.stringify(schema, null, 2)}\n`, { mode: 0o644 });
    return { exit: 0, data: { file } };
  },
} satisfies Command;

async function schemaOf(front: Front, name: string | undefined): Promise<JsonSchema> {
  if (name === undefined) return documentsSchema(await loadRegistry(front));
  if (name === CLUSTER) return fileSchema(name, await front.clusterSchema());
  if (Object.hasOwn(FILE_SCHEMAS, name)) return fileSchema(name, FILE_SCHEMAS[name]!);
  throw new PgdbaError("usage", `There is no schema of ${JSON.stringify(name.slice(0, 100))}`, {
    hint: didYouMean(name, NAMES),
  });
}
