/** What `/metrics` says: the values of all sources, each with its age. */
import packageJson from "../../../package.json" with { type: "json" };
import { exposition, formatFor, type Listed, type Sample } from "./exposition.ts";
import type { Reading, Source } from "./source.ts";

/** Prometheus gives up after 10 s by default; what is not there by then is told from before. */
const WAIT_MS = 3_500;
/** A server that gives no sign of life in time is not up, and that is always said: a sign of before does not count. */
const ALIVE = "alive";

export async function metricsText(
  { metrics }: Listed,
  sources: readonly Source[],
  accept: string | null,
): Promise<{ type: string; text: string }> {
  const readings = await Promise.all(sources.map((source) => source.reading(WAIT_MS)));
  const type = formatFor(accept);
  const samples = [
    { name: "pgdba_build_info", labels: { version: packageJson.version }, value: 1 },
    ...readings.flatMap(samplesOf),
  ];
  return { type, text: exposition(metrics, samples, type) };
}

function samplesOf({ source, up, ageMs, durationMs, samples }: Reading): Sample[] {
  const of = (name: string, value: number | null): Sample[] =>
    value === null ? [] : [{ name, labels: { source }, value }];
  return [
    ...of("pgdba_source_up", up === null ? null : Number(up)),
    ...of("pgdba_source_age_seconds", ageMs === null ? null : ageMs / 1000),
    ...of("pgdba_source_duration_seconds", durationMs === null ? null : durationMs / 1000),
    ...(source !== ALIVE ? samples : up === true ? samples : [{ name: "pgdba_up", value: 0 }]),
  ];
}
