import { type Certificate, certificateOf } from "../../../providers/postgres/certificate.ts";
import type { Gathered } from "./cluster.ts";

export interface CertificateSeen {
  /** The member, or another node, by its name. */
  member: string;
  of: "PostgreSQL" | "Patroni" | "etcd" | "PgBouncer";
  certificate: Certificate;
}

interface Asked {
  name: string;
  of: CertificateSeen["of"];
  at: { host: string; port: number };
}

/** A certificate that there must be, and why it can't be seen. */
export interface CertificateAsked extends Pick<CertificateSeen, "member" | "of"> {
  why: string | null;
}

const LIMIT_MS = 3_000;

/** The certificates of all that uses TLS, and which of those that there must be were not shown. */
export async function certificatesOf(
  gathered: Gathered,
): Promise<{ seen: CertificateSeen[]; asked: CertificateAsked[] }> {
  const places = [...ofMembers(gathered), ...ofStore(gathered), ...ofPoolers(gathered)].filter(
    ({ at }) => !at.host.startsWith("/"),
  );
  const all = await Promise.all(places.map(async (one) => ({ ...one, found: await seen(one) })));
  return {
    seen: all.flatMap(({ found }) => found ?? []),
    // A PgBouncer without TLS shows none, and says nothing else than one that does not answer.
    asked: all
      .filter(({ of, found }) => of !== "PgBouncer" || found !== null)
      .map(({ name: member, of, found }) => ({
        member,
        of,
        why: found === null ? `no certificate was shown within ${LIMIT_MS / 1000} s` : null,
      })),
  };
}

function ofMembers({ members }: Gathered): Asked[] {
  return members.flatMap(({ name, reach, server, api }): Asked[] => [
    ...(server.value?.tls === true && reach !== null
      ? [{ name, of: "PostgreSQL" as const, at: reach }]
      : []),
    ...(api?.url.startsWith("https://")
      ? [{ name, of: "Patroni" as const, at: placeOf(api.url) }]
      : []),
  ]);
}

/** Members of etcd tell their places; where those can't be reached from here, the provider of the nodes knows another. */
function ofStore({ dcs, nodes }: Gathered): Asked[] {
  return (dcs?.health.value?.members ?? []).flatMap(({ name, endpoint }): Asked[] => {
    if (!endpoint?.startsWith("https://")) return [];
    const node = nodes?.value?.find((one) => one.node === name);
    return [{ name, of: "etcd", at: node?.endpoints.etcd?.reach ?? placeOf(endpoint) }];
  });
}

/** PgBouncer says whether it has TLS when it is asked. Its follower has the same certificate. */
function ofPoolers({ pgbouncers }: Gathered): Asked[] {
  return pgbouncers.map(({ name, place }) => ({
    name,
    of: "PgBouncer",
    at: placeOf(`postgresql://${place}`),
  }));
}

async function seen({ name, of, at }: Asked): Promise<CertificateSeen | null> {
  const postgres = of === "PostgreSQL" || of === "PgBouncer";
  const certificate = await certificateOf(at, { postgres, timeoutMs: LIMIT_MS });
  return certificate && { member: name, of, certificate };
}

function placeOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[(.*)\]$/, "$1"), port: Number(port || 443) };
}
