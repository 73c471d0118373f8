import type { Recommendation, TuneInput } from "./input.ts";
import { memorySettings } from "./memory.ts";
import { plannerSettings } from "./planner.ts";
import { walSettings } from "./wal.ts";
import { autovacuumSettings, ioSettings, parallelSettings } from "./workers.ts";

/**
 * The values that PGTune (https://pgtune.leopard.in.ua, as of July 2026) recommends, written as it prints them.
 * A setting that PGTune leaves at its default is absent. Pure.
 */
export function pgtune(input: TuneInput): Recommendation[] {
  return [
    ...memorySettings(input),
    ...walSettings(input),
    ...plannerSettings(input),
    ...autovacuumSettings(input),
    ...ioSettings(input),
    ...parallelSettings(input),
  ];
}
