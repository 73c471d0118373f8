import { PgdbaError } from "../../../../engine/errors.ts";
import { identityOf } from "../../../postgres/identity.ts";
import { openSession } from "../../../postgres/session.ts";
import { recordAddress } from "../../../registry/address.ts";
import { LAB } from "../../../registry/folder.ts";
import { type ClusterEntry } from "../../../registry/read.ts";
import type { ClusterFile } from "../../../registry/schema.ts";
import { ensureSecret, removeSecrets, secretPath } from "../../../registry/secrets.ts";
import { changeCluster, finished } from "../../../registry/write.ts";
import type { Nodes, Spec } from "../../contract.ts";
import { openNodes } from "../../open.ts";
import { BUNDLED_VERSION } from "../binaries.ts";
import { assertOfLab, connectionOf, findLab, type LabOptions, readEntry } from "./found.ts";
import { endOldLab } from "./old.ts";
import { LAB_SETTINGS, leaveIdleTransaction, seed } from "./seed.ts";

const SECRETS = ["superuser", "replication"];
const ACCOUNTS = {
  superuser: { user: "postgres", password: "superuser" },
  replication: { user: "replicator", password: "replication" },
};
const SPEC: Spec = {
  version: BUNDLED_VERSION,
  ...ACCOUNTS,
  settings: LAB_SETTINGS,
  nodes: [{ name: LAB, roles: ["postgres"] }],
  place: { wal_segment_size: 1 },
};
/** From here on the health check mentions a session that is idle in a transaction, with a little to spare. */
const IDLE_MS = 5_600;

type Did = { stopped: boolean; removed: boolean };

/**
 * Makes the lab from nothing. Its entry is there first, marked as unfinished until all is done; what it then finds of an attempt that was cut
 * off, or of an earlier pgdba, is removed.
 */
export async function makeLab(options: LabOptions): Promise<void> {
  const { stateDir, log = () => {}, signal, onSecret = () => {} } = options;
  await reserve(options);
  if ((await endOldLab(stateDir, true)).removed)
    log("the lab of an earlier pgdba was removed: it was made in another way");
  for (const name of SECRETS) await ensureSecret(stateDir, LAB, name, onSecret);
  await withNodes(options, async (nodes) => {
    await assertNoOthers(nodes);
    await nodes.deprovision();
    log(`making a PostgreSQL ${BUNDLED_VERSION} to try things on`);
    await nodes.provision(SPEC);
    await recordNodes(stateDir, nodes);
  });
  const connection = connectionOf((await readEntry(stateDir))!);
  signal?.throwIfAborted();
  log("filling the lab");
  await seed(connection);
  signal?.throwIfAborted();
  await leaveIdleTransaction(connection).catch(() => log(NO_IDLE));
  log("letting a transaction idle until it is worth a finding");
  await passed(IDLE_MS, signal);
  const session = await openSession(connection);
  const identity = await identityOf(session).finally(() => session.close());
  await change(stateDir, (data) => ({ ...finished(data), system_identifier: identity! }));
}

export async function startLab(options: LabOptions): Promise<void> {
  const { log = () => {}, begins = () => {} } = options;
  begins({ started: true });
  log("starting the lab");
  await withNodes(options, (nodes) => nodes.start(LAB));
  const { entry } = (await findLab(options))!;
  await leaveIdleTransaction(connectionOf(entry)).catch(() => log(NO_IDLE));
}

export async function stopLab(options: LabOptions): Promise<Did> {
  const { stopped } = await endOldLab(options.stateDir, false);
  return withNodes(options, async (nodes) => {
    const runs = await isRunning(nodes);
    if (runs) await nodes.stop(LAB, "fast");
    return { stopped: stopped || runs, removed: false };
  });
}

export async function removeLab(options: LabOptions): Promise<Did> {
  const { stateDir } = options;
  const old = await endOldLab(stateDir, true);
  const runs = await withNodes(options, isRunning);
  const removed = await withNodes(options, (nodes) => nodes.deprovision());
  await removeSecrets(stateDir, LAB, SECRETS);
  // The entry goes last: while it is there, this can be done again.
  const known = await readEntry(stateDir);
  await changeCluster(stateDir, LAB, () => undefined, { takesBack: true });
  return {
    stopped: old.stopped || runs,
    removed: old.removed || removed.length > 0 || known !== undefined,
  };
}

/** What somebody has added to the lab goes only when it is removed. @throws PgdbaError step_refused */
async function assertNoOthers(nodes: Nodes): Promise<void> {
  const others = (await nodes.list()).filter(({ node }) => node !== LAB);
  if (others.length === 0) return;
  const names = others.map(({ node }) => node).join(", ");
  throw new PgdbaError(
    "step_refused",
    `The lab is gone, and other nodes of it are left: ${names}`,
    {
      hint: "Remove them with `pgdba lab down --remove`, and run again.",
      nothingDone: true,
    },
  );
}

const NO_IDLE = "the lab has no idle transaction this time";

async function isRunning(nodes: Nodes): Promise<boolean> {
  const { services } = await nodes.state(LAB);
  return services.some(({ pid }) => pid !== undefined);
}

/** The entry of a lab that is being made; of an earlier one the labels stay, which people write. */
async function reserve({ stateDir, run = LAB, begins = () => {} }: LabOptions): Promise<void> {
  // A lab that is made again is another server.
  const made = crypto.randomUUID();
  begins({ made });
  await changeCluster(
    stateDir,
    LAB,
    (before) => {
      assertOfLab(before);
      const files = SECRETS.map((name) => [name, { file: secretPath(LAB, name) }] as const);
      return {
        ownership: "managed",
        provider: "embedded",
        labels: [...new Set([LAB, ...(before?.labels ?? [])])],
        partial: run,
        cluster_id: made,
        secrets: Object.fromEntries(files),
      };
    },
    { takesBack: true },
  );
}

async function recordNodes(stateDir: string, nodes: Nodes): Promise<void> {
  const made = await nodes.list();
  await change(stateDir, (data) => ({
    ...data,
    version: SPEC.version,
    postgres: {
      ...made[0]!.reach!,
      user: ACCOUNTS.superuser.user,
      database: "postgres",
      sslmode: "disable",
      password_secret: ACCOUNTS.superuser.password,
    },
    nodes: made.map(({ node, roles, address, reach }) => ({
      name: node,
      roles,
      address: { ...address! },
      reach: { ...reach! },
    })),
    accounts: ACCOUNTS,
  }));
}

function change(
  stateDir: string,
  edit: (data: ClusterFile) => ClusterFile,
): Promise<ClusterEntry | undefined> {
  return changeCluster(stateDir, LAB, (before) => before && edit(before.data));
}

/** The verbs of the provider, on the lab. */
async function withNodes<T>(options: LabOptions, work: (nodes: Nodes) => Promise<T>): Promise<T> {
  const { stateDir, run = LAB, log, signal = new AbortController().signal } = options;
  const opened = await openNodes("embedded", {
    cluster: LAB,
    stateDir,
    env: {},
    place: {},
    secret: (name) => secretOf(stateDir, name),
    reached: (node, at) => recordAddress(stateDir, LAB, node, at),
  });
  try {
    return await work(opened.nodes({ run, path: LAB, signal, ...(log ? { log } : {}) }));
  } finally {
    await opened.close();
  }
}

/** Only what makes a node asks for one, and by then all are there. */
async function secretOf(stateDir: string, name: string): Promise<string> {
  let value = "";
  await ensureSecret(stateDir, LAB, name, (made) => (value = made));
  return value;
}

/** @throws the signal's reason when aborted */
async function passed(ms: number, signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    const stop = () => {
      clearTimeout(timer);
      resolve();
    };
    signal?.addEventListener("abort", stop, { once: true });
  });
  signal?.throwIfAborted();
}
