import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import planted from "../../providers/lab/planted.json";
import type { JsonObject } from "../../engine/types.ts";
import { cli, place, removePlaces } from "./support.ts";

setDefaultTimeout(60_000);
const p = place();
afterAll(async () => {
  await cli(["lab", "down", "--remove"], p);
  removePlaces();
});

test("the first health check of a new lab finds every planted problem", async () => {
  // Started apart: a machine under load may need longer for it than one command may take here.
  expect((await cli(["lab", "up"], p)).exit).toBe(0);
  const { exit, envelope } = await cli(["health", "check", "--cluster", "lab"], p);
  expect(exit).toBe(0);
  const data = envelope.data as unknown as { findings: Finding[]; errors: JsonObject[] };
  // What another finding leads to stands below it.
  const found = new Set(data.findings.flatMap(namesIn));
  expect(planted.filter(({ check }) => !found.has(check))).toEqual([]);
  expect(data.errors).toEqual([]);
});

interface Finding {
  check: string;
  consequences?: Finding[];
}

function namesIn({ check, consequences = [] }: Finding): string[] {
  return [check, ...consequences.flatMap(namesIn)];
}
