/** The state folder of the node that keeps schedules: an entry of the cluster as it is reached from there, and the program. */
import { PgdbaError } from "../../../engine/errors.ts";
import { readText } from "../../../engine/shared/read-file.ts";
import type { JsonObject, StepContext } from "../../../engine/types.ts";
import { archOf } from "../../../providers/backup/host.ts";
import { installProgram } from "../../../providers/backup/install.ts";
import type { Nodes } from "../../../providers/nodes/contract.ts";
import { clusterFile } from "../../../providers/registry/folder.ts";
import { type ClusterEntry, readClusterFile } from "../../../providers/registry/read.ts";
import { placeHere } from "../../../providers/registry/repository.ts";
import { keyOfStore } from "../archive/kept-key.ts";

/** Where a node has its secrets, each in a file by its account. */
const SECRETS = "/run/secrets";
const PREPARE = `mkdir -p -m 0700 bin clusters keys schedules secrets && ln -sfn ${SECRETS} "secrets/$1"`;

/**
 * Has there what a run needs: done again it brings it up to date.
 * @throws PgdbaError step_refused where the cluster is none that can be backed up from there
 */
export async function prepareHome(ctx: StepContext, nodes: Nodes, node: string): Promise<void> {
  const cluster = ctx.target.cluster!;
  const entry = (await readClusterFile(cluster, clusterFile(ctx.run.stateDir, cluster)))!;
  const text = JSON.stringify(entryThere(cluster, entry.data), null, 2);
  const home = await must(nodes, node, ["pwd"]);
  await must(nodes, node, ["sh", "-c", PREPARE, "sh", cluster]);
  const put = (path: string, content: string) =>
    nodes.put(node, path, { content }, { mode: 0o600 });
  const place = entry.data.repository && placeHere(entry, entry.data.repository);
  if (place?.kind === "object_store") {
    await put(`${home}/keys/repository`, `${keyOfStore(ctx, place)}\n`);
    if (place.cafile !== undefined)
      await put(`${home}/keys/repository.ca`, readText(place.cafile, { maxBytes: 1024 * 1024 }));
  }
  await put(`${home}/clusters/${cluster}.yaml`, `${text}\n`);
  const isOther = await putProgram(ctx, nodes, node, `${home}/bin/pgdba`);
  // The one that runs is the former.
  if (isOther && (await nodes.state(node)).running !== "stopped") {
    await nodes.stop(node, "fast");
    await nodes.start(node);
  }
}

/** Has pgdba at that path of the node, on its own. Tells whether it was missing or another. @throws PgdbaError as `installProgram` */
export async function putProgram(
  ctx: StepContext,
  nodes: Nodes,
  node: string,
  path: string,
): Promise<boolean> {
  const { os } = await nodes.facts(node);
  const host = {
    name: node,
    arch: archOf(os.arch),
    put: (to: string, from: Parameters<Nodes["put"]>[2], mode: number) =>
      nodes.put(node, to, from, { mode }),
    async text(from: string) {
      const read = await nodes.exec(node, ["cat", from]);
      return read.exit_code === 0 ? read.stdout : undefined;
    },
    run: (argv: string[]) => nodes.exec(node, argv),
  };
  const progress = (text: string) => ctx.progress({ text });
  return installProgram(host, path, { whole: true, env: ctx.env, signal: ctx.signal, progress });
}

/** The cluster for one within its network: by the names of its nodes, and without power over them. */
export function entryThere(cluster: string, data: ClusterEntry["data"]): JsonObject {
  const { postgres, patroni, accounts, repository, tls } = data;
  const servers = (data.nodes ?? []).filter(({ roles }) => roles.includes("postgres"));
  const first = servers.find(({ address }) => address != null)?.address;
  const { superuser, replication } = accounts ?? {};
  if (!postgres || !patroni || !first || !superuser || !replication)
    throw new PgdbaError(
      "step_refused",
      `The entry of ${cluster} does not say how its servers reach one another, and by which accounts`,
      { hint: "`pgdba cluster show` shows it; `nodes` and `accounts` are needed." },
    );
  const scheme = tls === undefined ? "http" : "https";
  const endpoints = servers.flatMap(({ endpoints: all }) => {
    const at = all?.patroni?.address;
    return at ? [`${scheme}://${at.host}:${at.port}`] : [];
  });
  const ca = tls === undefined ? {} : { cafile: `${SECRETS}/ca.crt` };
  const secret = (name: string) => ({ file: `secrets/${cluster}/${name}` });
  const kept = (of: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined));
  return {
    ownership: "connected",
    ...kept({
      labels: data.labels,
      system_identifier: data.system_identifier,
      cluster_id: data.cluster_id,
      version: data.version,
    }),
    secrets: {
      superuser: secret("superuser"),
      replication: secret("replication"),
      ...(repository?.secret === undefined ? {} : { repository: { file: "keys/repository" } }),
    },
    postgres: {
      host: first.host,
      port: first.port,
      user: superuser.user,
      password_secret: "superuser",
      ...(tls === undefined ? {} : { sslmode: "verify-full", sslrootcert: `${SECRETS}/ca.crt` }),
    },
    patroni: { endpoints, ...kept({ scope: patroni.scope, namespace: patroni.namespace }), ...ca },
    accounts: {
      superuser: { user: superuser.user, password: "superuser" },
      replication: { user: replication.user, password: "replication" },
    },
    ...(repository === undefined ? {} : { repository: repositoryThere(repository) }),
  } as JsonObject;
}

export function repositoryThere(
  repository: NonNullable<ClusterEntry["data"]["repository"]>,
): JsonObject {
  const { kind, location, endpoint, node_endpoint, region, origins, cafile, secret } = repository;
  const of = origins === undefined ? {} : { origins };
  if (kind !== "object_store") return { kind: "directory", location, ...of };
  return {
    kind,
    location,
    endpoint: node_endpoint ?? endpoint ?? null,
    ...(region === undefined ? {} : { region }),
    ...(secret === undefined ? {} : { secret: "repository" }),
    ...(cafile === undefined ? {} : { cafile: "../keys/repository.ca" }),
    ...of,
  };
}

/** What a program on the node prints. @throws PgdbaError command_failed */
export async function must(nodes: Nodes, node: string, argv: string[]): Promise<string> {
  const { exit_code, stdout, stderr } = await nodes.exec(node, argv, { maxBytes: 16 << 20 });
  if (exit_code === 0) return stdout.trimEnd();
  throw new PgdbaError("command_failed", `${argv[0]} failed on ${node}: ${stderr.trim()}`, {
    hint: "Look at the node's state (pgdba cluster status) and at its log.",
  });
}
