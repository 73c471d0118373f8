import type { CertificateAsked } from "../gather/certificates.ts";
import type { Gathered } from "../gather/cluster.ts";

/** One place that was asked: its name where there are several of its kind, and why it did not answer. */
interface Asked {
  name: string | null;
  why: string | null;
}

interface Source {
  source: string;
  asked: number;
  answered: number;
  silent: string[];
  why: string | null;
}

/** Who was asked, and who answered: so that nobody takes what could not be asked for what is not there. */
export function sourcesOf(g: Gathered, certificates: readonly CertificateAsked[]): Source[] {
  const { members, patroni, dcs, nodes } = g;
  const asked: [string, Asked[]][] = [
    ["patroni", only(patroni)],
    ["members' PostgreSQL", members.map(({ name, server }) => ({ name, why: server.why }))],
    [
      "members' Patroni",
      members.flatMap(({ name, api }) => (api === null ? [] : [{ name, why: api.status.why }])),
    ],
    ["Patroni's configuration", only(g.config)],
    ["dcs", only(dcs?.health)],
    ["leader key", only(dcs?.leader)],
    ["pgbouncers", g.pgbouncers.map(({ name, pools }) => ({ name, why: pools.why }))],
    ["nodes", only(nodes)],
    // Where nobody tells of the nodes, nobody tells what is on them either.
    ...(nodes?.value == null ? [] : onNodes(g)),
    [
      "certificates",
      certificates.map(({ member, of, why }) => ({ name: `${of} of ${member}`, why })),
    ],
  ];
  return asked.flatMap(([source, all]) => (all.length === 0 ? [] : [sourceOf(source, all)]));
}

function onNodes({ members, faults }: Gathered): [string, Asked[]][] {
  return [
    [
      "disks",
      members.flatMap(({ name, facts }) => (facts === null ? [] : [{ name, why: facts.why }])),
    ],
    [
      "folders beside the data",
      members.flatMap(({ name, beside }) => (beside == null ? [] : [{ name, why: beside.why }])),
    ],
    ["faults of drills", only(faults)],
  ];
}

function sourceOf(source: string, all: readonly Asked[]): Source {
  const silent = all.filter(({ why }) => why !== null);
  return {
    source,
    asked: all.length,
    answered: all.length - silent.length,
    silent: silent.flatMap(({ name }) => name ?? []),
    why: silent[0]?.why ?? null,
  };
}

/** What there is one of, where there is one. */
function only(answer: { why: string | null } | null | undefined): Asked[] {
  return answer == null ? [] : [{ name: null, why: answer.why }];
}
