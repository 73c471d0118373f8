import { type Certificate, certificateOf } from "../../../providers/postgres/certificate.ts";
import type { Gathered } from "./cluster.ts";

export interface CertificateSeen {
  member: string;
  of: "PostgreSQL" | "Patroni";
  certificate: Certificate;
}

const LIMIT_MS = 3_000;

/** The certificates of all that uses TLS. */
export async function certificatesOf({ members }: Gathered): Promise<CertificateSeen[]> {
  const asked = members.flatMap(({ name, reach, server, api }) => [
    ...(server.value?.tls === true && reach !== null
      ? [seen(name, "PostgreSQL", reach, true)]
      : []),
    ...(api?.url.startsWith("https://") ? [seen(name, "Patroni", placeOf(api.url), false)] : []),
  ]);
  return (await Promise.all(asked)).filter((one) => one !== null);
}

async function seen(
  member: string,
  of: CertificateSeen["of"],
  at: { host: string; port: number },
  postgres: boolean,
): Promise<CertificateSeen | null> {
  if (at.host.startsWith("/")) return null;
  const certificate = await certificateOf(at, { postgres, timeoutMs: LIMIT_MS });
  return certificate && { member, of, certificate };
}

function placeOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[(.*)\]$/, "$1"), port: Number(port || 443) };
}
