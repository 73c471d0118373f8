import { rm } from "node:fs/promises";
import { join } from "node:path";
import { writeWhole } from "../../engine/shared/write-file.ts";
import { certificateIn, makeAuthority } from "../certificates/authority.ts";
import { ensureSecret, secretsFolder } from "./secrets.ts";

/** The certificate of a cluster's authority, which everybody may have: relative to the state folder. */
export function authorityFile(cluster: string): string {
  return join(secretsFolder(cluster), "ca.crt");
}

/** The same from where the cluster's entry lies. */
export const authorityBeside = (cluster: string): string => join("..", authorityFile(cluster));

/** Makes a cluster's authority, once; its key is a secret like others, and its certificate stands beside that in a file of its own. */
export async function ensureAuthority(
  stateDir: string,
  cluster: string,
  secret: string,
  onSecret: (value: string) => void,
): Promise<void> {
  let pem = "";
  const told = (value: string): void => {
    pem = `${value}\n`;
    onSecret(value);
  };
  await ensureSecret(stateDir, cluster, secret, told, () =>
    makeAuthority(`pgdba ${cluster}`).trimEnd(),
  );
  await writeWhole(join(stateDir, authorityFile(cluster)), certificateIn(pem));
}

export async function removeAuthority(stateDir: string, cluster: string): Promise<void> {
  await rm(join(stateDir, authorityFile(cluster)), { force: true });
}
