/**
 * A Grafana beside a node that monitors: a container of an image of the user's own, in the network of that node, with files that provision it, and what it keeps in a
 * volume. It has the label of that node, and goes with it.
 */
import type Docker from "dockerode";
import type { By } from "../contract.ts";
import { accountsIn } from "./account.ts";
import { ensureVolume } from "./create.ts";
import { ask, type Engine, engineError, openEngine } from "./engine.ts";
import { idOf } from "./images/build.ts";
import { haveImage } from "./images/given.ts";
import { POLICY, startContainer } from "./life.ts";
import { removeContainer } from "./make.ts";
import { chooseIp } from "./network.ts";
import { choosePorts } from "./ports.ts";
import {
  type Cluster,
  containerName,
  filter,
  LABEL,
  labelsFor,
  networkName,
  nodeOf,
} from "./record.ts";
import { SECRETS_DIR } from "./roles.ts";
import { type TarFile, tarOf } from "./tar.ts";

const KIND = "grafana";
const PORT = 3000;
const LOOPBACK = "127.0.0.1";
/** Where Grafana itself keeps what is not provisioned. */
const DATA = "/var/lib/grafana";
const PASSWORD = "grafana_admin";
/** Where its files are put. */
export const GRAFANA_FILES = "/etc/pgdba/grafana";

type Env = Readonly<Record<string, string | undefined>>;

/** Whose it is: a cluster has one at most. */
export interface Whose {
  env: Env;
  cluster: string;
}

export interface Grafana {
  container: string;
  image: string;
  url: string;
  /** Where the node beside it reaches it. */
  from: { host: string; port: number };
  running: boolean;
}

/** Tells whether it was pulled. @throws PgdbaError step_refused: it can't be had, or is for another processor | connection_failed: no Engine answers */
export async function haveGrafanaImage(
  env: Env,
  image: string,
  by: Pick<By, "signal" | "progress"> & { hint: string },
): Promise<boolean> {
  const engine = openEngine(env);
  return ask(engine, `have the image ${image}`, async () => {
    const wasThere = (await idOf(engine.docker, image)) !== null;
    await haveImage(engine.docker, image, by);
    return !wasThere;
  });
}

/** Null where there is none. */
export async function grafanaThere({ env, cluster }: Whose): Promise<Grafana | null> {
  const found = await containerIn({ engine: openEngine(env), name: cluster });
  return found === undefined ? null : grafanaOf(found);
}

export interface Wish {
  /** The node that it stands beside. */
  node: string;
  image: string;
  /** Text by path, below `GRAFANA_FILES`. */
  files: ReadonlyMap<string, string>;
  /** Of the user `admin`, when it starts for the first time. */
  password: string;
}

/** Makes it, makes it anew where the image or a file is another (what it keeps stays), or starts what is there. */
export async function runGrafana(
  { env, cluster: name }: Whose,
  by: By,
  { node, image, files, password }: Wish,
): Promise<Grafana & { did: "made" | "renewed" | "started" | "kept" }> {
  const engine = openEngine(env);
  const cluster = { engine, name };
  const there = await containerIn(cluster);
  const { Id, Config } = await ask(engine, `look at the image ${image}`, () =>
    engine.docker.getImage(image).inspect(),
  );
  const digest = Bun.SHA256.hash(JSON.stringify([Id, node, [...files]]), "hex");
  // One that was never started was not made to the end.
  if (there?.Labels[LABEL.spec] === digest && there.State !== "created") {
    if (there.State === "running") return { ...grafanaOf(there), did: "kept" };
    await startContainer(engine, there.Id, nameOf(there));
    return { ...grafanaOf(there), running: true, did: "started" };
  }
  if (there !== undefined) await removeContainer(cluster, there.Id);
  const beside = await nodeOf(cluster, node);
  const isOnHost = beside.place["network"] === "host";
  const own = { ...labelsFor(name, by), [LABEL.node]: node };
  const volumes = [
    { Type: "volume", Source: `${name}-${node}-grafana`, Target: DATA },
    { Type: "volume", Source: `${name}-${node}-grafana-secrets`, Target: SECRETS_DIR },
  ] as const;
  for (const { Source } of volumes) await ensureVolume(cluster, Source, own);
  const { address } = beside;
  const kept = there === undefined ? {} : portsOf(there);
  const taken = new Set(Object.values(beside.ports));
  const ports = PORT in kept ? kept : await choosePorts(engine, [PORT], { address, taken });
  const port = ports[String(PORT)]!;
  const ip = isOnHost ? null : await chooseIp(cluster);
  const container = `${containerName(name, node)}-grafana`;
  const listens = isOnHost ? [`ADDR=${LOOPBACK}`, `PORT=${port}`] : [`PORT=${PORT}`];
  const options: Docker.ContainerCreateOptions = {
    name: container,
    Image: image,
    Labels: {
      ...own,
      [LABEL.kind]: KIND,
      [LABEL.spec]: digest,
      [LABEL.ports]: JSON.stringify(ports),
      [LABEL.address]: address,
      ...(ip === null ? {} : { [LABEL.ip]: ip }),
    },
    Env: [
      // Grafana itself reads the file: the password is in no environment, neither here nor there.
      `GF_SECURITY_ADMIN_PASSWORD=$__file{${SECRETS_DIR}/${PASSWORD}}`,
      `GF_PATHS_PROVISIONING=${GRAFANA_FILES}/provisioning`,
      `GF_PATHS_DATA=${DATA}`,
      ...listens.map((one) => `GF_SERVER_HTTP_${one}`),
    ],
    ExposedPorts: isOnHost ? {} : { [`${PORT}/tcp`]: {} },
    HostConfig: {
      RestartPolicy: { Name: POLICY },
      Mounts: [...volumes],
      NetworkMode: isOnHost ? "host" : networkName(name),
      ...(isOnHost
        ? {}
        : { PortBindings: { [`${PORT}/tcp`]: [{ HostIp: address, HostPort: String(port) }] } }),
      LogConfig: { Type: "json-file", Config: { "max-size": "10m", "max-file": "2" } },
    },
    ...(ip === null
      ? {}
      : {
          NetworkingConfig: {
            EndpointsConfig: { [networkName(name)]: { IPAMConfig: { IPv4Address: ip } } },
          },
        }),
  };
  let made: Docker.Container | undefined;
  try {
    made = await engine.docker.createContainer(options);
    const owner = await ownerOf(engine, made.id, Config.User);
    await made.putArchive(tarOf(filesBelow(files)), { path: "/" });
    const secret = { path: PASSWORD, content: password, mode: 0o400, ...owner };
    await made.putArchive(tarOf([secret]), { path: SECRETS_DIR });
    await startContainer(engine, made.id, container);
  } catch (error) {
    if (made !== undefined) await removeContainer(cluster, made.id);
    throw engineError(engine, `make ${container}`, error);
  }
  const url = `http://${address}:${port}`;
  const from = reachedFrom(ip, port);
  const did = there === undefined ? "made" : "renewed";
  return { container, image, url, from, running: true, did };
}

/** Takes it away with what it kept. Tells whether it was there. */
export async function removeGrafana({ env, cluster: name }: Whose): Promise<boolean> {
  const cluster = { engine: openEngine(env), name };
  const there = await containerIn(cluster);
  if (there === undefined) return false;
  await removeContainer(cluster, there.Id);
  for (const { Type, Name } of there.Mounts)
    if (Type === "volume" && Name !== undefined)
      await ask(cluster.engine, `remove the volume ${Name}`, () =>
        cluster.engine.docker.getVolume(Name).remove(),
      );
  return true;
}

async function containerIn({ engine, name }: Cluster) {
  const all = await ask(engine, "list containers", () =>
    engine.docker.listContainers({ all: true, filters: filter(name, { [LABEL.kind]: KIND }) }),
  );
  return all[0];
}

const nameOf = ({ Names }: Docker.ContainerInfo): string => (Names[0] ?? "").replace(/^\//, "");

const portsOf = ({ Labels }: Docker.ContainerInfo): Record<string, number> =>
  JSON.parse(Labels[LABEL.ports] ?? "{}") as Record<string, number>;

/** On the network of the machine itself (it has no address of its own there) it listens on the port that it was given. */
const reachedFrom = (ip: string | null, port: number): Grafana["from"] =>
  ip === null ? { host: LOOPBACK, port } : { host: ip, port: PORT };

function grafanaOf(info: Docker.ContainerInfo): Grafana {
  const port = portsOf(info)[String(PORT)]!;
  return {
    container: nameOf(info),
    image: info.Image,
    url: `http://${info.Labels[LABEL.address] ?? LOOPBACK}:${port}`,
    from: reachedFrom(info.Labels[LABEL.ip] ?? null, port),
    running: info.State === "running",
  };
}

/** The account that the image runs as: by its number, or by its name; root where it says none. */
async function ownerOf(
  engine: Engine,
  id: string,
  user: string,
): Promise<{ uid: number; gid: number }> {
  const [name = "", group = ""] = user.split(":");
  if (name === "") return { uid: 0, gid: 0 };
  if (/^\d+$/.test(name))
    return { uid: Number(name), gid: /^\d+$/.test(group) ? Number(group) : 0 };
  const found = (await accountsIn(engine, id)).find((one) => one.name === name);
  return { uid: found?.uid ?? 0, gid: found?.gid ?? 0 };
}

/** With the folders that they lie in. */
function filesBelow(files: ReadonlyMap<string, string>): TarFile[] {
  const root = GRAFANA_FILES.slice(1);
  const paths = [...files.keys()].map((path) => `${root}/${path}`);
  const folders = new Set(
    paths.flatMap((path) => {
      const parts = path.split("/").slice(0, -1);
      return parts.map((_, at) => parts.slice(0, at + 1).join("/")).slice(1);
    }),
  );
  return [
    ...[...folders].toSorted().map((path) => ({ path: `${path}/`, content: "", mode: 0o755 })),
    ...[...files].map(([path, content]) => ({ path: `${root}/${path}`, content, mode: 0o644 })),
  ];
}
