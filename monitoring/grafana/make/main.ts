/** Writes the dashboards. With --check it writes nothing, and fails when a file is not what it would write. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import clusterOverview from "./cluster-overview.ts";
import performance from "./performance.ts";
import replication from "./replication.ts";

const check = process.argv.includes("--check");
const stale: string[] = [];
for (const [name, built] of Object.entries({
  "cluster-overview": clusterOverview,
  performance,
  replication,
})) {
  const file = join(import.meta.dir, "../dashboards", `${name}.json`);
  const text = `${JSON.stringify({ id: null, ...built.build() }, null, 2)}\n`;
  let there = "";
  try {
    there = readFileSync(file, "utf8");
  } catch {
    // It is made for the first time.
  }
  if (there === text) continue;
  stale.push(name);
  if (!check) writeFileSync(file, text);
}
process.stderr.write(
  stale.length === 0
    ? "all dashboards are current\n"
    : `${check ? "stale" : "written"}: ${stale.join(", ")}\n`,
);
process.exit(check && stale.length > 0 ? 1 : 0);
