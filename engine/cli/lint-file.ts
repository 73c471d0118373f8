import { isMapping } from "../json.ts";
import { basename, dirname, join } from "node:path";
import { createReport } from "../check/report.ts";
import { validate } from "../check/validate.ts";
import { toPgdbaError } from "../errors.ts";
import { LIMITS } from "../load/limits.ts";
import { parseDocument } from "../load/parse.ts";
import { FILE_SCHEMAS } from "../schemas.ts";
import { readText } from "../shared/read-file.ts";
import { TEST_FILE } from "../testing/case.ts";
import { TEST_ENDING } from "../testing/run-tests.ts";
import type { Diagnostic, JsonSchema } from "../types.ts";
import { CONFIG_SCHEMA, configFileOf, stateDirOf, systemDirsOf } from "./config.ts";
import type { Front } from "./front.ts";

type FileKind = "document" | "test" | "cluster" | "policy" | "config";

/** The kind that a named file is taken for, and the reason. */
export interface Assumed {
  word: string;
  file: string;
  kind: FileKind;
  because: string;
}

export const KIND_WORDS: Readonly<Record<FileKind, string>> = {
  document: "a runbook or another document of a layer",
  test: "a test file",
  cluster: "the file of a cluster",
  policy: "a policy",
  config: "a configuration",
};

/** Keys that stand in one kind of file only, at its outermost level; the first that is there decides. */
const TELLING: readonly (readonly [key: string, FileKind])[] = [
  ...(["kind", "steps", "extends", "risk"] as const).map((key) => [key, "document"] as const),
  ["cases", "test"],
  ["rules", "policy"],
  ["postgres", "cluster"],
  ["ownership", "cluster"],
  ["user_steps", "config"],
];

/** The kind of a file, by the keys that it holds; where these say nothing, by its place. */
export function assumedKind(front: Front, word: string, file: string, text: string): Assumed {
  const about = { word, file };
  const keys = keysOf(text, file);
  for (const [key, kind] of TELLING)
    if (keys.includes(key)) return { ...about, kind, because: `it has the key \`${key}\`` };
  const ofConfig = Object.keys(CONFIG_SCHEMA.properties ?? {});
  if (keys.length > 0 && keys.every((key) => ofConfig.includes(key)))
    return { ...about, kind: "config", because: `it has the key \`${keys[0]}\` and no other` };
  const dirs = [stateDirOf(front), ...systemDirsOf(front.env)];
  if (dirs.some((dir) => file === join(dir, "policy.yaml")))
    return { ...about, kind: "policy", because: "pgdba reads its policy from there" };
  if (file === configFileOf(front).file)
    return { ...about, kind: "config", because: "pgdba reads its configuration from there" };
  if (basename(dirname(file)) === "clusters")
    return { ...about, kind: "cluster", because: "it stands in a folder `clusters`" };
  if (file.endsWith(TEST_ENDING))
    return { ...about, kind: "test", because: `its name ends with ${TEST_ENDING}` };
  if (basename(file) === "policy.yaml" || basename(file) === "config.yaml")
    return {
      ...about,
      kind: basename(file) === "policy.yaml" ? "policy" : "config",
      because: `it is called ${basename(file)}`,
    };
  return { ...about, kind: "document", because: "it has no key of another kind of file" };
}

/** The keys at the outermost level; of what can't be parsed those that begin a line. */
function keysOf(text: string, file: string): string[] {
  try {
    const { data } = parseDocument(text, file);
    return isMapping(data) ? Object.keys(data) : [];
  } catch {
    return [...text.matchAll(/^["']?([a-z_]+)["']?\s*:/gm)].map(([, key]) => key!);
  }
}

/** The faults of a file that is no document of a layer. No text of a cluster's file is shown: it may be a password. */
export async function lintFile(front: Front, { file, kind }: Assumed): Promise<Diagnostic[]> {
  const secretive = kind === "cluster";
  const told = (found: Diagnostic[]): Diagnostic[] =>
    secretive
      ? found.map((one) => ({ ...one, message: one.message.replace(/, got [^]*$/, ""), frame: "" }))
      : found;
  let parsed: ReturnType<typeof parseDocument>;
  try {
    parsed = parseDocument(readText(file, { maxBytes: LIMITS.bytes }), file);
  } catch (thrown) {
    const { diagnostics } = (toPgdbaError(thrown).data ?? {}) as { diagnostics?: Diagnostic[] };
    if (diagnostics === undefined) throw thrown;
    return told(diagnostics);
  }
  const report = createReport(parsed);
  // An empty configuration is one; of the others the schema says what is lacking.
  const data = parsed.data ?? (kind === "config" ? {} : null);
  report.addSchema([], validate(await schemaOf(front, kind), data, kind));
  const found = told(report.sorted());
  if (kind !== "cluster" || found.length > 0) return found;
  // Its reader refuses more than the schema, such as a connection string as a host.
  try {
    await front.readCluster(basename(file).replace(/\.ya?ml$/, ""), file);
    return [];
  } catch (thrown) {
    const { message, hint } = toPgdbaError(thrown);
    report.add([], { rule: "bad-cluster", message: message.replace(`${file}: `, ""), hint });
    return told(report.sorted());
  }
}

async function schemaOf(front: Front, kind: FileKind): Promise<JsonSchema> {
  if (kind === "cluster") return front.clusterSchema();
  return kind === "test" ? TEST_FILE : FILE_SCHEMAS[kind]!;
}
