/**
 * Writes what is derived: the three registries (engine/cli/commands, providers/nodes, steps), runbooks/_index.json, runbooks/schema.json,
 * the thresholds of the alerts and the reference pages of docs/.
 * With --check it writes nothing and fails on drift.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { MEANINGS } from "../providers/target/capabilities.ts";
import {
  type ThresholdList,
  thresholdRules,
  thresholdsOf,
} from "../steps/monitor/rules/thresholds.ts";
import { generateCommands } from "./generate/commands.ts";
import { generateDocs } from "./generate/docs.ts";
import { generateIndex } from "./generate/index-file.ts";
import { generateProviders } from "./generate/providers.ts";
import { generateRegistry } from "./generate/registry.ts";

const root = join(import.meta.dir, "..");
const check = process.argv.includes("--check");
const stale: string[] = [];

function put(file: string, text: string): void {
  const path = join(root, file);
  if (existsSync(path) && readFileSync(path, "utf8") === text) return;
  stale.push(file);
  if (!check) writeFileSync(path, text);
}

function stepFiles(): string[] {
  return readdirSync(join(root, "steps"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) =>
      readdirSync(join(root, "steps", entry.name)).map((name) => `${entry.name}/${name}`),
    )
    .filter((name) => name.endsWith(".ts"))
    .toSorted();
}

/** The rules that record the thresholds of the alerts, as health checks and runbooks declare them. */
function thresholds(): string {
  const read = (file: string): unknown => parse(readFileSync(join(root, file), "utf8"));
  const declared = (name: string, param: string): unknown =>
    (read(`runbooks/${name}.yaml`) as { params?: Record<string, { default?: unknown }> }).params?.[
      param
    ]?.default;
  const list = read("monitoring/thresholds.yaml") as ThresholdList;
  const check = (name: string, param: string): unknown => declared(`${list.under}/${name}`, param);
  return thresholdRules(thresholdsOf(list, { check, runbook: declared }));
}

put("engine/cli/commands/_index.ts", await generateCommands(root));
put("providers/nodes/_registry.ts", generateProviders(root));
put("steps/_registry.ts", generateRegistry(root, stepFiles()));
put("monitoring/prometheus/rules/thresholds.rules.yml", thresholds());
const { loaders } = (await import(`${root}/steps/_registry.ts`)) as {
  loaders: Parameters<typeof generateIndex>[1];
};
const { index, schema, registry, library } = await generateIndex(root, loaders);
put("runbooks/_index.json", index);
put("runbooks/schema.json", schema);
const contracts = ["engine/types.ts", "engine/types/context.ts"]
  .map((file) => readFileSync(join(root, file), "utf8"))
  .join("\n");
const docs = await generateDocs(library, registry, { contracts, capabilities: MEANINGS });
for (const [file, text] of Object.entries(docs)) put(file, text);

process.stderr.write(
  stale.length === 0
    ? "all derived files are current\n"
    : `${check ? "stale" : "written"}: ${stale.join(", ")}\n`,
);
process.exit(check && stale.length > 0 ? 1 : 0);
