import { PgdbaError } from "../../engine/errors.ts";
import { clusterFile, LAB, unknownCluster } from "../registry/folder.ts";
import { type ClusterEntry, readClusterFile } from "../registry/read.ts";
import { readPassword } from "../registry/secrets.ts";
import { assertPart } from "./environment.ts";
import type { TargetSource } from "./postgres.ts";
import type { TargetOptions } from "./options.ts";

/**
 * What the registry holds under `name`, in `<stateDir>/clusters/<name>.yaml`; `lab` is built in and started if need be.
 * @throws PgdbaError no_target | invalid_param | invalid_config | missing_secret
 */
export async function clusterSource(name: string, options: TargetOptions): Promise<TargetSource> {
  assertPart("--cluster", name);
  const file = clusterFile(options.stateDir, name);
  if (name === LAB) return labSource(file, options);
  const entry = await readClusterFile(name, file);
  if (entry === undefined) throw await unknownCluster(options.stateDir, name, options.suggest);
  return sourceOf(entry, options);
}

/** @throws PgdbaError missing_secret | no_target for one that is not finished and has no server yet */
export function sourceOf(entry: ClusterEntry, options: TargetOptions): TargetSource {
  const { name, file, labels, ownership, identity, patroni, partial } = entry;
  if (entry.spec === null) {
    throw new PgdbaError("no_target", `${name} is not finished, and no server is known of it`, {
      hint: `Run ${partial} makes it or left it half made: look at it (pgdba runs ${partial}), and resume it.`,
    });
  }
  const spec = { ...entry.spec };
  const password = readPassword(entry.password, file, options);
  if (password !== undefined) spec.password = () => password;
  const source: TargetSource = {
    name,
    cluster: name,
    labels,
    ownership,
    expectedIdentity: identity,
    spec,
  };
  if (patroni === null) return source;
  const { passwordNames, ...rest } = patroni;
  return {
    ...source,
    patroni: { ...rest, password: readPassword(passwordNames, file, options) },
  };
}

/** Its entry says what people have written there of it, such as labels; where it runs, only the lab itself knows. */
async function labSource(file: string, options: TargetOptions): Promise<TargetSource> {
  const { labUp } = await import("../nodes/embedded/lab/lab.ts");
  const lab = await labUp({ stateDir: options.stateDir, log: options.log ?? (() => {}) });
  const password = lab.connection.password?.();
  if (password !== undefined) options.onSecret(password);
  const entry = await readClusterFile(LAB, file);
  const own = entry !== undefined && entry.identity === lab.identity ? entry : undefined;
  return {
    name: LAB,
    cluster: LAB,
    labels: own?.labels ?? [LAB],
    ownership: "managed",
    expectedIdentity: lab.identity,
    spec: lab.connection,
  };
}
