/** The certificates of nodes: each has one of its own, signed by the cluster's authority, in the volume of its secrets. */
import { isIP } from "node:net";
import { type Authority, authorityIn, issue } from "../../certificates/authority.ts";
import { TLS_FILES } from "../configuration/files.ts";
import type { Files, Opening, TlsWish } from "../contract.ts";
import type { At } from "./at.ts";
import { answerOf } from "./exec.ts";
import reload from "./node/reload.py" with { type: "text" };
import { containerName } from "./record.ts";
import { SECRETS_DIR } from "./roles.ts";

/** @throws PgdbaError missing_secret | invalid_config */
export async function authorityOf(secret: Opening["secret"], tls: TlsWish): Promise<Authority> {
  return authorityIn(await secret(tls.authority));
}

/** Where everybody may listen names nobody. */
const ANYWHERE = ["0.0.0.0", "::"];

/** The files of a node: by the names that other nodes, programs on it, and clients of its published ports use. */
export function certificateFiles(
  authority: Authority,
  at: { cluster: string; node: string; address: string },
  tls: TlsWish,
): { files: Record<string, string>; notAfter: Date } {
  const { cluster, node, address } = at;
  const names = [node, containerName(cluster, node), "localhost", "127.0.0.1", "::1"];
  if (!ANYWHERE.includes(address)) names.push(address);
  // A container's name may have what no name of a host has; nobody reaches it by that then.
  const usable = [...names, ...(tls.names ?? [])].filter(
    (name) => isIP(name) !== 0 || /^[A-Za-z0-9*.-]+$/.test(name),
  );
  const { pem, notAfter } = issue(authority, node, usable);
  const { certificate } = authority;
  const files = { [TLS_FILES.authority]: certificate.toString(), [TLS_FILES.own]: pem };
  return { files, notAfter };
}

/** The processes that read their files again when they are told; etcd and the follower look by themselves. */
const TOLD = ["patroni", "postgres", "pgbouncer"];

export async function certify(
  on: At,
  files: Files,
  secret: Opening["secret"],
  tls: TlsWish,
): Promise<{ notAfter: string }> {
  const { record, cluster, layout } = on;
  const authority = await authorityOf(secret, tls);
  const at = { cluster: cluster.name, node: record.node, address: record.address };
  const made = certificateFiles(authority, at, tls);
  // The authority is the one that the node trusts already.
  const content = made.files[TLS_FILES.own]!;
  const path = `${SECRETS_DIR}/${TLS_FILES.own}`;
  await files.put(record.node, path, { content }, { owner: layout.user });
  await on.work(false, (place) => answerOf(place, reload, TOLD));
  return { notAfter: made.notAfter.toISOString() };
}
