import type { DcsAccess, DcsSpec } from "./contract.ts";

/** All others change something. */
export const DCS_READS = [
  "health",
  "leader",
  "scopes",
  "save",
] as const satisfies readonly (keyof DcsAccess)[];

/** The way to a scope, by the kind of its store. @throws PgdbaError invalid_config */
export async function openDcs(spec: DcsSpec, signal?: AbortSignal): Promise<DcsAccess> {
  const { etcdAccess } = await import("./etcd/etcd.ts");
  return etcdAccess(spec, signal);
}
