import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Json } from "../../../../engine/types.ts";
import type { Facts } from "../../../../steps/query/plan/finding.ts";
import { findings } from "../../../../steps/query/plan/findings.ts";
import { parsePlan } from "../../../../steps/query/plan/parse.ts";

const folder = join(import.meta.dir, "../plans");

interface Captured {
  version: number;
  sql: string;
  facts: Facts;
  explained: Json;
}

export const names = readdirSync(folder).map((file) => file.replace(".json", ""));

export const captured = (name: string): Promise<Captured> =>
  Bun.file(join(folder, `${name}.json`)).json() as Promise<Captured>;

/** A captured plan, read, with what is found in it. */
export async function examine(name: string, change: (facts: Facts) => Facts = (same) => same) {
  const { explained, facts } = await captured(name);
  const plan = parsePlan(explained);
  return { plan, found: await findings(plan, change(facts)) };
}
